//! virtio-net as the stack's device: packet buffers in two virtqueues, with one notification per turn.
//!
//! Checksums are left to a device that offers to make and verify them, as one on a tap interface does: see
//! `stack/offload.rs`. There is no segmentation offload, and buffers are not merged: one packet has one descriptor.
//! Reference: virtio 1.2, sections 2.7 (split virtqueues) and 5.1 (network device).

use alloc::boxed::Box;
use core::fmt;

use super::clock::Clock;
use super::packet_ring::{BUFFER_BYTES, PACKETS_MAX, PacketRing, RingMemory};
use super::transport::DeviceTransport;
use super::uhyve;
use super::virtqueue::Writer;
use crate::stack::{
    FrameDevice, NET_HEADER_BYTES, PartialChecksum, ReceivedChecksum, Transmitter, write_header,
};
use crate::virtio::transport::SetupError;
use bitflags::bitflags;

/// What is before each frame.
const HEADER_BYTES: usize = NET_HEADER_BYTES;
/// Largest packet of an Ethernet frame, and the header before it; without check sequence.
const MTU: usize = 1500;
const ETHERNET_BYTES: usize = 14;
/// Largest Ethernet frame.
const FRAME_BYTES: usize = ETHERNET_BYTES + MTU;
/// Where the configuration has the device's own MTU (section 5.1.4).
const CONFIG_MTU: usize = 10;
/// Any device carries this much (RFC 791); one that says less is not believed.
const MTU_LEAST: usize = 576;
const QUEUE_RECEIVE: u16 = 0;
const QUEUE_TRANSMIT: u16 = 1;

static RECEIVE_MEMORY: RingMemory = RingMemory::new();
static TRANSMIT_MEMORY: RingMemory = RingMemory::new();

bitflags! {
    /// The features that this driver understands (sections 5.1.3 and 6).
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        /// It completes checksums of packets that are sent.
        const CSUM = 1 << 0;
        /// It may give packets whose checksum is not made, and say of others that it is right.
        const GUEST_CSUM = 1 << 1;
        const MTU = 1 << 3;
        const MAC = 1 << 5;
    }
}

/// A virtio-net device that cannot be used.
#[derive(Debug)]
pub enum NetDeviceError {
    /// It cannot be initialised.
    Setup(SetupError),
    /// It cannot interrupt, so nothing would wake the loop.
    NoInterrupt,
}

impl fmt::Display for NetDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => write!(f, "virtio-net cannot be used: {error}"),
            Self::NoInterrupt => f.write_str(
                "virtio-net has neither MSI-X nor an interrupt line: start QEMU without vectors=0",
            ),
        }
    }
}

impl core::error::Error for NetDeviceError {}

impl From<SetupError> for NetDeviceError {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

/// One virtio-net device.
pub struct NetDevice {
    transport: DeviceTransport,
    address: [u8; 6],
    mtu: usize,
    receive: ReceiveRing,
    transmit: TransmitRing,
}

impl NetDevice {
    /// Initialises the device behind `transport` (section 3.1.1) and gives it all receive buffers.
    ///
    /// # Errors
    /// When the device is a legacy one, or lacks what the driver needs.
    pub fn new(transport: DeviceTransport, clock: Clock) -> Result<Self, NetDeviceError> {
        let (features, mtu) = negotiate(&transport, clock)?;
        let mut address = [0; 6];
        for (offset, byte) in address.iter_mut().enumerate() {
            *byte = transport.config_u8(offset)?;
        }
        // Each interrupt before DRIVER_OK, at which back ends in the host's kernel bind the vectors (section 3.1.1).
        let ring = |queue, memory, writer| {
            let ring = PacketRing::new(&transport, queue, memory, writer)?;
            if transport.enable_interrupt() { Ok(ring) } else { Err(NetDeviceError::NoInterrupt) }
        };
        let transmit = ring(QUEUE_TRANSMIT, &TRANSMIT_MEMORY, Writer::Driver)?;
        let receive = ring(QUEUE_RECEIVE, &RECEIVE_MEMORY, Writer::Device)?;
        transport.finish();
        let (transmit, receive) =
            (TransmitRing::new(transmit, features), ReceiveRing::new(receive, features));
        let mut device = Self { transport, address, mtu, receive, transmit };
        device.kick();
        Ok(device)
    }

