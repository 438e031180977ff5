//! The peer's network card, and the cable to that of the guest: a frame in each datagram.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use anyhow::{Context as _, Result};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// Largest frame: Ethernet's header and 1500 bytes.
pub(super) const FRAME_BYTES_MAX: usize = 1514;

/// A card whose cable is a datagram socket: one frame in each datagram.
pub(super) struct Card {
    socket: UdpSocket,
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Card {
    /// A card at the end of a cable that is this socket.
    ///
    /// # Errors
    /// When the socket cannot be asked without waiting.
    pub(super) fn new(socket: UdpSocket) -> Result<Self> {
        socket.set_nonblocking(true).context("a socket cannot be asked without waiting")?;
        Ok(Self { socket, received: VecDeque::new(), sent: Vec::new() })
    }

    /// Reads the frames that wait; how many these are.
    ///
    /// # Errors
    /// When the socket fails.
    pub(super) fn listen(&mut self) -> Result<usize> {
        let mut frame = [0; FRAME_BYTES_MAX + 1];
        let mut count = 0;
        loop {
            match self.socket.recv(&mut frame) {
                Ok(bytes) => self.received.push_back(frame[..bytes].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(count),
                Err(error) => return Err(error).context("the guest's card is gone"),
            }
            count += 1;
        }
    }

    /// Sends what the stack has written; how many frames that is.
    ///
    /// # Errors
    /// When a frame cannot be sent.
    pub(super) fn speak(&mut self) -> Result<usize> {
        for frame in &self.sent {
            self.socket.send(frame).context("the guest's card takes no frame")?;
        }
        let count = self.sent.len();
        self.sent.clear();
        Ok(count)
    }
}

/// One received frame.
pub(super) struct RxToken(Vec<u8>);

impl phy::RxToken for RxToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Room for one frame.
pub(super) struct TxToken<'a>(&'a mut Vec<Vec<u8>>);

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.push(frame);
        result
    }
}

impl phy::Device for Card {
    type RxToken<'a> = RxToken;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _: Instant) -> Option<(RxToken, TxToken<'_>)> {
        let frame = self.received.pop_front()?;
        Some((RxToken(frame), TxToken(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<TxToken<'_>> {
        Some(TxToken(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        capabilities
    }
}

/// A pair of addresses on this host for a peer and for QEMU, and the peer's socket.
///
/// # Errors
/// When the host has no port left.
pub fn cable() -> Result<(UdpSocket, SocketAddrV4, SocketAddrV4)> {
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free");
    let (own, other) = (bind()?, bind()?);
    let port = |socket: &UdpSocket| -> Result<SocketAddrV4> {
        Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, socket.local_addr()?.port()))
    };
    let (here, there) = (port(&own)?, port(&other)?);
    // What comes from anybody else is not read. QEMU takes the other port over.
    own.connect(there).context("a socket cannot be bound to its other end")?;
    Ok((own, here, there))
}
