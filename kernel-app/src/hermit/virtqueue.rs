//! A split virtqueue: memory through which a driver and a device pass buffers to each other.
//!
//! The driver is this program. The device is a thread of the virtual machine monitor, which reads and writes the same
//! memory from outside the machine. They share three areas (virtio 1.2, section 2.7):
//!
//! ```text
//! descriptors     a table: where a buffer is, its length, and which side writes it
//! available ring  written only by the driver: buffers for the device, and an index that counts them
//! used ring       written only by the device: buffers for the driver, and an index that counts them
//! ```
//!
//! A buffer goes round in a circle. [`Virtqueue::offer`] puts the number of its descriptor into the next slot of the
//! available ring. [`Virtqueue::kick`] increments that ring's index: from now on the device may use the buffer. The
//! device fills the buffer with a received packet, or sends the packet in it, and puts the number into the used ring.
//! [`Virtqueue::take`] finds it there. An index is never reset: after 65,535 it continues with 0, and the slot is
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

use core::mem::offset_of;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use super::transport::{DeviceTransport, Doorbell};
use super::uhyve;
use crate::virtio::transport::SetupError;

/// A descriptor's flags: another one follows; and the device writes the buffer, which it reads otherwise (section
/// 2.7.5).
const NEXT: u16 = 1;
const WRITE: u16 = 2;
/// The available ring's flag: the driver looks by itself, the device need not interrupt (section 2.7.7).
const NO_INTERRUPT: u16 = 1;
/// The used ring's flag: the device looks by itself, the driver need not ring the doorbell (section 2.7.10).
const NO_NOTIFY: u16 = 1;

/// A buffer's place, size and use (section 2.7.5).
#[repr(C)]
struct Descriptor {
    address: AtomicU64,
    length: AtomicU32,
    flags: AtomicU16,
    next: AtomicU16,
}

impl Descriptor {
    const fn new() -> Self {
        let (address, length) = (AtomicU64::new(0), AtomicU32::new(0));
        Self { address, length, flags: AtomicU16::new(0), next: AtomicU16::new(0) }
    }
}

/// What is offered to the device (section 2.7.6).
#[repr(C)]
struct Available<const CAPACITY: usize> {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [AtomicU16; CAPACITY],
}

/// What the device is done with (section 2.7.8).
#[repr(C, align(4))]
struct Used<const CAPACITY: usize> {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [UsedElement; CAPACITY],
}

#[repr(C)]
struct UsedElement {
    descriptor: AtomicU32,
    length: AtomicU32,
}

impl UsedElement {
    const fn new() -> Self {
        Self { descriptor: AtomicU32::new(0), length: AtomicU32::new(0) }
    }
}

/// The three areas of a queue of up to `CAPACITY` descriptors, as device and driver share them.
#[repr(C, align(16))]
pub struct Areas<const CAPACITY: usize> {
    descriptors: [Descriptor; CAPACITY],
    available: Available<CAPACITY>,
    used: Used<CAPACITY>,
}

impl<const CAPACITY: usize> Areas<CAPACITY> {
    /// For a static, which lies where virtual and physical addresses are the same.
    pub const fn new() -> Self {
        Self {
            descriptors: [const { Descriptor::new() }; CAPACITY],
            available: Available {
                flags: AtomicU16::new(0),
                index: AtomicU16::new(0),
                ring: [const { AtomicU16::new(0) }; CAPACITY],
            },
            used: Used {
                flags: AtomicU16::new(0),
                index: AtomicU16::new(0),
                ring: [const { UsedElement::new() }; CAPACITY],
            },
        }
    }
}

/// Who writes a buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The device: what arrives.
    Device,
    /// The driver: what leaves.
    Driver,
}

/// One queue, as its driver sees it.
pub struct Virtqueue<const CAPACITY: usize> {
    areas: &'static Areas<CAPACITY>,
    doorbell: Doorbell,
    /// Whether the doorbell is rung also when the device says that it need not: see [`uhyve::forgets_to_look`].
    always_rings: bool,
    /// The number of descriptors less one; that number is a power of two.
    mask: u16,
    /// How many buffers were offered so far. Like the rings' indices, it goes on with 0 behind 65,535.
    offered: u16,
    /// How many of them the device was told of: the available ring's index.
    told: u16,
    /// How many were taken back. The used ring's index is ahead of it by those that can be.
    taken: u16,
}

impl<const CAPACITY: usize> Virtqueue<CAPACITY> {
    /// Sets a queue up in `areas`, which must be used for nothing else.
    ///
    /// # Errors
    /// When the device has no such queue, or only one that is larger.
    pub fn new(
        transport: &DeviceTransport,
        queue: u16,
        areas: &'static Areas<CAPACITY>,
    ) -> Result<Self, SetupError> {
        const { assert!(CAPACITY.is_power_of_two() && CAPACITY <= 1 << 15) };
        let start = (&raw const *areas).expose_provenance();
        let area = |offset: usize| (start + offset) as u64;
        let (available, used) =
            (area(offset_of!(Areas<CAPACITY>, available)), area(offset_of!(Areas<CAPACITY>, used)));
        areas.available.flags.store(NO_INTERRUPT, Ordering::Relaxed);
        let size = transport.set_queue(queue, CAPACITY as u16, [area(0), available, used])?;
        let doorbell = transport.doorbell(queue);
        let always_rings = uhyve::forgets_to_look();
        Ok(Self { areas, doorbell, always_rings, mask: size - 1, offered: 0, told: 0, taken: 0 })
    }

    /// How many descriptors it has.
    pub fn size(&self) -> u16 {
        self.mask + 1
    }

    fn descriptor(&self, descriptor: u16) -> &'static Descriptor {
        &self.areas.descriptors[usize::from(descriptor & self.mask) % CAPACITY]
    }

    /// Gives a descriptor a buffer, and the descriptor that follows in its chain. The buffer must be physically one
    /// piece, and stay.
    pub fn describe(&self, descriptor: u16, address: u64, writer: Writer, next: Option<u16>) {
        let entry = self.descriptor(descriptor);
        let flags = if writer == Writer::Device { WRITE } else { 0 } | if next.is_some() { NEXT } else { 0 };
        entry.address.store(address, Ordering::Relaxed);
        entry.flags.store(flags, Ordering::Relaxed);
        entry.next.store(next.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Says how many bytes its buffer has.
    pub fn set_length(&self, descriptor: u16, bytes: usize) {
        self.descriptor(descriptor).length.store(bytes as u32, Ordering::Relaxed);
    }

    /// Offers the chain that begins with a descriptor to the device; the next [`Virtqueue::kick`] notifies the device.
    pub fn offer(&mut self, descriptor: u16) {
        let slot = usize::from(self.offered & self.mask) % CAPACITY;
        self.areas.available.ring[slot].store(descriptor, Ordering::Relaxed);
        self.offered = self.offered.wrapping_add(1);
    }

    /// Takes back a chain that the device is done with: its first descriptor, and how many bytes the device wrote.
    pub fn take(&mut self) -> Option<(u16, usize)> {
        if !self.has_used() {
            return None;
        }
        let element = &self.areas.used.ring[usize::from(self.taken & self.mask) % CAPACITY];
        let descriptor = element.descriptor.load(Ordering::Relaxed);
        let bytes = element.length.load(Ordering::Relaxed) as usize;
        self.taken = self.taken.wrapping_add(1);
        // A device that names a descriptor beyond the queue is broken; it gets one that is within.
        Some((descriptor as u16 & self.mask, bytes))
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
        if self.always_rings || self.areas.used.flags.load(Ordering::Relaxed) & NO_NOTIFY == 0 {
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
