//! The words between a driver and a device before its queues work: status, features, queues, configuration.
//!
//! The steps are those of virtio 1.2, section 3.1.1, one by one: Firecracker and uhyve take the status bits in no other
//! way. An address is written as two halves: monitors drop or refuse 64-bit writes, which the standard does not ask
//! for. A queue keeps the size that the device suggests, if it can: uhyve ignores another one.

use core::fmt;

/// Bits of the device status (section 2.1).
const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
/// VIRTIO_F_VERSION_1 and VIRTIO_F_ACCESS_PLATFORM (section 6).
const VERSION_1: u64 = 1 << 32;
const ACCESS_PLATFORM: u64 = 1 << 33;
/// How long a device may take to reset itself; those in software do it at once.
pub const RESET_TIME_MAX_MS: u64 = 1000;

/// How often a configuration is read that changes meanwhile.
const CONFIG_TRIES: usize = 16;

/// Registers on PCI, in the common configuration (section 4.1.4.3).
mod pci {
    pub const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub const DEVICE_FEATURE: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub const DRIVER_FEATURE: usize = 0x0c;
    pub const STATUS: usize = 0x14;
    pub const GENERATION: usize = 0x15;
    pub const QUEUE_SELECT: usize = 0x16;
    pub const QUEUE_SIZE: usize = 0x18;
    pub const QUEUE_VECTOR: usize = 0x1a;
    pub const QUEUE_ENABLE: usize = 0x1c;
    pub const QUEUE_NOTIFY_OFFSET: usize = 0x1e;
    pub const QUEUE_AREAS: [usize; 3] = [0x20, 0x28, 0x30];
}

/// Registers on MMIO (section 4.2.2).
mod mmio {
    pub const DEVICE_FEATURE: usize = 0x10;
    pub const DEVICE_FEATURE_SELECT: usize = 0x14;
    pub const DRIVER_FEATURE: usize = 0x20;
    pub const DRIVER_FEATURE_SELECT: usize = 0x24;
    pub const QUEUE_SELECT: usize = 0x30;
    pub const QUEUE_SIZE_MAX: usize = 0x34;
    pub const QUEUE_SIZE: usize = 0x38;
    pub const QUEUE_READY: usize = 0x44;
    pub const QUEUE_NOTIFY: usize = 0x50;
    pub const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
    pub const STATUS: usize = 0x70;
    pub const QUEUE_AREAS: [usize; 3] = [0x80, 0x90, 0xa0];
    pub const GENERATION: usize = 0xfc;
    pub const CONFIG: usize = 0x100;
    /// Both reasons of an interrupt.
    pub const INTERRUPTS: u32 = 0b11;
}

/// Reads and writes a device's registers, with the width of each.
pub trait Registers {
    /// Reads 8 bits.
    fn read_u8(&self, address: usize) -> u8;
    /// Reads 16 bits.
    fn read_u16(&self, address: usize) -> u16;
    /// Reads 32 bits.
    fn read_u32(&self, address: usize) -> u32;
    /// Writes 8 bits.
    fn write_u8(&self, address: usize, value: u8);
    /// Writes 16 bits.
    fn write_u16(&self, address: usize, value: u16);
    /// Writes 32 bits.
    fn write_u32(&self, address: usize, value: u32);
}

/// Where a device's registers can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On PCI: the structures.
    Pci {
        /// The common configuration.
        common: usize,
        /// The first notification register.
        notify: usize,
        /// Bytes per unit of a queue's notification offset.
        notify_multiplier: u32,
        /// The interrupt status.
        interrupt_status: Option<usize>,
        /// The configuration of its kind.
        config: Option<usize>,
    },
    /// On MMIO: the window.
    Mmio(usize),
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
    /// It has no queue of this number.
    NoQueue(u16),
    /// A queue has this size, and keeps it.
    QueueSize(u16),
    /// It has no configuration.
    NoConfig,
    /// Its configuration changes whenever it is read.
    Unsteady,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy => f.write_str(
                "it is a legacy device: start QEMU with disable-legacy=on, on microvm with \
                 -global virtio-mmio.force-legacy=false",
            ),
            Self::Reset => write!(f, "it did not reset itself in {RESET_TIME_MAX_MS} ms"),
            Self::Features { offered, accepted } => {
                write!(f, "of its features {offered:#x} it does not let a driver use {accepted:#x} alone")
            }
            Self::NoQueue(queue) => write!(f, "it has no queue {queue}"),
            Self::QueueSize(size) => write!(f, "a queue of {size} descriptors cannot be used: give it 256"),
            Self::NoConfig => f.write_str("it has no configuration"),
            Self::Unsteady => f.write_str("its configuration changes whenever it is read"),
        }
    }
}

