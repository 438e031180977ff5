//! virtio-rng: random bytes from the host, for machines whose processor has no random generator.
//!
//! It requests one small buffer at a time, and polls until it arrives. Reference: virtio 1.2, section 5.4.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use super::clock::Clock;
use super::transport::DeviceTransport;
use super::virtqueue::{Areas, Virtqueue, Writer};
use crate::virtio::transport::SetupError;

const QUEUE: u16 = 0;
/// Descriptors of the queue; one is used.
const QUEUE_CAPACITY: usize = 2;
const DESCRIPTOR: u16 = 0;
/// How long the device may take: the host's own generator is never slow, but the host may be busy.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

static AREAS: Areas<QUEUE_CAPACITY> = Areas::new();
/// What the device writes.
static WORD: AtomicU64 = AtomicU64::new(0);

/// A virtio-rng device that cannot be used.
#[derive(Debug)]
pub enum EntropyDeviceError {
    /// It cannot be initialised, as said.
    Setup(SetupError),
    /// It gives no bytes.
    NoAnswer,
}

impl fmt::Display for EntropyDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => write!(f, "virtio-rng cannot be used: {error}"),
            Self::NoAnswer => write!(f, "virtio-rng gave no bytes in {} s", ANSWER_TIME_MAX.as_secs()),
        }
    }
}

/// One virtio-rng device.
pub struct EntropyDevice {
    queue: Virtqueue<QUEUE_CAPACITY>,
    clock: Clock,
    /// It has not answered; the word is still its own.
    given_up: bool,
}

impl EntropyDevice {
    /// Initialises the device behind `transport`.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(transport: &DeviceTransport, clock: Clock) -> Result<Self, EntropyDeviceError> {
        let open = || {
            transport.begin(0, clock)?;
            // Nothing sleeps until the device answers: it need not interrupt.
            let queue = Virtqueue::new(transport, QUEUE, &AREAS)?;
            queue.describe(DESCRIPTOR, WORD.as_ptr().expose_provenance() as u64, Writer::Device, None);
            queue.set_length(DESCRIPTOR, size_of::<u64>());
            transport.finish();
            Ok(queue)
        };
        Ok(Self { queue: open().map_err(EntropyDeviceError::Setup)?, clock, given_up: false })
    }

    /// A fresh word. Each has a request of its own: bytes that were kept would be a snapshot's as well.
    pub fn word(&mut self) -> Option<u64> {
        if self.given_up {
            return None;
        }
        WORD.store(0, Ordering::Relaxed);
        self.queue.offer(DESCRIPTOR);
        self.queue.kick();
        let Self { queue, clock, .. } = self;
        let Some((_, bytes)) = clock.wait_for(ANSWER_TIME_MAX, || queue.take()) else {
            self.given_up = true;
            log::error!("{}", EntropyDeviceError::NoAnswer);
            return None;
        };
        let is_whole = bytes == size_of::<u64>();
        Some(WORD.load(Ordering::Relaxed)).filter(|word| is_whole && *word != 0 && *word != u64::MAX)
    }
}
