//! virtio-blk as a disk, with one request at a time, and a flush after each write except for writes that may wait for
//! a later flush.
//!
//! It merges nothing and caches nothing: the service decides what is written together. Reference: virtio 1.2, section
//! 5.2 (block device).

mod requests;

use alloc::rc::Rc;
use core::cell::RefCell;
use core::fmt;
use core::time::Duration;

use super::clock::Clock;
use super::transport::DeviceTransport;
use crate::disk::{Disk, DiskError, SECTOR_BYTES, WRITE_BYTES_MAX};
use crate::virtio::transport::SetupError;
use bitflags::bitflags;
use requests::Requests;
use wire::Instant;

/// How long the device may take to answer a request: disks that are overworked take seconds.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
const QUEUE: u16 = 0;
/// Where the configuration has the number of sectors (section 5.2.4).
const CONFIG_CAPACITY: usize = 0;

bitflags! {
    /// The features that this driver understands (sections 5.2.3 and 6).
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const READ_ONLY = 1 << 5;
        const FLUSH = 1 << 9;
    }
}

/// A virtio-blk device that cannot be used.
#[derive(Debug)]
pub enum BlockDeviceError {
    /// It cannot be initialised.
    Init(SetupError),
    /// It takes no writes.
    ReadOnly,
    /// It takes no flush, so nothing would ever say that a write is safe (section 5.2.6.2).
    NoFlush,
    /// It cannot interrupt, so nothing would wake the loop.
    NoInterrupt,
}

impl fmt::Display for BlockDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init(error) => write!(f, "virtio-blk cannot be used: {error}"),
            Self::ReadOnly => f.write_str("virtio-blk takes no writes: start QEMU without readonly=on"),
            Self::NoFlush => f.write_str("virtio-blk takes no flush: start a VMM whose disk has a cache"),
            Self::NoInterrupt => f.write_str(
                "virtio-blk has neither MSI-X nor an interrupt line: start QEMU without vectors=0",
            ),
        }
    }
}

impl core::error::Error for BlockDeviceError {}

impl From<SetupError> for BlockDeviceError {
    fn from(error: SetupError) -> Self {
        Self::Init(error)
    }
}

/// One virtio-blk device.
struct BlockDevice {
    transport: DeviceTransport,
    requests: Requests,
    sectors: u64,
    clock: Clock,
    write: WriteState,
    /// Whether a flush follows the write under way.
    flushes: bool,
    /// When the request under way is given up.
    deadline: Instant,
}

/// How far a write is.
#[derive(Clone, Copy)]
enum WriteState {
    /// There is none.
    Idle,
    /// It could not even begin.
    Refused(DiskError),
    /// It is with the device.
    Writing,
    /// It has ended, and its flush is with the device.
    Flushing,
}

impl BlockDevice {
    fn new(transport: DeviceTransport, clock: Clock) -> Result<Self, BlockDeviceError> {
        let features = transport.begin(Features::all().bits(), clock)?;
        check(Features::from_bits_truncate(features))?;
        let sectors = transport.config_u64(CONFIG_CAPACITY)?;
        let requests = Requests::new(&transport, QUEUE)?;
        // Before DRIVER_OK, as for the network.
        if !transport.enable_interrupt() {
            return Err(BlockDeviceError::NoInterrupt);
        }
        transport.finish();
        Ok(Self {
            transport,
            requests,
            sectors,
            clock,
            write: WriteState::Idle,
            flushes: true,
            deadline: Instant::ZERO,
        })
    }

    fn read(&mut self, mut sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.check_range(sector, into.len())?;
        for piece in into.chunks_mut(WRITE_BYTES_MAX) {
            self.requests.read(sector, piece.len())?;
            self.wait()?;
            self.requests.copy_to(piece);
            sector += (piece.len() / SECTOR_BYTES) as u64;
        }
        Ok(())
    }

    /// Waits for an answer without sleeping.
    fn wait(&mut self) -> Result<(), DiskError> {
        let deadline = self.clock.now() + ANSWER_TIME_MAX;
        loop {
            if let Some(answer) = self.requests.poll() {
                return answer;
            }
            if self.clock.now() >= deadline {
                return Err(given_up());
            }
            core::hint::spin_loop();
        }
    }