/// A device's registers.
pub struct Transport<R> {
    registers: R,
    layout: Layout,
}

/// Where a write tells a device to look at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The register.
    pub address: usize,
    /// Whether it has 32 bits, and not 16.
    pub is_wide: bool,
}

impl<R: Registers> Transport<R> {
    /// Of registers that are reached there.
    pub fn new(registers: R, layout: Layout) -> Self {
        Self { registers, layout }
    }

    /// Resets the device, and accepts of what it offers the features in `wanted`. Returns those that were accepted.
    /// `wait` asks again and again, for [`RESET_TIME_MAX_MS`] at most, and says whether the answer was ever yes.
    ///
    /// # Errors
    /// When the device is a legacy one, does not come out of its reset, or does not accept that.
    pub fn begin(
        &self,
        wanted: u64,
        wait: impl FnOnce(&dyn Fn() -> bool) -> bool,
    ) -> Result<u64, SetupError> {
        // One that was never started is not reset: a second one of QEMU's costs as much as the rest of this.
        if self.status() != 0 {
            self.set_status(0);
            if !wait(&|| self.status() == 0) {
                return Err(SetupError::Reset);
            }
        }
        self.set_status(ACKNOWLEDGE);
        self.set_status(ACKNOWLEDGE | DRIVER);
        let offered = self.offered();
        if offered & VERSION_1 == 0 {
            return Err(SetupError::Legacy);
        }
        // Addresses are the machine's own: where an I/O MMU is in between, nobody has turned it on.
        let accepted = offered & (wanted | VERSION_1 | ACCESS_PLATFORM);
        self.accept(accepted);
        self.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        if self.status() & FEATURES_OK == 0 {
            return Err(SetupError::Features { offered, accepted });
        }
        Ok(accepted)
    }

    /// Lets the device work.
    pub fn finish(&self) {
        self.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    }

    fn status(&self) -> u8 {
        match self.layout {
            Layout::Pci { common, .. } => self.registers.read_u8(common + pci::STATUS),
            Layout::Mmio(base) => self.registers.read_u32(base + mmio::STATUS) as u8,
        }
    }

    fn set_status(&self, status: u8) {
        match self.layout {
            Layout::Pci { common, .. } => self.registers.write_u8(common + pci::STATUS, status),
            Layout::Mmio(base) => self.registers.write_u32(base + mmio::STATUS, status.into()),
        }
    }

    fn offered(&self) -> u64 {
        let (select, feature) = match self.layout {
            Layout::Pci { common, .. } => (common + pci::DEVICE_FEATURE_SELECT, common + pci::DEVICE_FEATURE),
            Layout::Mmio(base) => (base + mmio::DEVICE_FEATURE_SELECT, base + mmio::DEVICE_FEATURE),
        };
        let half = |number: u32| {
            self.registers.write_u32(select, number);
            u64::from(self.registers.read_u32(feature))
        };
        half(0) | half(1) << 32
    }

