//! The device's side of a split virtqueue (virtio 1.2, section 2.7): the driver makes buffers available, the device
//! uses them. Both sides run at the same time, on memory that both can write.
//!
//! ```text
//!  descriptors      available ring: driver → device      used ring: device → driver
//!  ┌ address        ┌ flags                              ┌ flags
//!  │ length         │ index: how many there were         │ index: how many there were
//!  │ flags, next    │ entries: heads of chains           │ entries: head, bytes written
//!  └ ...            └ used_event: signal me from here    └ avail_event: kick me from here
//! ```
//!
//! What the driver writes is a guest's word: every address is checked by `vm-memory`, every index here.

use std::fmt;
use std::sync::atomic::{Ordering, fence};

use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

/// Most descriptors of a queue (section 2.7).
pub const SIZE_MAX: u16 = 1 << 15;
/// Bytes of a descriptor, and of an entry of the used ring.
const DESCRIPTOR_BYTES: u64 = 16;
const USED_BYTES: u64 = 8;
const AVAILABLE_BYTES: u64 = 2;
/// Before a ring's entries: flags and index.
const INDEX: u64 = 2;
const ENTRIES: u64 = 4;
const FLAG_NEXT: u16 = 1;
const FLAG_WRITE: u16 = 2;
const FLAG_INDIRECT: u16 = 4;
/// In either ring's flags, without event indices: do not notify me.
const FLAG_QUIET: u16 = 1;

/// A queue.
#[derive(Debug, Default)]
pub struct Virtqueue {
    /// Descriptors that it has, a power of two.
    size: u16,
    descriptors: u64,
    used: u64,
    available: u64,
    /// The next entry that the driver makes available.
    next_available: u16,
    /// The next entry that the device uses.
    next_used: u16,
    /// What the driver has been told of.
    published: u16,
    /// Whether notifications depend on indices (`VIRTIO_F_EVENT_IDX`).
    has_event_index: bool,
}

/// A buffer, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it is.
    pub address: GuestAddress,
    /// Its bytes.
    pub length: usize,
    /// It is the device that writes it.
    pub is_writable: bool,
}

/// A queue that cannot be used: its driver is out of order.
#[derive(Debug)]
pub enum QueueError {
    /// Its size is none.
    Size(u32),
    /// A part of it is not in the guest's memory.
    Memory(GuestMemoryError),
    /// More entries are available than it has.
    Index(u16),
    /// A descriptor that it does not have, or of an indirect table, which was not offered.
    Descriptor(u16),
    /// A chain that is longer than the queue.
    Endless(u16),
}

impl From<GuestMemoryError> for QueueError {
    fn from(error: GuestMemoryError) -> Self {
        Self::Memory(error)
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(size) => {
                write!(f, "a queue of {size} descriptors, which is no power of two up to {SIZE_MAX}")
            }
            Self::Memory(error) => write!(f, "a queue outside the guest's memory: {error}"),
            Self::Index(index) => {
                write!(f, "available index {index} is further ahead than the queue is long")
            }
            Self::Descriptor(number) => write!(f, "descriptor {number} is none of the queue's"),
            Self::Endless(head) => write!(f, "the chain from descriptor {head} does not end"),
        }
    }
}

impl Virtqueue {
    /// How many descriptors it has from now on.
    ///
    /// # Errors
    /// When that is no power of two, or too many.
    pub fn set_size(&mut self, size: u32) -> Result<(), QueueError> {
        let fits = u16::try_from(size).ok().filter(|size| size.is_power_of_two() && *size <= SIZE_MAX);
        self.size = fits.ok_or(QueueError::Size(size))?;
        Ok(())
    }

    /// Where its descriptors, its used ring and its available ring are.
    pub fn set_areas(&mut self, [descriptors, used, available]: [u64; 3]) {
        (self.descriptors, self.used, self.available) = (descriptors, used, available);
    }

    /// From which entry on it is used.
    pub fn set_base(&mut self, base: u16) {
        (self.next_available, self.next_used, self.published) = (base, base, base);
    }

    /// The entry that is used next.
    pub fn base(&self) -> u16 {
        self.next_available
    }

    /// Whether notifications depend on indices.
    pub fn set_event_index(&mut self, has_event_index: bool) {
        self.has_event_index = has_event_index;
    }

    /// The head of the next chain that is available.
    ///
    /// # Errors
    /// When the driver's index or head is none, or not in its memory.
    pub fn pop(&mut self, memory: &GuestMemoryMmap) -> Result<Option<u16>, QueueError> {
        let index = self.available_index(memory)?;
        let waiting = index.wrapping_sub(self.next_available);
        if waiting == 0 {
            return Ok(None);
        }
        if waiting > self.size {
            return Err(QueueError::Index(index));
        }
        let entry = u64::from(self.next_available & (self.size - 1)) * AVAILABLE_BYTES;
        let head = memory.load(at(self.available, ENTRIES + entry), Ordering::Relaxed)?;
        self.next_available = self.next_available.wrapping_add(1);
        Ok(Some(u16::from_le(head)))
    }

