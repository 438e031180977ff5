//! The queue of a virtio-blk device with room for one request, and the memory that request lies in.
//!
//! Knows no order of requests and no time. References: virtio 1.2, sections 2.7 (split virtqueues) and
//! 5.2.6 (device operation).

use core::sync::atomic::{Ordering, fence};

use virtio_drivers::PAGE_SIZE;
use virtio_drivers::queue::VirtQueue;

use crate::disk::{DiskError, WRITE_BYTES_MAX};
use crate::hermit::dma::{HeapMapped, Page};
use crate::hermit::transport::Doorbell;

/// Pages for the data of one request, each a descriptor of its own.
pub const DATA_PAGES: usize = WRITE_BYTES_MAX / PAGE_SIZE;
/// Most descriptors of a request, with the header and the status.
const DESCRIPTORS_MAX: usize = DATA_PAGES + 2;
/// Descriptors of the queue, a power of two.
const QUEUE_SIZE: usize = DESCRIPTORS_MAX.next_power_of_two();
/// Bytes of `type`, `reserved` and `sector` of `virtio_blk_req`.
const HEADER_BYTES: usize = 16;
/// VIRTIO_BLK_S_OK.
const STATUS_OK: u8 = 0;
/// What no device answers.
const STATUS_NONE: u8 = 0xff;

/// The device's queue.
pub type Queue = VirtQueue<HeapMapped, QUEUE_SIZE>;
/// The data's pages, and one for header and status.
pub type Memory = [Page; DATA_PAGES + 1];

/// What the device can be asked for, with its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Operation {
    /// VIRTIO_BLK_T_IN.
    Read = 0,
    /// VIRTIO_BLK_T_OUT.
    Write = 1,
    /// VIRTIO_BLK_T_FLUSH.
    Flush = 4,
}

/// A request that is with the device.
#[derive(Clone, Copy)]
struct Pending {
    operation: Operation,
    sector: u64,
    bytes: usize,
    token: u16,
}

/// One request at a time.
pub struct Requests {
    queue: Queue,
    doorbell: Doorbell,
    /// The device's as long as a request is pending.
    memory: &'static mut Memory,
    pending: Option<Pending>,
}

impl Requests {
    /// No request yet.
    pub fn new(queue: Queue, doorbell: Doorbell, memory: &'static mut Memory) -> Self {
        Self { queue, doorbell, memory, pending: None }
    }

    /// Asks for at most [`WRITE_BYTES_MAX`] bytes of whole sectors, for [`Requests::copy_to`].
    ///
    /// # Errors
    /// Like the others below: when the device still has an earlier request, given up or not.
    pub fn read(&mut self, sector: u64, bytes: usize) -> Result<(), DiskError> {
        self.reclaim()?;
        self.submit(Operation::Read, sector, bytes)
    }

    /// Asks to write a copy of whole sectors of at most [`WRITE_BYTES_MAX`] bytes.
    pub fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DiskError> {
        self.reclaim()?;
        for (page, piece) in self.memory.iter_mut().zip(data.chunks(PAGE_SIZE)) {
            page[..piece.len()].copy_from_slice(piece);
        }
        self.submit(Operation::Write, sector, data.len())
    }

    /// Asks to make safe what was written before.
    pub fn flush(&mut self) -> Result<(), DiskError> {
        self.reclaim()?;
        self.submit(Operation::Flush, 0, 0)
    }

    /// The answer to the pending request, once it is there.
    pub fn poll(&mut self) -> Option<Result<(), DiskError>> {
        let pending = self.pending?;
        // Only this request can be in the ring; a device that says otherwise has not answered it.
        self.queue.peek_used().filter(|token| *token == pending.token)?;
        let queue = &mut self.queue;
        let popped = with_buffers(self.memory, pending.operation, pending.bytes, |inputs, outputs| {
            // SAFETY: these are the buffers that were added under this token.
            unsafe { queue.pop_used(pending.token, inputs, outputs) }
        });
        self.pending = None;
        let status = self.memory[DATA_PAGES][HEADER_BYTES];
        if popped.is_ok() && status == STATUS_OK {
            return Some(Ok(()));
        }
        let Pending { operation, sector, bytes, .. } = pending;
        log::error!("disk: status {status} for {operation:?} of {bytes} bytes at sector {sector}");
        Some(Err(DiskError::Failed))
    }

