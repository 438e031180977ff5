//! A simulated network card: frames that wait to be read, and frames that were sent.
//!
//! Moves nothing itself; the simulation carries frames between cards.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::stack::FrameDevice;

/// Frames that wait to be read, as in a receive ring; what comes on top is lost.
pub const RECEIVE_FRAMES_MAX: usize = 256;
/// Frames that wait to be carried, as in a transmit ring.
pub const SEND_FRAMES_MAX: usize = 256;
/// Largest frame without its check sequence: Ethernet's header and 1500 bytes.
pub const FRAME_BYTES_MAX: usize = 1514;

/// The card of one node.
#[derive(Debug, Default)]
pub struct SimulatedDevice {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
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
        core::mem::take(&mut self.sent)
    }
}

/// One received frame.
pub struct RxToken(Vec<u8>);

impl phy::RxToken for RxToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Room for one frame.
pub struct TxToken<'a>(&'a mut Vec<Vec<u8>>);

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        // An answer that finds no room is lost.
        if self.0.len() < SEND_FRAMES_MAX {
            self.0.push(frame);
        }
        result
    }
}

impl FrameDevice for SimulatedDevice {
    fn peek(&mut self) -> Option<&[u8]> {
        self.received.front().map(Vec::as_slice)
    }

    fn skip(&mut self) {
        self.received.pop_front();
    }

    fn has_room(&mut self) -> bool {
        self.sent.len() < SEND_FRAMES_MAX
    }
}

impl phy::Device for SimulatedDevice {
    type RxToken<'a> = RxToken;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _: Instant) -> Option<(RxToken, TxToken<'_>)> {
        let frame = self.received.pop_front()?;
        Some((RxToken(frame), TxToken(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<TxToken<'_>> {
        (self.sent.len() < SEND_FRAMES_MAX).then_some(TxToken(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        capabilities
    }
}
