//! A split virtqueue of packets: memory through which a driver and a device pass buffers to each other.
//!
//! The driver is this program. The device is a thread of the virtual machine monitor, which reads and writes the same
//! memory from outside the machine. They share three areas (virtio 1.2, section 2.7):
//!
//! ```text
//! descriptors     128 entries: where a buffer is, its length, and which side writes it
//! available ring  written only by the driver: buffers for the device, and an index that counts them
//! used ring       written only by the device: buffers for the driver, and an index that counts them
//! ```
//!
//! A buffer goes round in a circle. [`PacketRing::offer`] puts the number of its descriptor into the next slot of the
//! available ring. [`PacketRing::kick`] increments that ring's index: from now on the device may use the buffer. The
//! device fills the buffer with a received packet, or sends the packet in it, and puts the number into the used ring.
//! [`PacketRing::take`] finds it there. An index is never reset: after 65,535 it continues with 0, and the slot is
//! the index modulo the queue's size. So each side knows the number of new entries from two numbers: the other side's
//! index and its own.
//!
//! There is no lock, because each word has one writer. Only the order matters: a slot must be visible before the
//! index that counts it. So each side stores its index with `Release`, and loads the other side's index with
//! `Acquire`.
//!
//! Notifications are the expensive part. The driver notifies the device by a write to a register (the doorbell),
//! which causes an exit of the virtual machine and costs as much as thousands of instructions. The device notifies
//! the driver by an interrupt. So each side has a flag with which it says that it polls and needs no notification;
//! and here one doorbell write covers all packets of a turn.
//!
//! In general, a descriptor can be given any buffer, and can be chained to others. Here each descriptor keeps one
//! buffer for ever, which is large enough for any packet, and there are no chains. So offering a buffer is one write
//! to a ring, and taking one back is one read.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use virtio_drivers::transport::Transport;

use super::dma::DmaMemory;
use super::transport::{DeviceTransport, Doorbell};

/// Descriptors of a queue.
pub const QUEUE_SIZE: usize = 128;
/// Bytes of one packet's buffer: header, Ethernet frame, and room to align.
pub const BUFFER_BYTES: usize = 2048;
/// A descriptor's flag: the device writes the buffer. Without it, the device reads the buffer (section 2.7.5).
const WRITE: u32 = 2;
/// The available ring's flag: the driver looks by itself, the device need not interrupt (section 2.7.7).
const NO_INTERRUPT: u16 = 1;
/// The used ring's flag: the device looks by itself, the driver need not ring the doorbell (section 2.7.10).
const NO_NOTIFY: u16 = 1;

/// A buffer's place, size and use (section 2.7.5).
#[repr(C)]
struct Descriptor {
    address: AtomicU64,
    length: AtomicU32,
    /// Flags below, the next descriptor of a chain above.
    flags_and_next: AtomicU32,
}

/// What is offered to the device (section 2.7.6).
#[repr(C)]
struct Available {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [AtomicU16; QUEUE_SIZE],
    used_event: AtomicU16,
}

/// What the device is done with (section 2.7.8).
#[repr(C)]
struct Used {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [UsedElement; QUEUE_SIZE],
    available_event: AtomicU16,
}

#[repr(C)]
struct UsedElement {
    descriptor: AtomicU32,
    length: AtomicU32,
}

/// The three parts of a queue, as device and driver share them.
#[repr(C, align(16))]
pub struct Areas {
    descriptors: [Descriptor; QUEUE_SIZE],
    available: Available,
    used: Used,
}

/// Memory of one queue: its areas, and a buffer for each descriptor.
pub struct RingMemory {
    areas: DmaMemory<{ size_of::<Areas>() }>,
    buffers: DmaMemory<{ QUEUE_SIZE * BUFFER_BYTES }>,
}

impl RingMemory {
    /// For a static.
    pub const fn new() -> Self {
        Self { areas: DmaMemory::new(), buffers: DmaMemory::new() }
    }
}

/// Who writes the buffers of a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The device: packets that arrive.
    Device,
    /// The driver: packets that leave.
    Driver,
}

/// A queue that the device does not offer, or only a smaller one.
#[derive(Clone, Copy, Debug)]
pub struct TooSmall;

/// One queue.
pub struct PacketRing {
    areas: &'static Areas,
    buffers: *mut u8,
    doorbell: Doorbell,
    /// How many buffers were offered so far. Like the rings' indices, it goes on with 0 behind 65,535.
    offered: u16,
    /// How many of them the device was told of: the available ring's index.
    told: u16,
    /// How many were taken back. The used ring's index is ahead of it by those that can be.
    taken: u16,
}

