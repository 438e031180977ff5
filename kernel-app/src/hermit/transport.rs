//! A virtio device that was found: its registers, its doorbells and its interrupt, on PCI or MMIO.
//!
//! `virtio` finds it and knows the order of what is written. This module knows no kind of device, and moves no data.

use core::time::Duration;

use super::clock::Clock;
use super::interrupts;
use super::machine::{Memory, ThisMachine};
use super::page_tables::map_device;
use crate::virtio::pci_scan::Place;
use crate::virtio::search::{self, Hints};
use crate::virtio::structures::{PciDevice, Unusable};
use crate::virtio::transport::{Layout, Notification, RESET_TIME_MAX_MS, Registers, SetupError, Transport};
use crate::virtio::{self, Kind, Location};

/// Bytes of the parts of a device on PCI: its common configuration, the configuration of its kind as far as it is
/// read, its notification registers, and the first entry of its message table.
const COMMON_BYTES: u64 = 0x38;
const CONFIG_BYTES: u64 = 0x40;
const NOTIFY_BYTES: u64 = 0x10;
const TABLE_BYTES: u64 = 0x10;

/// What was found for a kind of device.
pub enum Search {
    /// A device that was not initialised yet.
    Found(DeviceTransport),
    /// There is one, and this is why it is of no use.
    Unusable {
        /// Where it is.
        place: Place,
        /// What is wrong with it.
        reason: Unusable,
    },
    /// There is none.
    Missing,
}

/// A device's registers and its interrupt.
pub struct DeviceTransport {
    registers: Transport<Memory>,
    interrupt: Interrupt,
}

/// How a device wakes the processor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interrupt {
    /// By a message for each queue.
    Message,
    /// By a line for all of them, which stays asserted until it is acknowledged.
    Line,
    /// Not at all.
    Nothing,
}

impl core::ops::Deref for DeviceTransport {
    type Target = Transport<Memory>;

    fn deref(&self) -> &Self::Target {
        &self.registers
    }
}

impl DeviceTransport {
    /// The machine's first device of each of these kinds.
    pub fn find<const KINDS: usize>(
        machine: &ThisMachine,
        hints: Hints<'_>,
        kinds: [Kind; KINDS],
    ) -> [Search; KINDS] {
        search::find(machine, hints, kinds).map(|search| match search {
            virtio::Search::Found(location) => Self::open(machine, location),
            virtio::Search::Unusable(place, reason) => Search::Unusable { place, reason },
            virtio::Search::Missing => Search::Missing,
        })
    }

    #[cold]
    fn open(machine: &ThisMachine, location: Location) -> Search {
        let (layout, interrupt) = match location {
            Location::Pci(device) => match map(machine, &device) {
                Ok(parts) => parts,
                Err(reason) => return Search::Unusable { place: device.place, reason },
            },
            Location::Mmio(device) => {
                interrupts::route(device.interrupt);
                (Layout::Mmio(device.registers), Interrupt::Line)
            }
        };
        Search::Found(Self { registers: Transport::new(Memory, layout), interrupt })
    }

    /// Begins the initialisation: see [`Transport::begin`].
    ///
    /// # Errors
    /// As there.
    pub fn begin(&self, wanted: u64, clock: Clock) -> Result<u64, SetupError> {
        let limit = Duration::from_millis(RESET_TIME_MAX_MS);
        self.registers.begin(wanted, |is_done| clock.wait_for(limit, || is_done().then_some(())).is_some())
    }

    /// Where writing wakes the device up for the queue that was set last.
    pub fn doorbell(&self, queue: u16) -> Doorbell {
        Doorbell { register: self.notification(), queue }
    }

    /// Lets the queue that was set last interrupt; whether the device can.
    pub fn enable_interrupt(&self) -> bool {
        match self.interrupt {
            Interrupt::Message => self.set_message(),
            Interrupt::Line => true,
            Interrupt::Nothing => false,
        }
    }

    /// Ends an interrupt that came by a line: until then no other does. It is to be called before one is asked for, not
    /// after: when the wish was taken back, a device that has just read it may still interrupt.
    pub fn acknowledge(&self) {
        if self.interrupt == Interrupt::Line {
            self.registers.acknowledge();
        }
    }
}

/// Maps the parts of a device on PCI, and routes its interrupt.
#[cold]
fn map(machine: &ThisMachine, device: &PciDevice) -> Result<(Layout, Interrupt), Unusable> {
    let part = |address: u64, bytes: u64| map_device(address, bytes).ok_or(Unusable::NoRoom(address));
    let status = device.interrupt_status.map(|address| part(address, 1)).transpose()?;
    let layout = Layout::Pci {
        common: part(device.common, COMMON_BYTES)?,
        notify: part(device.notify, NOTIFY_BYTES)?,
        notify_multiplier: device.notify_multiplier,
        interrupt_status: status,
        config: device.config.map(|address| part(address, CONFIG_BYTES)).transpose()?,
    };
    let interrupt = match device.msix {
        Some(msix) => {
            interrupts::route_message(machine, device, msix, part(msix.table, TABLE_BYTES)?);
            Interrupt::Message
        }
        None if status.is_some() && interrupts::route_line(device.line) => Interrupt::Line,
        None => Interrupt::Nothing,
    };
    Ok((layout, interrupt))
}

/// A queue's notification register.
pub struct Doorbell {
    register: Notification,
    queue: u16,
}

impl Doorbell {
    /// Tells the device to look at the queue.
    pub fn ring(&self) {
        let Notification { address, is_wide } = self.register;
        if is_wide {
            Memory.write_u32(address, self.queue.into());
        } else {
            Memory.write_u16(address, self.queue);
        }
    }
}