    /// The device's Ethernet address.
    pub fn address(&self) -> [u8; 6] {
        self.address
    }

    /// Tells the device about buffers that were added since the last kick.
    pub fn kick(&mut self) {
        self.transmit.ring.kick();
        self.receive.ring.kick();
    }

    /// Asks for an interrupt at the next packet, and at the next room where there is none; whether one of them is
    /// there already.
    pub fn arm(&mut self) -> bool {
        self.transport.acknowledge();
        self.receive.ring.want_interrupt(true);
        let has_packet = self.receive.next.is_some() || self.receive.ring.has_used();
        let has_new_room = self.transmit.free_count == 0 && {
            self.transmit.ring.want_interrupt(true);
            self.transmit.ring.has_used()
        };
        has_packet || has_new_room
    }

    /// Takes the requests back: the loop polls while it has work.
    pub fn disarm(&mut self) {
        self.receive.ring.want_interrupt(false);
        self.transmit.ring.want_interrupt(false);
    }
}

/// Agrees with the device on features and on the largest packet.
fn negotiate(transport: &DeviceTransport, clock: Clock) -> Result<(Features, usize), NetDeviceError> {
    let agree = |wanted: Features| transport.begin(wanted.bits(), clock).map(Features::from_bits_truncate);
    let mut features = agree(Features::all())?;
    let mut mtu = read_mtu(transport, features)?;
    if mtu > MTU {
        // Who takes a device's MTU has room for such packets (section 5.1.4.1).
        log::info!("the card carries packets of {mtu} bytes; {MTU} are the most that is sent or taken here");
        features = agree(Features::all() - Features::MTU)?;
        mtu = MTU;
    }
    let offloads = [(Features::CSUM, "makes"), (Features::GUEST_CSUM, "verifies")];
    for (_, does) in offloads.iter().filter(|(offload, _)| features.contains(*offload)) {
        log::info!("the card {does} the checksums of TCP and UDP");
    }
    let most = if uhyve::cuts_full_frames() { MTU - ETHERNET_BYTES } else { MTU };
    Ok((features, mtu.min(most)))
}

/// The largest packet that the device carries.
fn read_mtu(transport: &DeviceTransport, features: Features) -> Result<usize, NetDeviceError> {
    if !features.contains(Features::MTU) {
        return Ok(MTU);
    }
    let mtu = transport.config_u16(CONFIG_MTU)?;
    Ok(usize::from(mtu).max(MTU_LEAST))
}

/// Buffers for packets that arrive; all are offered but for that of the packet that is being read.
struct ReceiveRing {
    ring: PacketRing,
    /// Whether the headers of packets say something about checksums.
    verifies_checksums: bool,
    /// The next packet: its descriptor and its bytes, header included.
    next: Option<(u16, usize)>,
}

impl ReceiveRing {
    fn new(mut ring: PacketRing, features: Features) -> Self {
        (0..ring.packets()).for_each(|descriptor| ring.offer(descriptor));
        Self { ring, verifies_checksums: features.contains(Features::GUEST_CSUM), next: None }
    }

    /// The next packet, which stays the next one.
    fn look(&mut self) -> Option<(u16, usize)> {
        if self.next.is_none() {
            self.next = self.ring.take();
        }
        self.next
    }

