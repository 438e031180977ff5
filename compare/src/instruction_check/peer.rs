//! The other end of a counted guest's network card: voters and a store, on a TCP stack of their own.
//!
//! Speaks only when it is told to, and its clock goes only then, so that what it says does not depend on
//! how busy the host is. Keeps no votes: the store agrees to whatever it is told.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpCidr};
use wire::resp::Framer;

/// The peer's address, which is the guest's gateway.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The guest's address.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// Length of their network's prefix.
pub const PREFIX_BITS: u8 = 24;
/// Where the store listens.
pub const STORE_PORT: u16 = 6379;
/// Where the vote service listens.
const VOTE_PORT: u16 = 8080;
/// The peer's hardware address, locally administered.
const HARDWARE_ADDRESS: [u8; 6] = [0x52, 0x55, 0x0a, 0, 2, 2];
/// Ports of voters, one after the other.
const VOTER_PORTS: std::ops::Range<u16> = 49152..65535;
/// What passes between two times that the peer speaks: less than any retransmission waits.
const TICK: Duration = Duration::from_millis(1);
/// Largest frame: Ethernet's header and 1500 bytes.
const FRAME_BYTES_MAX: usize = 1514;
/// Bytes of a socket's buffers, each way: a burst of responses.
const SOCKET_BYTES: usize = 1 << 16;
/// Counters begin here.
const COUNT_FIRST: usize = 100_000;
/// Longest response.
const RESPONSE_BYTES_MAX: usize = 1 << 16;

/// Voters, a store, and their card.
pub struct Peer {
    card: Card,
    interface: Interface,
    sockets: SocketSet<'static>,
    now: Instant,
    store: Store,
    voters: Vec<Voter>,
    next_port: u16,
}

/// One connection to the guest, open or asked for.
struct Voter {
    handle: SocketHandle,
    /// What is still to be sent.
    request: Vec<u8>,
    response: Vec<u8>,
    keep_alive: bool,
}

/// One connection of the guest to the store.
struct Store {
    handle: SocketHandle,
    framer: Framer,
    input: Vec<u8>,
    commands: usize,
    /// By how much its counter was raised at once.
    leapt: usize,
}

impl Peer {
    /// A peer that speaks to the QEMU that has the other end of `socket`.
    ///
    /// # Errors
    /// When the stack refuses its own settings.
    pub fn new(socket: UdpSocket) -> Result<Self> {
        socket.set_nonblocking(true).context("a socket cannot be asked without waiting")?;
        let mut card = Card { socket, received: VecDeque::new(), sent: Vec::new() };
        let config = Config::new(EthernetAddress(HARDWARE_ADDRESS).into());
        let mut interface = Interface::new(config, &mut card, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // The list has room for one, or the stack could do nothing at all.
            let _ = addresses.push(IpCidr::new(ADDRESS.into(), PREFIX_BITS));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let mut listener = socket_of_tcp();
        listener.listen(STORE_PORT).map_err(|error| anyhow!("the store cannot listen: {error}"))?;
        let handle = sockets.add(listener);
        let store = Store { handle, framer: Framer::new(), input: Vec::new(), commands: 0, leapt: 0 };
        let (voters, next_port) = (Vec::new(), VOTER_PORTS.start);
        Ok(Self { card, interface, sockets, now: Instant::ZERO, store, voters, next_port })
    }

    /// Commands that the guest has sent to the store.
    pub fn store_commands(&self) -> usize {
        self.store.commands
    }

    /// Opens so many connections to the guest; each sends its request as soon as it can.
    ///
    /// # Errors
    /// When the stack refuses one.
    pub fn open(&mut self, count: usize, request: &[u8], keep_alive: bool) -> Result<()> {
        for _ in 0..count {
            let mut socket = socket_of_tcp();
            let context = self.interface.context();
            let connected = socket.connect(context, (GUEST, VOTE_PORT), self.next_port);
            connected.map_err(|error| anyhow!("a voter cannot connect: {error}"))?;
            self.next_port += 1;
            if !VOTER_PORTS.contains(&self.next_port) {
                self.next_port = VOTER_PORTS.start;
            }
            let (request, response) = (request.to_vec(), Vec::new());
            self.voters.push(Voter { handle: self.sockets.add(socket), request, response, keep_alive });
        }
        Ok(())
    }

    /// Sends another request on each open connection.
    pub fn ask(&mut self, request: &[u8]) {
        for voter in &mut self.voters {
            voter.request.extend_from_slice(request);
            voter.response.clear();
        }
    }

    /// Fails unless each connection has been answered well.
    ///
    /// # Errors
    /// When a response is missing, cut off, or no 200.
    pub fn check(&self) -> Result<()> {
        for voter in &self.voters {
            let text = String::from_utf8_lossy(&voter.response);
            ensure!(is_whole(&text)?, "the vote service has not answered more than {text:.80?}");
        }
        Ok(())
    }

    /// Ends all connections of voters; those that are over are forgotten.
    pub fn close(&mut self) {
        for voter in self.voters.drain(..) {
            // The stack sends the reset, if there is anything to reset, when the peer speaks next.
            self.sockets.get_mut::<tcp::Socket>(voter.handle).abort();
        }
    }

    /// Reads what the guest has sent; how many frames that is.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn listen(&mut self) -> Result<usize> {
        self.card.listen()
    }

