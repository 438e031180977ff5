//! virtio-net as a smoltcp device: packet buffers in two virtqueues, kicked once per turn.
//!
//! Offers no offloads and merges no buffers: one packet, one descriptor. Reference: virtio 1.2,
//! sections 2.7 (split virtqueues) and 5.1 (network device).

use core::fmt;
use core::mem::size_of;
use core::sync::atomic::{Ordering, fence};

use bitflags::bitflags;
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;

use super::dma::{DmaMemory, IdentityMapped};
use super::transport::{DeviceTransport, Doorbell};
use crate::stack::FrameDevice;

/// Descriptors of each queue.
const QUEUE_SIZE: usize = 128;
/// Bytes of one packet buffer: header, Ethernet frame, and room to align.
const BUFFER_BYTES: usize = 2048;
/// `virtio_net_hdr` of a device with VIRTIO_F_VERSION_1 (section 5.1.6).
const HEADER_BYTES: usize = 12;
/// Largest Ethernet frame without its check sequence.
const FRAME_BYTES: usize = 1514;
const QUEUE_RECEIVE: u16 = 0;
const QUEUE_TRANSMIT: u16 = 1;

static RECEIVE_MEMORY: DmaMemory<{ QUEUE_SIZE * BUFFER_BYTES }> = DmaMemory::new();
static TRANSMIT_MEMORY: DmaMemory<{ QUEUE_SIZE * BUFFER_BYTES }> = DmaMemory::new();

bitflags! {
    /// The features that this driver understands (sections 5.1.3 and 6).
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const MAC = 1 << 5;
        const VERSION_1 = 1 << 32;
    }
}

type Queue = VirtQueue<IdentityMapped, QUEUE_SIZE>;
type Packet = &'static mut [u8; BUFFER_BYTES];

/// A virtio-net device that cannot be used.
#[derive(Debug)]
pub enum NetDeviceError {
    /// It speaks only the legacy interface.
    Legacy,
    /// It cannot interrupt, so nothing would wake the loop.
    NoInterrupt,
    /// A queue could not be set up.
    Queue(virtio_drivers::Error),
}

impl fmt::Display for NetDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy => f.write_str("virtio-net is a legacy device: start QEMU with disable-legacy=on"),
            Self::NoInterrupt => f.write_str("virtio-net has no MSI-X: start QEMU without vectors=0"),
            Self::Queue(error) => write!(f, "virtio-net cannot be set up: {error}"),
        }
    }
}

impl core::error::Error for NetDeviceError {}

/// One virtio-net device.
pub struct NetDevice {
    transport: DeviceTransport,
    address: [u8; 6],
    receive: ReceiveRing,
    transmit: TransmitRing,
}

impl NetDevice {
    /// Initialises the device behind `transport` (section 3.1.1) and gives it all receive buffers.
    ///
    /// # Errors
    /// When the device is a legacy one or its queues are too small.
    pub fn new(mut transport: DeviceTransport) -> Result<Self, NetDeviceError> {
        let features = transport.begin_init(Features::all());
        if !features.contains(Features::VERSION_1) {
            return Err(NetDeviceError::Legacy);
        }
        let address = transport.read_config_space(0).map_err(NetDeviceError::Queue)?;
        let mut queue =
            |index| Queue::new(&mut *transport, index, false, false).map_err(NetDeviceError::Queue);
        let (transmit, receive) = (queue(QUEUE_TRANSMIT)?, queue(QUEUE_RECEIVE)?);
        // Before DRIVER_OK, at which back ends in the host's kernel bind the vectors (section 3.1.1).
        if !transport.enable_interrupt(QUEUE_RECEIVE) {
            return Err(NetDeviceError::NoInterrupt);
        }
        transport.finish_init();
        let mut device = Self {
            address,
            transmit: TransmitRing::new(transmit, transport.doorbell(QUEUE_TRANSMIT)),
            receive: ReceiveRing::new(receive, transport.doorbell(QUEUE_RECEIVE)),
            transport,
        };
        device.kick();
        Ok(device)
    }

    /// The device's Ethernet address.
    pub fn address(&self) -> [u8; 6] {
        self.address
    }

    /// Tells the device about buffers that were added since the last kick.
    pub fn kick(&mut self) {
        self.transmit.half.kick();
        self.receive.half.kick();
    }

    /// Asks for an interrupt at the next packet; whether one has already arrived.
    pub fn arm(&mut self) -> bool {
        self.transport.acknowledge();
        self.receive.half.queue.set_dev_notify(true);
        // The device must see the request before the ring is looked at (section 2.7.7.1).
        fence(Ordering::SeqCst);
        self.receive.next.is_some() || self.receive.half.queue.can_pop()
    }

    /// Takes the request back: the loop polls while it has work.
    pub fn disarm(&mut self) {
        self.receive.half.queue.set_dev_notify(false);
    }
}

/// A queue, its doorbell, and whether the device has been told of all buffers.
struct Half {
    queue: Queue,
    doorbell: Doorbell,
    told: bool,
}

impl Half {
    fn new(mut queue: Queue, doorbell: Doorbell) -> Self {
        queue.set_dev_notify(false);
        Self { queue, doorbell, told: true }
    }

    fn kick(&mut self) {
        if core::mem::replace(&mut self.told, true) {
            return;
        }
        // The new index must be visible before the device's wish is read (section 2.7.13): the two may
        // otherwise change places, and a doorbell that both sides wait for is never rung.
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            self.doorbell.ring();
        }
    }
}

/// Receive buffers; each is in the queue but for the moment its packet is read.
struct ReceiveRing {
    half: Half,
    /// Buffers by the token of their descriptor.
    buffers: [Option<Packet>; QUEUE_SIZE],
    /// The next packet's buffer and the bytes in it, once it was looked at.
    next: Option<(Packet, usize)>,
}

