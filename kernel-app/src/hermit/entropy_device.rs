//! virtio-rng: random bytes from the host, for machines whose processor has no random generator.
//!
//! It requests one small buffer at a time, and polls until it arrives. Reference: virtio 1.2, section 5.4.

use core::fmt;
use core::time::Duration;

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;

use super::clock::Clock;
use super::dma::{self, HeapMapped, Page};
use super::transport::{DeviceTransport, Doorbell, SetupError};

const QUEUE: u16 = 0;
/// Descriptors of the queue; one is used.
const QUEUE_SIZE: usize = 2;
/// Bytes that are asked for at once.
const BUFFER_BYTES: usize = 8;
/// How long the device may take: the host's own generator is never slow, but the host may be busy.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// A virtio-rng device that cannot be used.
#[derive(Debug)]
pub enum EntropyDeviceError {
    /// It cannot be initialised, as said.
    Setup(SetupError),
    /// It cannot be given a queue.
    Queue(virtio_drivers::Error),
    /// The heap has no memory for it.
    NoMemory,
    /// It gives no bytes.
    NoAnswer,
}

impl fmt::Display for EntropyDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => write!(f, "virtio-rng cannot be used: {error}"),
            Self::Queue(error) => write!(f, "virtio-rng cannot be set up: {error}"),
            Self::NoMemory => f.write_str("no memory for virtio-rng"),
            Self::NoAnswer => write!(f, "virtio-rng gave no bytes in {} s", ANSWER_TIME_MAX.as_secs()),
        }
    }
}

/// One virtio-rng device.
pub struct EntropyDevice {
    queue: VirtQueue<HeapMapped, QUEUE_SIZE>,
    doorbell: Doorbell,
    /// The device's while it is asked.
    memory: &'static mut Page,
    clock: Clock,
    /// It has not answered; the memory is still its own.
    given_up: bool,
    _transport: DeviceTransport,
}

impl EntropyDevice {
    /// Initialises the device behind `transport`.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(mut transport: DeviceTransport, clock: Clock) -> Result<Self, EntropyDeviceError> {
        transport.begin(0, clock).map_err(EntropyDeviceError::Setup)?;
        let [memory] = dma::heap_pages::<1>().ok_or(EntropyDeviceError::NoMemory)?;
        let mut queue =
            VirtQueue::new(&mut *transport, QUEUE, false, false).map_err(EntropyDeviceError::Queue)?;
        // Nothing sleeps until the device answers.
        queue.set_dev_notify(false);
        transport.finish_init();
        let doorbell = transport.doorbell(QUEUE);
        Ok(Self { queue, doorbell, memory, clock, given_up: false, _transport: transport })
    }

    /// A fresh word. Each has a request of its own: bytes that were kept would be a snapshot's as well.
    pub fn word(&mut self) -> Option<u64> {
        if self.given_up || !self.request() {
            return None;
        }
        let bytes = self.memory[..BUFFER_BYTES].try_into().ok()?;
        Some(u64::from_le_bytes(bytes)).filter(|word| *word != 0 && *word != u64::MAX)
    }

    /// Asks for bytes and waits for them; whether they came.
    fn request(&mut self) -> bool {
        let Self { queue, memory, .. } = self;
        memory[..BUFFER_BYTES].fill(0);
        // SAFETY: the memory stays, and is left alone until the device has answered.
        let Ok(token) = (unsafe { queue.add(&[], &mut [&mut memory[..BUFFER_BYTES]]) }) else { return false };
        self.doorbell.ring();
        let queue = &self.queue;
        let answered = self.clock.wait_for(ANSWER_TIME_MAX, || queue.can_pop().then_some(()));
        if answered.is_none() {
            self.given_up = true;
            log::error!("{}", EntropyDeviceError::NoAnswer);
            return false;
        }
        let Self { queue, memory, .. } = self;
        // SAFETY: this is the buffer that was added under this token.
        let written = unsafe { queue.pop_used(token, &[], &mut [&mut memory[..BUFFER_BYTES]]) };
        written.is_ok_and(|bytes| bytes as usize == BUFFER_BYTES)
    }
}