    /// Answers everything that was heard, and says what there is to say; how many frames that is.
    ///
    /// # Errors
    /// When a frame cannot be sent, or the guest sends the store what is no command.
    pub fn speak(&mut self) -> Result<usize> {
        self.listen()?;
        self.now += TICK;
        self.interface.poll(self.now, &mut self.card, &mut self.sockets);
        self.store.serve(&mut self.sockets)?;
        for voter in &mut self.voters {
            voter.serve(&mut self.sockets)?;
        }
        self.interface.poll(self.now, &mut self.card, &mut self.sockets);
        self.forget_closed();
        self.card.speak()
    }

    /// Sockets without a voter have ended: `close` is the only way to get one.
    fn forget_closed(&mut self) {
        let used =
            |handle| handle == self.store.handle || self.voters.iter().any(|voter| voter.handle == handle);
        let handles = self.sockets.iter().map(|(handle, _)| handle);
        let over: Vec<SocketHandle> = handles.filter(|handle| !used(*handle)).collect();
        for handle in over {
            self.sockets.remove(handle);
        }
    }
}

impl Voter {
    fn serve(&mut self, sockets: &mut SocketSet<'static>) -> Result<()> {
        let socket = sockets.get_mut::<tcp::Socket>(self.handle);
        if socket.can_recv() {
            let read = socket.recv(|bytes| (bytes.len(), self.response.extend_from_slice(bytes)));
            read.map_err(|error| anyhow!("a voter cannot read: {error}"))?;
            ensure!(self.response.len() <= RESPONSE_BYTES_MAX, "a response does not end");
        }
        if socket.can_send() && !self.request.is_empty() {
            let sent = socket.send_slice(&self.request);
            let sent = sent.map_err(|error| anyhow!("a voter cannot write: {error}"))?;
            self.request.drain(..sent);
        }
        if !self.keep_alive && socket.state() == tcp::State::CloseWait {
            socket.close();
        }
        Ok(())
    }
}

/// What a counter says after so many steps.
fn counted(steps: usize) -> String {
    format!(":{}\r\n", COUNT_FIRST + steps)
}

/// The number that a command has as an argument.
fn number(argument: Option<&[u8]>) -> Result<usize> {
    let text = argument.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).context("the counted store is given no number")
}