    fn accept(&self, features: u64) {
        let (select, feature) = match self.layout {
            Layout::Pci { common, .. } => (common + pci::DRIVER_FEATURE_SELECT, common + pci::DRIVER_FEATURE),
            Layout::Mmio(base) => (base + mmio::DRIVER_FEATURE_SELECT, base + mmio::DRIVER_FEATURE),
        };
        for (number, half) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.registers.write_u32(select, number);
            self.registers.write_u32(feature, half);
        }
    }

    /// Gives a queue its areas: descriptors, available ring and used ring, which have room for `capacity` descriptors.
    /// Returns how many it has, a power of two.
    ///
    /// # Errors
    /// When there is no such queue, or only one that is larger.
    pub fn set_queue(&self, queue: u16, capacity: u16, areas: [u64; 3]) -> Result<u16, SetupError> {
        let Self { registers, .. } = self;
        let size_max = match self.layout {
            Layout::Pci { common, .. } => {
                registers.write_u16(common + pci::QUEUE_SELECT, queue);
                registers.read_u16(common + pci::QUEUE_SIZE)
            }
            Layout::Mmio(base) => {
                registers.write_u32(base + mmio::QUEUE_SELECT, queue.into());
                registers.read_u32(base + mmio::QUEUE_SIZE_MAX) as u16
            }
        };
        let shift = size_max.min(capacity).checked_ilog2().ok_or(SetupError::NoQueue(queue))?;
        let size = 1 << shift;
        match self.layout {
            Layout::Pci { common, .. } => {
                if size != size_max {
                    registers.write_u16(common + pci::QUEUE_SIZE, size);
                    let kept = registers.read_u16(common + pci::QUEUE_SIZE);
                    (kept == size).then_some(()).ok_or(SetupError::QueueSize(kept))?;
                }
                self.write_areas(common, pci::QUEUE_AREAS, areas);
                registers.write_u16(common + pci::QUEUE_ENABLE, 1);
            }
            Layout::Mmio(base) => {
                registers.write_u32(base + mmio::QUEUE_SIZE, size.into());
                self.write_areas(base, mmio::QUEUE_AREAS, areas);
                registers.write_u32(base + mmio::QUEUE_READY, 1);
            }
        }
        Ok(size)
    }

    fn write_areas(&self, base: usize, offsets: [usize; 3], areas: [u64; 3]) {
        for (offset, address) in offsets.into_iter().zip(areas) {
            self.registers.write_u32(base + offset, address as u32);
            self.registers.write_u32(base + offset + 4, (address >> 32) as u32);
        }
    }

    /// The notification register of the queue that was set last (section 4.1.4.4).
    pub fn notification(&self) -> Notification {
        match self.layout {
            Layout::Pci { common, notify, notify_multiplier, .. } => {
                let offset = self.registers.read_u16(common + pci::QUEUE_NOTIFY_OFFSET);
                let address = notify + usize::from(offset) * notify_multiplier as usize;
                Notification { address, is_wide: false }
            }
            Layout::Mmio(base) => Notification { address: base + mmio::QUEUE_NOTIFY, is_wide: true },
        }
    }

    /// Sends the interrupts of the queue that was set last as message 0; whether the device has room for that (section
    /// 4.1.5.1.2). It has no messages on MMIO.
    pub fn set_message(&self) -> bool {
        let Layout::Pci { common, .. } = self.layout else { return false };
        self.registers.write_u16(common + pci::QUEUE_VECTOR, 0);
        self.registers.read_u16(common + pci::QUEUE_VECTOR) == 0
    }

    /// Ends an interrupt that came by a line.
    pub fn acknowledge(&self) {
        match self.layout {
            Layout::Pci { interrupt_status: Some(address), .. } => {
                self.registers.read_u8(address);
            }
            Layout::Pci { .. } => {}
            Layout::Mmio(base) => {
                self.registers.write_u32(base + mmio::INTERRUPT_ACKNOWLEDGE, mmio::INTERRUPTS);
            }
        }
    }

    fn config(&self, offset: usize) -> Result<usize, SetupError> {
        match self.layout {
            Layout::Pci { config, .. } => config.map(|base| base + offset).ok_or(SetupError::NoConfig),
            Layout::Mmio(base) => Ok(base + mmio::CONFIG + offset),
        }
    }

    /// A byte of the configuration of the device's kind.
    ///
    /// # Errors
    /// Like the others: when it has none.
    pub fn config_u8(&self, offset: usize) -> Result<u8, SetupError> {
        Ok(self.registers.read_u8(self.config(offset)?))
    }

    /// 16 bits of it.
    pub fn config_u16(&self, offset: usize) -> Result<u16, SetupError> {
        Ok(self.registers.read_u16(self.config(offset)?))
    }

    /// 32 bits of it.
    pub fn config_u32(&self, offset: usize) -> Result<u32, SetupError> {
        Ok(self.registers.read_u32(self.config(offset)?))
    }

    /// 64 bits of it, the halves of which belong together (section 2.5.1).
    pub fn config_u64(&self, offset: usize) -> Result<u64, SetupError> {
        let mut before = self.generation();
        for _ in 0..CONFIG_TRIES {
            let (low, high) = (self.config_u32(offset)?, self.config_u32(offset + 4)?);
            let after = self.generation();
            if after == before {
                return Ok(u64::from(high) << 32 | u64::from(low));
            }
            before = after;
        }
        Err(SetupError::Unsteady)
    }

    fn generation(&self) -> u32 {
        match self.layout {
            Layout::Pci { common, .. } => self.registers.read_u8(common + pci::GENERATION).into(),
            Layout::Mmio(base) => self.registers.read_u32(base + mmio::GENERATION),
        }
    }
}

#[cfg(test)]
mod tests;