    /// Hands on the parts of a chain, in their order.
    ///
    /// # Errors
    /// When the chain leads out of the queue or does not end; and what `each` says.
    pub fn chain<E: From<QueueError>>(
        &self,
        memory: &GuestMemoryMmap,
        head: u16,
        mut each: impl FnMut(Part) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut number = head;
        for _ in 0..self.size {
            let (part, next) = self.descriptor(memory, number)?;
            each(part)?;
            match next {
                Some(next) => number = next,
                None => return Ok(()),
            }
        }
        Err(QueueError::Endless(head).into())
    }

    fn descriptor(&self, memory: &GuestMemoryMmap, number: u16) -> Result<(Part, Option<u16>), QueueError> {
        if number >= self.size {
            return Err(QueueError::Descriptor(number));
        }
        let mut bytes = [0; DESCRIPTOR_BYTES as usize];
        memory.read_slice(&mut bytes, at(self.descriptors, u64::from(number) * DESCRIPTOR_BYTES))?;
        // Address, length, flags, next (section 2.7.5).
        let bits = u128::from_le_bytes(bytes);
        let (flags, next) = ((bits >> 96) as u16, (bits >> 112) as u16);
        if flags & FLAG_INDIRECT != 0 {
            return Err(QueueError::Descriptor(number));
        }
        let part = Part {
            address: GuestAddress(bits as u64),
            length: (bits >> 64) as u32 as usize,
            is_writable: flags & FLAG_WRITE != 0,
        };
        Ok((part, (flags & FLAG_NEXT != 0).then_some(next)))
    }

    /// Gives a chain back, of which this many bytes were written. The driver learns of it by
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    /// When the used ring is not in the guest's memory.
    pub fn push(&mut self, memory: &GuestMemoryMmap, head: u16, written: u32) -> Result<(), QueueError> {
        let entry = u64::from(self.next_used & (self.size - 1)) * USED_BYTES;
        let element = u64::from(written) << 32 | u64::from(head);
        memory.write_obj(element.to_le(), at(self.used, ENTRIES + entry))?;
        self.next_used = self.next_used.wrapping_add(1);
        Ok(())
    }

    /// Tells the driver what was given back; whether it wants to be signalled.
    ///
    /// # Errors
    /// When a ring is not in the guest's memory.
    pub fn publish(&mut self, memory: &GuestMemoryMmap) -> Result<bool, QueueError> {
        let before = std::mem::replace(&mut self.published, self.next_used);
        if before == self.next_used {
            return Ok(false);
        }
        // The entries are seen before the index is.
        memory.store(self.next_used.to_le(), at(self.used, INDEX), Ordering::Release)?;
        // The driver writes its wish, then looks at the index; here it is the other way round. One of the two sees what
        // the other one wrote (section 2.7.10).
        fence(Ordering::SeqCst);
        if !self.has_event_index {
            let flags: u16 = memory.load(at(self.available, 0), Ordering::Relaxed)?;
            return Ok(u16::from_le(flags) & FLAG_QUIET == 0);
        }
        let place = at(self.available, ENTRIES + u64::from(self.size) * AVAILABLE_BYTES);
        let event: u16 = memory.load(place, Ordering::Relaxed)?;
        Ok(is_passed(u16::from_le(event), self.next_used, before))
    }

    /// Asks to be kicked when the next chain becomes available; whether one is by now.
    ///
    /// # Errors
    /// When a ring is not in the guest's memory.
    pub fn await_kick(&mut self, memory: &GuestMemoryMmap) -> Result<bool, QueueError> {
        if self.has_event_index {
            let place = at(self.used, ENTRIES + u64::from(self.size) * USED_BYTES);
            memory.store(self.next_available.to_le(), place, Ordering::Relaxed)?;
        } else {
            memory.store(0_u16, at(self.used, 0), Ordering::Relaxed)?;
        }
        // As in `publish`: the wish is written before the index is looked at.
        fence(Ordering::SeqCst);
        Ok(self.available_index(memory)? != self.next_available)
    }

    /// How many chains the driver has made available. The chains are seen once it is.
    fn available_index(&self, memory: &GuestMemoryMmap) -> Result<u16, QueueError> {
        Ok(u16::from_le(memory.load(at(self.available, INDEX), Ordering::Acquire)?))
    }
}

/// Whether `event` is among the entries from `before` to before `now` (`vring_need_event` in section 2.7.10).
fn is_passed(event: u16, now: u16, before: u16) -> bool {
    now.wrapping_sub(event).wrapping_sub(1) < now.wrapping_sub(before)
}

/// A place in an area. One that is beyond all addresses is in no memory, and refused there.
fn at(area: u64, offset: u64) -> GuestAddress {
    GuestAddress(area.saturating_add(offset))
}
