//! A virtqueue of packets: each descriptor keeps one buffer for ever, which is large enough for any packet.
//!
//! In general, a descriptor can be given any buffer, and can be chained to others. Here there are no chains. So
//! offering a buffer is one write to a ring, and taking one back is one read.

use super::dma::DmaMemory;
use super::transport::DeviceTransport;
use super::virtqueue::{Areas, Virtqueue, Writer};
use crate::virtio::transport::SetupError;

/// Packets of a queue.
pub const PACKETS_MAX: usize = 128;
/// Most descriptors of a queue that is used as it is: monitors have queues of 256, and uhyve none but those.
const QUEUE_CAPACITY: usize = 256;
/// Bytes of one packet's buffer: header, Ethernet frame, and room to align.
pub const BUFFER_BYTES: usize = 2048;

/// Memory of one queue: its areas, and the packets' buffers.
pub struct RingMemory {
    areas: Areas<QUEUE_CAPACITY>,
    buffers: DmaMemory<{ PACKETS_MAX * BUFFER_BYTES }>,
}

impl RingMemory {
    /// For a static.
    pub const fn new() -> Self {
        Self { areas: Areas::new(), buffers: DmaMemory::new() }
    }
}

/// One queue.
pub struct PacketRing {
    queue: Virtqueue<QUEUE_CAPACITY>,
    buffers: *mut u8,
    /// How many buffers there are: no more than the queue has descriptors.
    packets: u16,
}

impl core::ops::Deref for PacketRing {
    type Target = Virtqueue<QUEUE_CAPACITY>;

    fn deref(&self) -> &Self::Target {
        &self.queue
    }
}

impl core::ops::DerefMut for PacketRing {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.queue
    }
}

impl PacketRing {
    /// Sets a queue up in `memory`, which must be used for nothing else.
    ///
    /// # Errors
    /// As for [`Virtqueue::new`].
    pub fn new(
        transport: &DeviceTransport,
        queue: u16,
        memory: &'static RingMemory,
        writer: Writer,
    ) -> Result<Self, SetupError> {
        let queue = Virtqueue::new(transport, queue, &memory.areas)?;
        let packets = queue.size().min(PACKETS_MAX as u16);
        let buffers = memory.buffers.start();
        for descriptor in 0..packets {
            let address = buffers.expose_provenance() + usize::from(descriptor) * BUFFER_BYTES;
            queue.describe(descriptor, address as u64, writer, None);
            queue.set_length(descriptor, BUFFER_BYTES);
        }
        Ok(Self { queue, buffers, packets })
    }

    /// How many buffers there are: those of the descriptors from 0 on.
    pub fn packets(&self) -> u16 {
        self.packets
    }

    /// A descriptor's buffer.
    ///
    /// # Safety
    /// It must not be offered, and the caller must not have another reference to it.
    pub unsafe fn buffer(&mut self, descriptor: u16) -> &mut [u8; BUFFER_BYTES] {
        let index = usize::from(descriptor) % PACKETS_MAX;
        // SAFETY: the index is within the memory; the caller vouches that nobody else uses the buffer.
        unsafe { &mut *self.buffers.add(index * BUFFER_BYTES).cast() }
    }

    /// Offers a buffer with this number of bytes for the device to read.
    pub fn offer_bytes(&mut self, descriptor: u16, bytes: usize) {
        self.queue.set_length(descriptor, bytes);
        self.queue.offer(descriptor);
    }

    /// Takes back a buffer that the device is done with: its descriptor, and how many bytes it wrote.
    pub fn take(&mut self) -> Option<(u16, usize)> {
        let (descriptor, bytes) = self.queue.take()?;
        // As there: a broken device's number is brought within.
        Some((descriptor % PACKETS_MAX as u16, bytes.min(BUFFER_BYTES)))
    }
}
