//! The queue of a virtio-blk device with room for one request, and the memory that request lies in.
//!
//! A request is three descriptors: its header, its data as one piece, and its status. Monitors are known that take no
//! other one.
//!
//! Knows no order of requests and no time. References: virtio 1.2, sections 2.7 (split virtqueues) and
//! 5.2.6 (device operation).

use core::ptr;

use crate::disk::{DiskError, WRITE_BYTES_MAX};
use crate::hermit::dma::DmaMemory;
use crate::hermit::transport::DeviceTransport;
use crate::hermit::virtqueue::{Areas, Virtqueue, Writer};
use crate::virtio::transport::SetupError;

/// Descriptors of a request, in the order of their chain.
const HEADER: u16 = 0;
const DATA: u16 = 1;
const STATUS: u16 = 2;
/// Descriptors of the queue, a power of two.
const QUEUE_CAPACITY: usize = 4;
/// Bytes of `type`, `reserved` and `sector` of `virtio_blk_req`.
const HEADER_BYTES: usize = 16;
/// VIRTIO_BLK_S_OK.
const STATUS_OK: u8 = 0;
/// What no device answers.
const STATUS_NONE: u8 = 0xff;
/// Where header and status are behind the data.
const HEADER_AT: usize = WRITE_BYTES_MAX;
const STATUS_AT: usize = HEADER_AT + HEADER_BYTES;

static AREAS: Areas<QUEUE_CAPACITY> = Areas::new();
static MEMORY: DmaMemory<{ STATUS_AT + 1 }> = DmaMemory::new();

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
}

/// One request at a time.
pub struct Requests {
    queue: Virtqueue<QUEUE_CAPACITY>,
    /// The device's as long as a request is pending.
    memory: *mut u8,
    pending: Option<Pending>,
}

impl Requests {
    /// No request yet. Call it once: there is memory for one device.
    ///
    /// # Errors
    /// As for [`Virtqueue::new`].
    pub fn new(transport: &DeviceTransport, queue: u16) -> Result<Self, SetupError> {
        let queue = Virtqueue::new(transport, queue, &AREAS)?;
        let memory = MEMORY.start();
        let at = |offset: usize| (memory.expose_provenance() + offset) as u64;
        queue.set_length(HEADER, HEADER_BYTES);
        queue.describe(STATUS, at(STATUS_AT), Writer::Device, None);
        queue.set_length(STATUS, 1);
        Ok(Self { queue, memory, pending: None })
    }

    /// Asks for at most [`WRITE_BYTES_MAX`] bytes of whole sectors, for [`Requests::copy_to`].
    ///
    /// # Errors
    /// Like the others below: when the device still has an earlier request, given up or not.
    pub fn read(&mut self, sector: u64, bytes: usize) -> Result<(), DiskError> {
        self.submit(Operation::Read, sector, bytes.min(WRITE_BYTES_MAX), |_| {})
    }

    /// Asks to write a copy of whole sectors of at most [`WRITE_BYTES_MAX`] bytes.
    pub fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DiskError> {
        let data = &data[..data.len().min(WRITE_BYTES_MAX)];
        self.submit(Operation::Write, sector, data.len(), |memory| {
            // SAFETY: the memory has room for the data, and nothing is pending: it is the driver's.
            unsafe { ptr::copy_nonoverlapping(data.as_ptr(), memory, data.len()) }
        })
    }

    /// Asks to make safe what was written before.
    pub fn flush(&mut self) -> Result<(), DiskError> {
        self.submit(Operation::Flush, 0, 0, |_| {})
    }

    /// The answer to the pending request, once it is there.
    pub fn poll(&mut self) -> Option<Result<(), DiskError>> {
        let Pending { operation, sector, bytes } = self.pending?;
        // Only this request can be in the ring; a device that says otherwise has not answered it.
        self.queue.take().filter(|(descriptor, _)| *descriptor == HEADER)?;
        self.pending = None;
        // SAFETY: the memory is the driver's again.
        let status = unsafe { self.memory.add(STATUS_AT).read() };
        if status == STATUS_OK {
            return Some(Ok(()));
        }
        log::error!("disk: status {status} for {operation:?} of {bytes} bytes at sector {sector}");
        Some(Err(DiskError::Failed))
    }

    /// Copies what was read, once that has succeeded.
    pub fn copy_to(&self, into: &mut [u8]) {
        let bytes = into.len().min(WRITE_BYTES_MAX);
        debug_assert!(self.pending.is_none());
        // SAFETY: the memory has that many bytes; a request has ended that filled it, and none is pending.
        unsafe { ptr::copy_nonoverlapping(self.memory, into.as_mut_ptr(), bytes) }
    }

    /// Asks for an interrupt at the answer; whether it is there already.
    pub fn arm(&mut self) -> bool {
        self.queue.want_interrupt(true);
        self.queue.has_used()
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

    /// Asks the device, when `fill` has written the data.
    fn submit(
        &mut self,
        operation: Operation,
        sector: u64,
        bytes: usize,
        fill: impl FnOnce(*mut u8),
    ) -> Result<(), DiskError> {
        self.reclaim()?;
        fill(self.memory);
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&u64::from(operation as u32).to_le_bytes());
        header[8..].copy_from_slice(&sector.to_le_bytes());
        // SAFETY: as above, the memory is the driver's, and has room for both.
        unsafe {
            ptr::copy_nonoverlapping(header.as_ptr(), self.memory.add(HEADER_AT), HEADER_BYTES);
            self.memory.add(STATUS_AT).write(STATUS_NONE);
        }
        let (start, queue) = (self.memory.expose_provenance() as u64, &mut self.queue);
        let writer = if operation == Operation::Read { Writer::Device } else { Writer::Driver };
        queue.describe(DATA, start, writer, Some(STATUS));
        queue.set_length(DATA, bytes);
        let second = if bytes > 0 { DATA } else { STATUS };
        queue.describe(HEADER, start + HEADER_AT as u64, Writer::Driver, Some(second));
        // The loop polls while it has work.
        queue.want_interrupt(false);
        queue.offer(HEADER);
        queue.kick();
        self.pending = Some(Pending { operation, sector, bytes });
        Ok(())
    }
}
