//! A node's network device, and the view that smoltcp gets of it in one call: a device that holds one frame, adds
//! checksums to sent frames, and splits frames that are larger than the path MTU.
//!
//! smoltcp is compiled for each type of device that it is used with. It is used only with this one.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::Route;
use smoltcp::time::Instant;

use super::limits::ETHERNET_BYTES;
use super::offload::{PartialChecksum, ReceivedChecksum};
use super::{checksum, cut};

/// A device that shows a frame before it is received.
pub trait FrameDevice {
    /// Where frames leave it.
    type Transmitter: Transmitter;

    /// Largest packet, without Ethernet's header.
    fn mtu(&self) -> usize;

    /// The frame that has arrived next, which stays the next one; and by what it may be answered.
    fn peek(&mut self) -> Option<(&[u8], &mut Self::Transmitter)>;

    /// What the device says about that frame's checksum, if it says such things.
    fn received_checksum(&mut self) -> Option<ReceivedChecksum> {
        None
    }

    /// Throws that frame away.
    fn skip(&mut self);

    /// Where frames leave it. What is received while there is no room is read all the same; answers to it are lost,
    /// and the platform wakes the loop when there is room.
    fn transmitter(&mut self) -> &mut Self::Transmitter;
}

/// The side of a device by which frames leave.
pub trait Transmitter {
    /// Whether a frame can be sent now.
    fn has_room(&mut self) -> bool;

    /// Whether the device makes the checksums of TCP and UDP.
    fn makes_checksums(&self) -> bool {
        false
    }

    /// The place for the next frame, of this number of bytes. Their content is arbitrary until it is written.
    fn frame(&mut self, frame_bytes: usize) -> &mut [u8];

    /// Sends it. Without room it is lost, as it would be on the wire. A device that makes checksums may be left one.
    fn send(&mut self, frame_bytes: usize, partial: Option<PartialChecksum>);
}

/// The capabilities that smoltcp gets for any device, with this MTU in bytes.
pub(super) fn capabilities(mtu: usize) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ethernet;
    capabilities.max_transmission_unit = ETHERNET_BYTES + mtu;
    capabilities.checksum = ChecksumCapabilities::ignored();
    capabilities
}

/// The device of one call: at most one frame that has come, and where frames leave.
pub(super) struct Device<'a, T> {
    frame: Option<&'a [u8]>,
    transmitter: &'a mut T,
    /// What the way carries.
    mtu: usize,
    /// Whether what is sent goes nowhere.
    is_mute: bool,
    /// The way of the last ordinary segment that was sent.
    pub route: Option<Route>,
}

impl<'a, T> Device<'a, T> {
    /// A device that has received this, whose checksums are right.
    pub fn with_frame(frame: &'a [u8], transmitter: &'a mut T, mtu: usize) -> Self {
        Self { frame: Some(frame), transmitter, mtu, is_mute: false, route: None }
    }

    /// A device that has received nothing.
    pub fn new(transmitter: &'a mut T, mtu: usize) -> Self {
        Self { frame: None, transmitter, mtu, is_mute: false, route: None }
    }

    /// The same, by which nothing is sent: the other side has it already.
    pub fn mute(transmitter: &'a mut T, mtu: usize) -> Self {
        Self { frame: None, transmitter, mtu, is_mute: true, route: None }
    }

    fn sending(&mut self, now: Instant) -> Sending<'_, T> {
        let Self { transmitter, mtu, is_mute, route, .. } = self;
        Sending { transmitter, mtu: *mtu, is_mute: *is_mute, route, now }
    }
}

impl<T: Transmitter> phy::Device for Device<'_, T> {
    type RxToken<'a>
        = Shown<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Sending<'a, T>
    where
        Self: 'a;

    fn receive(&mut self, now: Instant) -> Option<(Shown<'_>, Sending<'_, T>)> {
        let shown = Shown(self.frame.take()?);
        Some((shown, self.sending(now)))
    }

    fn transmit(&mut self, now: Instant) -> Option<Sending<'_, T>> {
        if self.transmitter.has_room() { Some(self.sending(now)) } else { None }
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

/// A frame that is shown.
pub(super) struct Shown<'a>(&'a [u8]);

impl phy::RxToken for Shown<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Room for one frame, behind which others may have to follow.
pub(super) struct Sending<'a, T> {
    transmitter: &'a mut T,
    mtu: usize,
    is_mute: bool,
    route: &'a mut Option<Route>,
    now: Instant,
}

impl<T: Transmitter> phy::TxToken for Sending<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, frame_bytes: usize, fill: F) -> R {
        let Self { transmitter, mtu, is_mute, route, now } = self;
        let by_device = transmitter.makes_checksums();
        let mut whole = Vec::new();
        let is_too_large = frame_bytes > ETHERNET_BYTES + mtu;
        let frame = if is_too_large {
            whole.resize(frame_bytes, 0);
            &mut whole[..]
        } else {
            transmitter.frame(frame_bytes)
        };
        // Called at one place: there is a good deal behind it.
        let result = fill(frame);
        if is_too_large {
            send_cut(&whole, mtu, transmitter);
        } else if !is_mute {
            *route = Route::of_frame(frame, now).or(*route);
            let partial = put_checksums(frame, by_device);
            transmitter.send(frame_bytes, partial);
        }
        result
    }
}

/// Puts the checksums into a frame that is to be sent; what is left to the device, if it makes some.
#[inline]
pub(super) fn put_checksums(frame: &mut [u8], by_device: bool) -> Option<PartialChecksum> {
    if by_device {
        return checksum::fill_by_device(frame);
    }
    checksum::fill(frame);
    None
}

/// Sends a frame in pieces. What cannot be cut goes out as it is.
#[cold]
fn send_cut(whole: &[u8], mtu: usize, transmitter: &mut impl Transmitter) {
    let by_device = transmitter.makes_checksums();
    for piece in cut::cut(whole, mtu).unwrap_or_else(|| vec![whole.to_vec()]) {
        let frame = transmitter.frame(piece.len());
        frame.copy_from_slice(&piece);
        let partial = put_checksums(frame, by_device);
        transmitter.send(piece.len(), partial);
    }
}