    /// The header of a packet, and its frame; that is empty when the device wrote less than a header.
    fn parts(&mut self, (descriptor, bytes): (u16, usize)) -> (&[u8; HEADER_BYTES], &[u8]) {
        // SAFETY: a packet that was taken is offered again only by `give_back`, which ends its use.
        let buffer = unsafe { self.ring.buffer(descriptor) };
        let (header, rest) = buffer.split_first_chunk().unwrap_or((&[0; HEADER_BYTES], &[]));
        (header, &rest[..bytes.saturating_sub(HEADER_BYTES)])
    }

    fn give_back(&mut self, (descriptor, _): (u16, usize)) {
        self.ring.offer(descriptor);
    }
}

/// Buffers for packets that leave, free or under way.
pub struct TransmitRing {
    ring: PacketRing,
    free: [u16; PACKETS_MAX],
    free_count: usize,
    /// Whether the device makes checksums.
    makes_checksums: bool,
    /// Where a packet is written for which there is no room.
    lost: Box<[u8; FRAME_BYTES]>,
}

impl TransmitRing {
    fn new(ring: PacketRing, features: Features) -> Self {
        let makes_checksums = features.contains(Features::CSUM);
        let free = core::array::from_fn(|descriptor| descriptor as u16);
        let free_count = usize::from(ring.packets());
        Self { ring, free, free_count, makes_checksums, lost: Box::new([0; FRAME_BYTES]) }
    }

    /// Writes the header of a packet that is sent next.
    #[inline(never)]
    fn write_header(&mut self, descriptor: u16, partial: Option<PartialChecksum>) {
        // SAFETY: a packet is offered only after this.
        let buffer = unsafe { self.ring.buffer(descriptor) };
        if let Some(header) = buffer.first_chunk_mut() {
            write_header(header, partial);
        }
    }

    fn reclaim(&mut self) {
        while self.free_count < PACKETS_MAX
            && let Some((descriptor, _)) = self.ring.take()
        {
            self.free[self.free_count] = descriptor;
            self.free_count += 1;
        }
    }
}

impl Transmitter for TransmitRing {
    fn has_room(&mut self) -> bool {
        if self.free_count == 0 {
            self.ring.kick();
            self.reclaim();
        }
        self.free_count > 0
    }

    fn makes_checksums(&self) -> bool {
        self.makes_checksums
    }

    fn frame(&mut self, frame_bytes: usize) -> &mut [u8] {
        if !self.has_room() {
            return &mut self.lost[..frame_bytes];
        }
        // SAFETY: a free buffer is not offered.
        let buffer = unsafe { self.ring.buffer(self.free[self.free_count - 1]) };
        &mut buffer[HEADER_BYTES..HEADER_BYTES + frame_bytes]
    }

    fn send(&mut self, frame_bytes: usize, partial: Option<PartialChecksum>) {
        if let Some(left) = self.free_count.checked_sub(1) {
            self.free_count = left;
            // Without offloads it is all zero, as the memory was from the start.
            if self.makes_checksums {
                self.write_header(self.free[left], partial);
            }
            self.ring.offer_bytes(self.free[left], HEADER_BYTES + frame_bytes);
        }
    }
}

impl FrameDevice for NetDevice {
    type Transmitter = TransmitRing;

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn peek(&mut self) -> Option<(&[u8], &mut TransmitRing)> {
        let packet = self.receive.look()?;
        Some((self.receive.parts(packet).1, &mut self.transmit))
    }

    fn received_checksum(&mut self) -> Option<ReceivedChecksum> {
        if !self.receive.verifies_checksums {
            return None;
        }
        let packet = self.receive.look()?;
        Some(ReceivedChecksum::of_header(self.receive.parts(packet).0))
    }

    fn skip(&mut self) {
        if let Some(packet) = self.receive.next.take() {
            self.receive.give_back(packet);
        }
    }

    fn transmitter(&mut self) -> &mut TransmitRing {
        &mut self.transmit
    }
}

const _: () = assert!(HEADER_BYTES + FRAME_BYTES <= BUFFER_BYTES && size_of::<Features>() == 8);
