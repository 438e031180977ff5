//! A virtio device's transport, PCI or MMIO, with its doorbells and its interrupt.
//!
//! Looks through no bus: `pci` and `mmio` do. Knows no kind of device, and moves no data.

use virtio_drivers::transport::{DeviceType, SomeTransport};

use super::{mmio, pci};

/// A transport together with what `virtio-drivers` does not do: one-write doorbells and MSI-X.
pub struct DeviceTransport {
    inner: SomeTransport<'static>,
    bus: Bus,
}

enum Bus {
    Pci(pci::Notifications),
    Mmio { registers: usize },
}

impl core::ops::Deref for DeviceTransport {
    type Target = SomeTransport<'static>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl core::ops::DerefMut for DeviceTransport {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

impl DeviceTransport {
    /// The machine's first device of each of these kinds, on PCI or, where it has none, MMIO.
    pub fn find<const KINDS: usize>(kinds: [DeviceType; KINDS]) -> [Option<Self>; KINDS] {
        match pci::find(kinds) {
            Some(found) => found.map(|found| {
                found.map(|(inner, notifications)| Self { inner, bus: Bus::Pci(notifications) })
            }),
            None => mmio::find(kinds)
                .map(|found| found.map(|(inner, registers)| Self { inner, bus: Bus::Mmio { registers } })),
        }
    }

    /// Where writing wakes the device up for a queue.
    pub fn doorbell(&mut self, queue: u16) -> Doorbell {
        match &self.bus {
            Bus::Pci(notifications) => {
                Doorbell { address: notifications.doorbell(queue), queue, wide: false }
            }
            Bus::Mmio { registers } => Doorbell { address: mmio::doorbell(*registers), queue, wide: true },
        }
    }

    /// Routes a queue's interrupt to the processor; whether the device can interrupt. MMIO devices are
    /// routed by the kernel's I/O APIC.
    pub fn enable_interrupt(&mut self, queue: u16) -> bool {
        match &mut self.bus {
            Bus::Pci(notifications) => notifications.enable_interrupt(queue),
            Bus::Mmio { .. } => true,
        }
    }

    /// Ends a level-triggered interrupt; MSI-X needs none.
    pub fn acknowledge(&mut self) {
        if let Bus::Mmio { .. } = self.bus {
            use virtio_drivers::transport::Transport;
            self.inner.ack_interrupt();
        }
    }
}

/// A queue's notification register.
pub struct Doorbell {
    address: usize,
    queue: u16,
    wide: bool,
}

impl Doorbell {
    /// Tells the device to look at the queue.
    pub fn ring(&self) {
        // SAFETY: the address is that of the device's notification register, which the loader maps to
        // itself; the device looks at its queue, whose buffers are valid.
        unsafe {
            if self.wide {
                let register = core::ptr::with_exposed_provenance_mut::<u32>(self.address);
                register.write_volatile(u32::from(self.queue));
            } else {
                let register = core::ptr::with_exposed_provenance_mut::<u16>(self.address);
                register.write_volatile(self.queue);
            }
        }
    }
}