impl PacketRing {
    /// Sets a queue up in `memory`, which must be used for nothing else.
    ///
    /// # Errors
    /// When the device has no such queue of [`QUEUE_SIZE`] descriptors.
    pub fn new(
        transport: &mut DeviceTransport,
        queue: u16,
        memory: &'static RingMemory,
        writer: Writer,
    ) -> Result<Self, TooSmall> {
        if (transport.max_queue_size(queue) as usize) < QUEUE_SIZE {
            return Err(TooSmall);
        }
        let start = memory.areas.start().expose_provenance();
        // SAFETY: the memory has the size of the areas, is aligned to a page, and zero is valid for each of
        // their atomics, through which device and driver alone reach it from now on.
        let areas = unsafe { &*core::ptr::with_exposed_provenance::<Areas>(start) };
        let buffers = memory.buffers.start();
        let flags = if writer == Writer::Device { WRITE } else { 0 };
        for (index, descriptor) in areas.descriptors.iter().enumerate() {
            let address = buffers.expose_provenance() + index * BUFFER_BYTES;
            descriptor.address.store(address as u64, Ordering::Relaxed);
            descriptor.length.store(BUFFER_BYTES as u32, Ordering::Relaxed);
            descriptor.flags_and_next.store(flags, Ordering::Relaxed);
        }
        areas.available.flags.store(NO_INTERRUPT, Ordering::Relaxed);
        // Statics lie where virtual and physical addresses are the same.
        let area = |offset: usize| (start + offset) as u64;
        let (available, used) = (area(offset_of!(Areas, available)), area(offset_of!(Areas, used)));
        transport.queue_set(queue, QUEUE_SIZE as u32, area(0), available, used);
        let doorbell = transport.doorbell(queue);
        Ok(Self { areas, buffers, doorbell, offered: 0, told: 0, taken: 0 })
    }

    /// A descriptor's buffer.
    ///
    /// # Safety
    /// It must not be offered, and the caller must not have another reference to it.
    pub unsafe fn buffer(&mut self, descriptor: u16) -> &mut [u8; BUFFER_BYTES] {
        let index = usize::from(descriptor) % QUEUE_SIZE;
        // SAFETY: the index is within the memory; the caller vouches that nobody else uses the buffer.
        unsafe { &mut *self.buffers.add(index * BUFFER_BYTES).cast() }
    }

    /// Offers a descriptor's buffer to the device; the next [`PacketRing::kick`] notifies the device.
    pub fn offer(&mut self, descriptor: u16) {
        let slot = usize::from(self.offered) % QUEUE_SIZE;
        self.areas.available.ring[slot].store(descriptor, Ordering::Relaxed);
        self.offered = self.offered.wrapping_add(1);
    }

    /// The same for a buffer with this number of bytes for the device to read.
    pub fn offer_bytes(&mut self, descriptor: u16, bytes: usize) {
        let index = usize::from(descriptor) % QUEUE_SIZE;
        self.areas.descriptors[index].length.store(bytes as u32, Ordering::Relaxed);
        self.offer(descriptor);
    }

    /// Takes back a buffer that the device is done with: its descriptor, and how many bytes it wrote.
    pub fn take(&mut self) -> Option<(u16, usize)> {
        if !self.has_used() {
            return None;
        }
        let element = &self.areas.used.ring[usize::from(self.taken) % QUEUE_SIZE];
        let descriptor = element.descriptor.load(Ordering::Relaxed);
        let bytes = element.length.load(Ordering::Relaxed) as usize;
        self.taken = self.taken.wrapping_add(1);
        // A device that names a descriptor beyond the queue is broken; it gets one that is within.
        Some(((descriptor as usize % QUEUE_SIZE) as u16, bytes.min(BUFFER_BYTES)))
    }

    /// Whether the device is done with a buffer that was not taken back.
    pub fn has_used(&self) -> bool {
        // `Acquire`: once the new index is seen, so are the slots and the packets that it counts.
        self.areas.used.index.load(Ordering::Acquire) != self.taken
    }

    /// Tells the device of the buffers that were offered since the last kick.
    pub fn kick(&mut self) {
        if self.told == self.offered {
            return;
        }
        self.told = self.offered;
        // The slots must be visible before the index that counts them.
        self.areas.available.index.store(self.offered, Ordering::Release);
        // The index must be visible before the device's flag is read (section 2.7.13). A processor may execute a load
        // before a store that stands in front of it; `Release` does not forbid that. Then this could happen: we read
        // the flag, "do not ring"; the device, about to rest, clears it and looks at the index, which is still the old
        // one; our index arrives. Nobody rings, and both sides wait. The fence keeps store and load in order.
        fence(Ordering::SeqCst);
        if self.areas.used.flags.load(Ordering::Relaxed) & NO_NOTIFY == 0 {
            self.doorbell.ring();
        }
    }

    /// Asks for an interrupt at the next used buffer, or takes that back.
    pub fn want_interrupt(&mut self, wanted: bool) {
        self.areas.available.flags.store(if wanted { 0 } else { NO_INTERRUPT }, Ordering::Relaxed);
        if wanted {
            // The same the other way round: the device must see the flag before the caller looks at the used ring once
            // more and goes to rest (section 2.7.7.1).
            fence(Ordering::SeqCst);
        }
    }
}