impl ReceiveRing {
    fn new(queue: Queue, doorbell: Doorbell) -> Self {
        let mut ring =
            Self { half: Half::new(queue, doorbell), buffers: [const { None }; QUEUE_SIZE], next: None };
        for index in 0..QUEUE_SIZE {
            ring.add(packet(&RECEIVE_MEMORY, index));
        }
        ring
    }

    fn add(&mut self, buffer: Packet) {
        // SAFETY: the buffer stays in `buffers`, untouched, until its token is popped.
        let token = unsafe { self.half.queue.add(&[], &mut [&mut buffer[..]]) };
        // There is a descriptor for each buffer, so this cannot fail.
        if let Ok(token) = token {
            self.buffers[usize::from(token)] = Some(buffer);
            self.half.told = false;
        }
    }

    /// The next packet's buffer and the bytes in it.
    fn pop(&mut self) -> Option<(Packet, usize)> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        let token = self.half.queue.peek_used()?;
        let buffer = self.buffers.get_mut(usize::from(token))?.take()?;
        // SAFETY: this is the buffer that was added under this token.
        let written = unsafe { self.half.queue.pop_used(token, &[], &mut [&mut buffer[..]]) };
        // A length that the device cannot have written is an empty packet, which smoltcp drops.
        let written = written.map_or(0, |bytes| bytes as usize).clamp(HEADER_BYTES, BUFFER_BYTES);
        Some((buffer, written))
    }
}

/// Transmit buffers, free or under way.
struct TransmitRing {
    half: Half,
    free: [Option<Packet>; QUEUE_SIZE],
    free_count: usize,
    /// Buffers under way by the token of their descriptor, with their bytes.
    sent: [Option<(Packet, usize)>; QUEUE_SIZE],
}

impl TransmitRing {
    fn new(queue: Queue, doorbell: Doorbell) -> Self {
        Self {
            half: Half::new(queue, doorbell),
            free: core::array::from_fn(|index| Some(packet(&TRANSMIT_MEMORY, index))),
            free_count: QUEUE_SIZE,
            sent: [const { None }; QUEUE_SIZE],
        }
    }

    /// Whether a packet can be sent, after taking back what the device is done with.
    fn has_room(&mut self) -> bool {
        if self.free_count == 0 {
            self.half.kick();
            self.reclaim();
        }
        self.free_count > 0
    }

    fn reclaim(&mut self) {
        while let Some(token) = self.half.queue.peek_used() {
            let Some((buffer, bytes)) = self.sent.get_mut(usize::from(token)).and_then(Option::take) else {
                return;
            };
            // SAFETY: this is the buffer that was added under this token.
            let popped = unsafe { self.half.queue.pop_used(token, &[&buffer[..bytes]], &mut []) };
            debug_assert!(popped.is_ok());
            self.free[self.free_count] = Some(buffer);
            self.free_count += 1;
        }
    }

    fn send<R>(&mut self, frame_bytes: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        self.free_count -= 1;
        let buffer = self.free[self.free_count].take().expect("counted buffers are there");
        // The header of a packet without offloads is all zero, as the memory was from the start.
        let bytes = HEADER_BYTES + frame_bytes;
        let result = fill(&mut buffer[HEADER_BYTES..bytes]);
        // SAFETY: the buffer stays in `sent`, untouched, until its token is popped.
        if let Ok(token) = unsafe { self.half.queue.add(&[&buffer[..bytes]], &mut []) } {
            self.sent[usize::from(token)] = Some((buffer, bytes));
            self.half.told = false;
        }
        result
    }
}

/// A received packet, and where its buffer goes back to.
pub struct RxToken<'a> {
    ring: &'a mut ReceiveRing,
    buffer: Packet,
    bytes: usize,
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        let result = read(&self.buffer[HEADER_BYTES..self.bytes]);
        self.ring.add(self.buffer);
        result
    }
}

/// Room for one packet.
pub struct TxToken<'a>(&'a mut TransmitRing);

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, frame_bytes: usize, fill: F) -> R {
        self.0.send(frame_bytes, fill)
    }
}

impl FrameDevice for NetDevice {
    fn peek(&mut self) -> Option<&[u8]> {
        if self.receive.next.is_none() {
            self.receive.next = self.receive.pop();
        }
        self.receive.next.as_ref().map(|(buffer, bytes)| &buffer[HEADER_BYTES..*bytes])
    }

    fn skip(&mut self) {
        if let Some((buffer, _)) = self.receive.pop() {
            self.receive.add(buffer);
        }
    }
}

impl Device for NetDevice {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities
    }

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        if !self.transmit.has_room() {
            return None;
        }
        let (buffer, bytes) = self.receive.pop()?;
        Some((RxToken { ring: &mut self.receive, buffer, bytes }, TxToken(&mut self.transmit)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        self.transmit.has_room().then_some(TxToken(&mut self.transmit))
    }
}

/// The packet buffer with this index, to be taken once.
fn packet<const BYTES: usize>(memory: &'static DmaMemory<BYTES>, index: usize) -> Packet {
    assert!((index + 1) * BUFFER_BYTES <= BYTES, "packet buffer {index} is beyond its memory");
    // SAFETY: the assertion keeps it within the static, and each index is asked for once, when the only
    // device is set up; `RECEIVE_MEMORY` and `TRANSMIT_MEMORY` are used for nothing else.
    unsafe { &mut *memory.start().add(index * BUFFER_BYTES).cast::<[u8; BUFFER_BYTES]>() }
}

const _: () = assert!(HEADER_BYTES + FRAME_BYTES <= BUFFER_BYTES && size_of::<Features>() == 8);