impl Store {
    fn serve(&mut self, sockets: &mut SocketSet<'static>) -> Result<()> {
        let socket = sockets.get_mut::<tcp::Socket>(self.handle);
        if socket.can_recv() {
            let read = socket.recv(|bytes| (bytes.len(), self.input.extend_from_slice(bytes)));
            read.map_err(|error| anyhow!("the store cannot read: {error}"))?;
        }
        while let Some(frame) = self.framer.next(&self.input).map_err(|error| anyhow!("{error}"))? {
            let reply = match frame.args.get(0) {
                Some(b"PING") => "+PONG\r\n".to_owned(),
                // A length, of a list or of the epochs; the service does not mind which.
                Some(b"RPUSH" | b"HSET" | b"HLEN") => ":1\r\n".to_owned(),
                // How full it is: not at all.
                Some(b"INFO") => "$28\r\nused_memory:0\r\nmaxmemory:0\r\n\r\n".to_owned(),
                // A number that grows, and that keeps its length.
                Some(b"INCR") => counted(self.leapt + self.commands),
                // An epoch leaps ahead of the tickets that were given before it.
                Some(b"INCRBY") => {
                    self.leapt += number(frame.args.get(2))?;
                    counted(self.leapt + self.commands)
                }
                name => bail!("the counted store does not know {:?}", name.map(<[u8]>::escape_ascii)),
            };
            let bytes = frame.bytes;
            self.input.drain(..bytes);
            self.commands += 1;
            let sent = socket
                .send_slice(reply.as_bytes())
                .map_err(|error| anyhow!("the store cannot write: {error}"))?;
            ensure!(sent == reply.len(), "the store's replies are not read");
        }
        Ok(())
    }
}

fn socket_of_tcp() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; SOCKET_BYTES]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    // Nothing waits for time to pass.
    socket.set_ack_delay(None);
    socket.set_nagle_enabled(false);
    socket
}

/// Whether all bytes of a response are there, by its `Content-Length`.
fn is_whole(response: &str) -> Result<bool> {
    let Some((head, body)) = response.split_once("\r\n\r\n") else { return Ok(false) };
    ensure!(head.starts_with("HTTP/1.1 200"), "the vote service answers {head:.80}");
    let header = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned);
    let length = head.lines().find_map(header).context("a response without a length")?;
    Ok(body.len() >= length.trim().parse().context("a response's length is no number")?)
}

/// A card whose cable is a datagram socket: one frame in each datagram.
struct Card {
    socket: UdpSocket,
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Card {
    fn listen(&mut self) -> Result<usize> {
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

    fn speak(&mut self) -> Result<usize> {
        for frame in &self.sent {
            self.socket.send(frame).context("the guest's card takes no frame")?;
        }
        let count = self.sent.len();
        self.sent.clear();
        Ok(count)
    }
}

/// One received frame.
struct RxToken(Vec<u8>);

impl phy::RxToken for RxToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Room for one frame.
struct TxToken<'a>(&'a mut Vec<Vec<u8>>);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_by_its_length_and_only_a_good_one_counts() {
        assert!(!is_whole("").expect("so far good"));
        assert!(!is_whole("HTTP/1.1 200 OK\r\nContent-Le").expect("so far good"));
        assert!(!is_whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").expect("so far good"));
        assert!(is_whole("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").expect("good"));
        assert!(is_whole("HTTP/1.1 200 OK\r\n\r\nabc").is_err());
        assert!(is_whole("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn unanswered_voters_are_counted_and_can_be_ended() {
        let (own, _, other) = cable().expect("ports");
        let guest = UdpSocket::bind(other).expect("the port that QEMU would take");
        guest.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("a limit");
        let mut peer = Peer::new(own).expect("a stack");
        peer.open(2, b"GET / HTTP/1.1\r\n\r\n", false).expect("connections");
        // Nobody has said yet where the guest is: one question, which is not repeated at once.
        assert_eq!(peer.speak().expect("a cable"), 1);
        assert_eq!(peer.speak().expect("a cable"), 0);
        let mut frame = [0; FRAME_BYTES_MAX];
        let bytes = guest.recv(&mut frame).expect("a frame");
        assert_eq!(frame[..bytes][12..14], [0x08, 0x06], "ARP");
        assert!(peer.check().expect_err("nothing was answered").to_string().contains("has not answered"));
        peer.close();
        peer.check().expect("nobody waits any more");
    }
}
