//! The gateway as smoltcp's device: one frame to read, and one station to write to.
//!
//! It is created for each frame and holds nothing.

use smoltcp::phy::{self, Checksum, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::fabric::Fabric;
use crate::frame::FRAME_BYTES_MAX;

/// A device of one frame.
pub struct GatewayDevice<'a> {
    /// The frame that is received, until it is.
    pub frame: Option<&'a [u8]>,
    /// Where frames go.
    pub fabric: &'a mut Fabric,
    /// The station that they go to.
    pub to: usize,
}

/// One received frame.
pub struct RxToken<'a>(&'a [u8]);

/// Room for one frame.
pub struct TxToken<'a> {
    fabric: &'a mut Fabric,
    to: usize,
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        self.fabric.write(self.to, length, write)
    }
}

impl phy::Device for GatewayDevice<'_> {
    type RxToken<'a>
        = RxToken<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = TxToken<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        let frame = self.frame.take()?;
        Some((RxToken(frame), TxToken { fabric: self.fabric, to: self.to }))
    }

    fn transmit(&mut self, _: Instant) -> Option<TxToken<'_>> {
        if self.fabric.is_busy(self.to) {
            return None;
        }
        Some(TxToken { fabric: self.fabric, to: self.to })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        // No bit changes between QEMU and here; whoever looks at a capture wants right sums nevertheless.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}