    /// Copies what was read, once that has succeeded.
    pub fn copy_to(&self, into: &mut [u8]) {
        for (page, piece) in self.memory.iter().zip(into.chunks_mut(PAGE_SIZE)) {
            piece.copy_from_slice(&page[..piece.len()]);
        }
    }

    /// Asks for an interrupt at the answer; whether it is there already.
    pub fn arm(&mut self) -> bool {
        self.queue.set_dev_notify(true);
        // The device must see the wish before the ring is looked at (section 2.7.7.1).
        fence(Ordering::SeqCst);
        self.queue.can_pop()
    }

    /// Takes back the memory of a request that was given up, if the device has answered it since. Until
    /// then the device may read and write it.
    fn reclaim(&mut self) -> Result<(), DiskError> {
        let late = self.pending.and_then(|_| self.poll());
        if late.is_some() {
            log::warn!("disk: the late request has ended");
        }
        if self.pending.is_none() { Ok(()) } else { Err(DiskError::Failed) }
    }

    fn submit(&mut self, operation: Operation, sector: u64, bytes: usize) -> Result<(), DiskError> {
        let control = &mut self.memory[DATA_PAGES];
        control[..8].copy_from_slice(&u64::from(operation as u32).to_le_bytes());
        control[8..HEADER_BYTES].copy_from_slice(&sector.to_le_bytes());
        control[HEADER_BYTES] = STATUS_NONE;
        // The loop polls while it has work.
        self.queue.set_dev_notify(false);
        let queue = &mut self.queue;
        let added = with_buffers(self.memory, operation, bytes, |inputs, outputs| {
            // SAFETY: the memory stays, and is left alone while the request is pending.
            unsafe { queue.add(inputs, outputs) }
        });
        let token = added.map_err(|_| DiskError::Failed)?;
        self.pending = Some(Pending { operation, sector, bytes, token });
        // As for packets, the index must be visible before the device's wish is read (section 2.7.13).
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            self.doorbell.ring();
        }
        Ok(())
    }
}

/// Calls `act` with the buffers of a request, those that the device reads and those that it writes.
fn with_buffers<R>(
    memory: &mut Memory,
    operation: Operation,
    bytes: usize,
    act: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
) -> R {
    let [data @ .., control] = memory;
    let (header, rest) = control.split_at_mut(HEADER_BYTES);
    let status = &mut rest[..1];
    let pages = bytes.div_ceil(PAGE_SIZE);
    let pieces = data.iter_mut().take(pages).enumerate();
    let pieces = pieces.map(|(index, page)| &mut page[..PAGE_SIZE.min(bytes - index * PAGE_SIZE)]);
    let mut inputs: [&[u8]; DESCRIPTORS_MAX] = [&[]; DESCRIPTORS_MAX];
    let mut outputs: [&mut [u8]; DESCRIPTORS_MAX] = core::array::from_fn(|_| &mut [][..]);
    inputs[0] = header;
    if operation == Operation::Read {
        outputs.iter_mut().zip(pieces).for_each(|(output, piece)| *output = piece);
        outputs[pages] = status;
        act(&inputs[..1], &mut outputs[..=pages])
    } else {
        inputs[1..].iter_mut().zip(pieces).for_each(|(input, piece)| *input = piece);
        outputs[0] = status;
        act(&inputs[..=pages], &mut outputs[..1])
    }
}

const _: () = assert!(WRITE_BYTES_MAX.is_multiple_of(PAGE_SIZE));
