//! The transport of a virtio device, PCI or MMIO, with its doorbells and its interrupt.
//!
//! `pci` and `mmio` find the devices. This module knows no type of device, and moves no data.

use core::fmt;
use core::time::Duration;

use virtio_drivers::transport::{DeviceStatus, DeviceType, SomeTransport, Transport};

use super::clock::Clock;
use super::{mmio, pci};
use crate::mmio_devices::Device;
use crate::pci_scan::Place;

/// VIRTIO_F_VERSION_1 and VIRTIO_F_ACCESS_PLATFORM (virtio 1.2, section 6).
const VERSION_1: u64 = 1 << 32;
const ACCESS_PLATFORM: u64 = 1 << 33;
/// How long a device may take to reset itself; those in software do it at once.
const RESET_TIME_MAX: Duration = Duration::from_secs(1);

/// What the loader was told about where devices are.
#[derive(Clone, Copy)]
pub struct Hints<'a> {
    /// Where the ACPI tables begin, if there are any.
    pub acpi: Option<u64>,
    /// Devices on MMIO, if any are told of.
    pub mmio: Option<&'a str>,
}

/// What was found for a kind of device.
pub enum Search {
    /// A device that was not initialised yet.
    Found(DeviceTransport),
    /// There is one, and this is why it is of no use.
    Unusable {
        /// Where it is.
        place: Place,
        /// What is wrong with it.
        reason: pci::Unusable,
    },
    /// There is none.
    Missing,
}

/// Why a device cannot be initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// It speaks only the legacy interface.
    Legacy,
    /// It did not come out of its reset.
    Reset,
    /// It does not accept a choice of its features.
    Features {
        /// What it offers.
        offered: u64,
        /// What was to be used of that.
        accepted: u64,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy => f.write_str(
                "it is a legacy device: start QEMU with disable-legacy=on, on microvm with \
                 -global virtio-mmio.force-legacy=false",
            ),
            Self::Reset => write!(f, "it did not reset itself in {} s", RESET_TIME_MAX.as_secs()),
            Self::Features { offered, accepted } => {
                write!(f, "of its features {offered:#x} it does not let a driver use {accepted:#x} alone")
            }
        }
    }
}

/// A transport together with what `virtio-drivers` does not do: one-write doorbells and MSI-X.
pub struct DeviceTransport {
    inner: SomeTransport<'static>,
    bus: Bus,
}

enum Bus {
    Pci(pci::Notifications),
    Mmio(Device),
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
    /// The machine's first device of each of these kinds, on PCI or, where it has none of them, MMIO.
    pub fn find<const KINDS: usize>(kinds: [DeviceType; KINDS], hints: Hints<'_>) -> [Search; KINDS] {
        let on_pci = pci::Access::find(hints.acpi)
            .map_or([const { pci::Search::Missing }; KINDS], |access| pci::find(access, kinds));
        // Where PCI has some, other devices may lie where MMIO would be looked for.
        let has_some = on_pci.iter().any(|search| !matches!(search, pci::Search::Missing));
        let none = [const { None }; KINDS];
        let mut on_mmio = if has_some { none } else { mmio::find(kinds, hints.mmio) }.into_iter();
        on_pci.map(|search| match (search, on_mmio.next().flatten()) {
            (pci::Search::Found(inner, notifications), _) => {
                Search::Found(Self { inner, bus: Bus::Pci(notifications) })
            }
            (_, Some((inner, device))) => Search::Found(Self { inner, bus: Bus::Mmio(device) }),
            (pci::Search::Unusable(place, reason), None) => Search::Unusable { place, reason },
            (pci::Search::Missing, None) => Search::Missing,
        })
    }

    /// Begins the initialisation (virtio 1.2, section 3.1.1): resets the device, and accepts of what it offers the
    /// features in `wanted`. Returns those that were accepted.
    ///
    /// # Errors
    /// When the device is a legacy one, does not come out of its reset, or does not accept that.
    pub fn begin(&mut self, wanted: u64, clock: Clock) -> Result<u64, SetupError> {
        self.inner.set_status(DeviceStatus::empty());
        let is_reset = || (self.inner.get_status() == DeviceStatus::empty()).then_some(());
        clock.wait_for(RESET_TIME_MAX, is_reset).ok_or(SetupError::Reset)?;
        let mut status = DeviceStatus::ACKNOWLEDGE;
        self.inner.set_status(status);
        status |= DeviceStatus::DRIVER;
        self.inner.set_status(status);
        let offered = self.inner.read_device_features();
        if offered & VERSION_1 == 0 {
            return Err(SetupError::Legacy);
        }
        // Addresses are the machine's own: where an I/O MMU is in between, nobody has turned it on.
        let accepted = offered & (wanted | VERSION_1 | ACCESS_PLATFORM);
        self.inner.write_driver_features(accepted);
        self.inner.set_status(status | DeviceStatus::FEATURES_OK);
        if !self.inner.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(SetupError::Features { offered, accepted });
        }
        Ok(accepted)
    }

    /// Where writing wakes the device up for a queue.
    pub fn doorbell(&mut self, queue: u16) -> Doorbell {
        match &self.bus {
            Bus::Pci(notifications) => {
                Doorbell { address: notifications.doorbell(queue), queue, wide: false }
            }
            Bus::Mmio(device) => Doorbell { address: mmio::doorbell(device.registers), queue, wide: true },
        }
    }

    /// Routes a queue's interrupt to the processor; whether the device can interrupt.
    pub fn enable_interrupt(&mut self, queue: u16) -> bool {
        match &mut self.bus {
            Bus::Pci(notifications) => notifications.enable_interrupt(queue),
            Bus::Mmio(device) => {
                mmio::route_interrupt(device.interrupt);
                true
            }
        }
    }

    /// Ends a level-triggered interrupt; MSI-X needs none.
    pub fn acknowledge(&mut self) {
        if let Bus::Mmio(_) = self.bus {
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
