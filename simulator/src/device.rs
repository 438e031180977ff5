//! A simulated network card: frames that wait to be read, and frames that were sent.
//!
//! Moves nothing itself; the simulation carries frames between cards.

use std::collections::VecDeque;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use kernel_app::stack::{ETHERNET_BYTES, FrameDevice, Transmitter};

/// Frames that wait to be read, as in a receive ring; what comes on top is lost.
pub const RECEIVE_FRAMES_MAX: usize = 256;
/// Frames that wait to be carried, as in a transmit ring.
pub const SEND_FRAMES_MAX: usize = 256;
/// Largest packet of a frame.
const MTU: usize = 1500;

/// The card of one node.
#[derive(Debug, Default)]
pub struct SimulatedDevice {
    received: VecDeque<Vec<u8>>,
    sent: SentFrames,
}

impl SimulatedDevice {
    /// A frame arrives; false when it is lost because the ring is full.
    pub fn receive_frame(&mut self, frame: Vec<u8>) -> bool {
        let fits = self.received.len() < RECEIVE_FRAMES_MAX;
        if fits {
            self.received.push_back(frame);
        }
        fits
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
        Some((self.received.front()?, &mut self.sent))
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
}

impl Transmitter for SentFrames {
    fn has_room(&mut self) -> bool {
        self.sent.len() < SEND_FRAMES_MAX
    }

    fn frame(&mut self, frame_bytes: usize) -> &mut [u8] {
        // What a frame before it has left must not be taken for its own.
        self.next = vec![0; frame_bytes];
        &mut self.next
    }

    fn send(&mut self, _: usize) {
        let frame = std::mem::take(&mut self.next);
        if self.has_room() {
            self.sent.push(frame);
        }
    }
}

/// For peers that are plain smoltcp, and make and check checksums by themselves.
impl phy::Device for SimulatedDevice {
    type RxToken<'a> = ReceivedFrame;
    type TxToken<'a> = &'a mut SentFrames;

    fn receive(&mut self, _: Instant) -> Option<(ReceivedFrame, &mut SentFrames)> {
        let frame = self.received.pop_front()?;
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
        self.send(frame_bytes);
        result
    }
}