    fn write(&mut self, sector: u64, data: &[u8], flushes: bool, now: Instant) {
        let range = self.check_write(sector, data.len());
        let begun = range.and_then(|()| self.requests.write(sector, data));
        self.write = begun.map_or_else(WriteState::Refused, |()| WriteState::Writing);
        self.flushes = flushes;
        self.deadline = now + ANSWER_TIME_MAX;
    }

    fn outcome(&mut self, now: Instant) -> Option<Result<(), DiskError>> {
        let answer = match self.write {
            WriteState::Idle => return None,
            WriteState::Refused(error) => Err(error),
            WriteState::Writing | WriteState::Flushing => match self.requests.poll() {
                Some(answer) => answer,
                None if now < self.deadline => return None,
                None => Err(given_up()),
            },
        };
        // A write is safe when a flush has ended that was asked for after its end (section 5.2.6.2): so are those
        // before it that have ended without.
        let written = matches!(self.write, WriteState::Writing) && answer.is_ok() && self.flushes;
        let outcome = if written { self.requests.flush() } else { answer };
        if written && outcome.is_ok() {
            self.write = WriteState::Flushing;
            self.deadline = now + ANSWER_TIME_MAX;
            return None;
        }
        self.write = WriteState::Idle;
        Some(outcome)
    }

    fn check_write(&self, sector: u64, bytes: usize) -> Result<(), DiskError> {
        if bytes == 0 || bytes > WRITE_BYTES_MAX {
            return Err(DiskError::Failed);
        }
        self.check_range(sector, bytes)
    }

    fn check_range(&self, sector: u64, bytes: usize) -> Result<(), DiskError> {
        let end = sector.checked_add((bytes / SECTOR_BYTES) as u64);
        match end {
            _ if !bytes.is_multiple_of(SECTOR_BYTES) => Err(DiskError::Failed),
            Some(end) if end <= self.sectors => Ok(()),
            _ => Err(DiskError::OutOfRange),
        }
    }
}

fn check(features: Features) -> Result<(), BlockDeviceError> {
    if features.contains(Features::READ_ONLY) {
        return Err(BlockDeviceError::ReadOnly);
    }
    if features.contains(Features::FLUSH) { Ok(()) } else { Err(BlockDeviceError::NoFlush) }
}

/// The device keeps the memory of such a request until it answers: see [`Requests`].
fn given_up() -> DiskError {
    log::error!("disk: no answer for {} s", ANSWER_TIME_MAX.as_secs());
    DiskError::Failed
}

/// The device as two see it: the runtime as its disk, and the loop that sleeps until it interrupts.
#[derive(Clone)]
pub struct SharedBlockDevice(Rc<RefCell<BlockDevice>>);

impl SharedBlockDevice {
    /// Initialises the device behind `transport` (sections 3.1.1 and 5.2.5).
    ///
    /// # Errors
    /// When the device cannot keep what it is given, or lacks what the driver needs.
    pub fn open(transport: DeviceTransport, clock: Clock) -> Result<Self, BlockDeviceError> {
        Ok(Self(Rc::new(RefCell::new(BlockDevice::new(transport, clock)?))))
    }

    /// Asks for an interrupt at the end of a request under way; whether something has ended already.
    pub fn arm(&self) -> bool {
        let BlockDevice { transport, requests, write, .. } = &mut *self.0.borrow_mut();
        match write {
            WriteState::Idle => false,
            WriteState::Refused(_) => true,
            WriteState::Writing | WriteState::Flushing => {
                transport.acknowledge();
                requests.arm()
            }
        }
    }
}

impl Disk for SharedBlockDevice {
    fn sectors(&self) -> u64 {
        self.0.borrow().sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.0.borrow_mut().read(sector, into)
    }

    fn write(&mut self, sector: u64, data: &[u8], now: Instant) {
        self.0.borrow_mut().write(sector, data, true, now);
    }

    fn write_ahead(&mut self, sector: u64, data: &[u8], now: Instant) {
        self.0.borrow_mut().write(sector, data, false, now);
    }

    fn outcome(&mut self, now: Instant) -> Option<Result<(), DiskError>> {
        self.0.borrow_mut().outcome(now)
    }

    fn is_busy(&self) -> bool {
        !matches!(self.0.borrow().write, WriteState::Idle)
    }

    /// When the device is given up; its answer comes before, with an interrupt.
    fn next_deadline(&self) -> Option<Instant> {
        self.is_busy().then(|| self.0.borrow().deadline)
    }
}
