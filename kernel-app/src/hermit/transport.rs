//! A virtio-net device's transport, PCI or MMIO, with its doorbells and its interrupt.
//!
//! Finds no devices: `pci` and `mmio` do. Moves no packets.

use virtio_drivers::transport::SomeTransport;

use super::{mmio, pci};

/// A transport together with what `virtio-drivers` does not do: one-write doorbells and MSI-X.
pub struct NetTransport {
    inner: SomeTransport<'static>,
    bus: Bus,
}

enum Bus {
    Pci(pci::Notifications),
    Mmio { registers: usize },
}

impl core::ops::Deref for NetTransport {
    type Target = SomeTransport<'static>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl core::ops::DerefMut for NetTransport {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

impl NetTransport {
    /// The machine's first virtio-net device, on PCI or, failing that, MMIO.
    pub fn find() -> Option<Self> {
        let on_pci = || {
            let (inner, notifications) = pci::find_net()?;
            Some(Self { inner, bus: Bus::Pci(notifications) })
        };
        let on_mmio = || {
            let (inner, registers) = mmio::find_net()?;
            Some(Self { inner, bus: Bus::Mmio { registers } })
        };
        on_pci().or_else(on_mmio)
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
