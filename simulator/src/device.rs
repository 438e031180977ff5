//! A simulated network card: frames that wait to be read, and frames that were sent. It may make checksums, as one on a
//! tap interface does: then what is sent is completed here.
//!
//! Moves nothing itself; the simulation carries frames between cards.

use std::collections::VecDeque;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use kernel_app::stack::{
    ETHERNET_BYTES, FrameDevice, NET_HEADER_BYTES, PartialChecksum, ReceivedChecksum, Transmitter,
    write_header,
};

/// Frames that wait to be read, as in a receive ring; what comes on top is lost.
pub const RECEIVE_FRAMES_MAX: usize = 256;
/// Frames that wait to be carried, as in a transmit ring.
pub const SEND_FRAMES_MAX: usize = 256;
/// Largest packet of a frame.
const MTU: usize = 1500;

/// The card of one node.
#[derive(Debug, Default)]
pub struct SimulatedDevice {
    /// Each behind its header.
    received: VecDeque<([u8; NET_HEADER_BYTES], Vec<u8>)>,
    sent: SentFrames,
}

impl SimulatedDevice {
    /// One that makes checksums of what is sent, and tells of those that come.
    pub fn with_offload() -> Self {
        Self { sent: SentFrames { makes_checksums: true, ..SentFrames::default() }, ..Self::default() }
    }

    /// A frame arrives; false when it is lost because the ring is full.
    pub fn receive_frame(&mut self, frame: Vec<u8>) -> bool {
        self.receive_packet([0; NET_HEADER_BYTES], frame)
    }

    /// The same, behind a header that says something of its checksum.
    pub fn receive_packet(&mut self, header: [u8; NET_HEADER_BYTES], frame: Vec<u8>) -> bool {
        let fits = self.received.len() < RECEIVE_FRAMES_MAX;
        if fits {
            self.received.push_back((header, frame));
        }
        fits
    }

    /// How many checksums were left to it.
    pub fn checksums_made(&self) -> usize {
        self.sent.made
    }

    /// Takes what was sent since the last call.
    pub fn take_sent(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sent.sent)
    }
}

impl FrameDevice for SimulatedDevice {
    type Transmitter = SentFrames;

    fn mtu(&self) -> usize {
        MTU
    }

    fn peek(&mut self) -> Option<(&[u8], &mut SentFrames)> {
        Some((&self.received.front()?.1, &mut self.sent))
    }

    fn received_checksum(&mut self) -> Option<ReceivedChecksum> {
        let told = self.received.front().filter(|_| self.sent.makes_checksums);
        told.map(|(header, _)| ReceivedChecksum::of_header(header))
    }

    fn skip(&mut self) {
        self.received.pop_front();
    }

    fn transmitter(&mut self) -> &mut SentFrames {
        &mut self.sent
    }
}

/// Frames that were sent, in order, and the one that is being written.
#[derive(Debug, Default)]
pub struct SentFrames {
    sent: Vec<Vec<u8>>,
    next: Vec<u8>,
    makes_checksums: bool,
    /// How many it has made.
    made: usize,
}

impl Transmitter for SentFrames {
    fn has_room(&mut self) -> bool {
        self.sent.len() < SEND_FRAMES_MAX
    }

    fn makes_checksums(&self) -> bool {
        self.makes_checksums
    }

    fn frame(&mut self, frame_bytes: usize) -> &mut [u8] {
        // What a frame before it has left must not be taken for its own.
        self.next = vec![0; frame_bytes];
        &mut self.next
    }

    fn send(&mut self, _: usize, partial: Option<PartialChecksum>) {
        let mut frame = std::mem::take(&mut self.next);
        let mut header = [0; NET_HEADER_BYTES];
        write_header(&mut header, partial);
        if let ReceivedChecksum::Partial(partial) = ReceivedChecksum::of_header(&header) {
            assert!(self.makes_checksums, "a checksum is left to a card that makes none");
            complete(&mut frame, partial);
            self.made += 1;
        }
        if self.has_room() {
            self.sent.push(frame);
        }
    }
}

/// Makes a checksum as virtio 1.2, section 5.1.6.2 has it: the complement of the sum of all pairs (RFC 1071).
fn complete(frame: &mut [u8], PartialChecksum { start, offset }: PartialChecksum) {
    let summed = &mut frame[usize::from(start)..];
    let pair = |pair: &[u8]| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let sum: u32 = summed.chunks(2).map(pair).sum();
    let carried = (sum & 0xffff) + (sum >> 16);
    let checksum = !((carried & 0xffff) + (carried >> 16)) as u16;
    summed[usize::from(offset)..][..2].copy_from_slice(&checksum.to_be_bytes());
}

/// For peers that are plain smoltcp, and make and check checksums by themselves.
impl phy::Device for SimulatedDevice {
    type RxToken<'a> = ReceivedFrame;
    type TxToken<'a> = &'a mut SentFrames;

    fn receive(&mut self, _: Instant) -> Option<(ReceivedFrame, &mut SentFrames)> {
        let (_, frame) = self.received.pop_front()?;
        Some((ReceivedFrame(frame), &mut self.sent))
    }

    fn transmit(&mut self, _: Instant) -> Option<&mut SentFrames> {
        self.sent.has_room().then_some(&mut self.sent)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = ETHERNET_BYTES + MTU;
        capabilities
    }
}

/// One received frame.
pub struct ReceivedFrame(Vec<u8>);

impl phy::RxToken for ReceivedFrame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for &mut SentFrames {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, frame_bytes: usize, fill: F) -> R {
        let result = fill(self.frame(frame_bytes));
        self.send(frame_bytes, None);
        result
    }
}
