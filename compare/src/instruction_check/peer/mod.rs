//! The other end of a counted guest's network card: its clients and its store, on a TCP stack of their own.
//!
//! Speaks only when it is told to, and its clock goes only then, so that what it says does not depend on
//! how busy the host is.

mod card;
mod client;
mod store;

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Result, anyhow, ensure};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpCidr};

use card::Card;
use client::Client;
use store::Store;

pub use card::cable;

/// The peer's address, which is the guest's gateway.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The guest's address.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// Length of their network's prefix.
pub const PREFIX_BITS: u8 = 24;
/// Where the store listens.
pub const STORE_PORT: u16 = 6379;
/// The peer's hardware address, locally administered.
const HARDWARE_ADDRESS: [u8; 6] = [0x52, 0x55, 0x0a, 0, 2, 2];
/// Ports of clients, one after the other.
const CLIENT_PORTS: std::ops::Range<u16> = 49152..65535;
/// What passes between two times that the peer speaks: less than any retransmission waits.
const TICK: Duration = Duration::from_millis(1);
/// Bytes of a socket's buffers, each way: a burst of responses.
const SOCKET_BYTES: usize = 1 << 16;

/// Clients, a store, and their card.
pub struct Peer {
    card: Card,
    interface: Interface,
    sockets: SocketSet<'static>,
    now: Instant,
    store: Store,
    clients: Vec<Client>,
    next_port: u16,
}

impl Peer {
    /// A peer that speaks to the QEMU that has the other end of `socket`.
    ///
    /// # Errors
    /// When the stack refuses its own settings.
    pub fn new(socket: UdpSocket) -> Result<Self> {
        let mut card = Card::new(socket)?;
        let config = Config::new(EthernetAddress(HARDWARE_ADDRESS).into());
        let mut interface = Interface::new(config, &mut card, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // The list has room for one, or the stack could do nothing at all.
            let _ = addresses.push(IpCidr::new(ADDRESS.into(), PREFIX_BITS));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let mut listener = socket_of_tcp();
        listener.listen(STORE_PORT).map_err(|error| anyhow!("the store cannot listen: {error}"))?;
        let store = Store::new(sockets.add(listener))?;
        let (clients, next_port) = (Vec::new(), CLIENT_PORTS.start);
        Ok(Self { card, interface, sockets, now: Instant::ZERO, store, clients, next_port })
    }

    /// How often the guest has asked the store something.
    pub fn store_requests(&self) -> usize {
        self.store.requests()
    }

    /// What the store answers to one who is not the guest.
    ///
    /// # Errors
    /// When the store ends the connection.
    pub fn ask_store(&mut self, command: &[u8]) -> Result<String> {
        self.store.ask(command)
    }

    /// Opens so many connections to a port of the guest; each sends its request as soon as it can.
    ///
    /// # Errors
    /// When the stack refuses one.
    pub fn open(&mut self, port: u16, count: usize, request: &[u8], keep_alive: bool) -> Result<()> {
        for _ in 0..count {
            let mut socket = socket_of_tcp();
            let context = self.interface.context();
            let connected = socket.connect(context, (GUEST, port), self.next_port);
            connected.map_err(|error| anyhow!("a client cannot connect: {error}"))?;
            self.next_port += 1;
            if !CLIENT_PORTS.contains(&self.next_port) {
                self.next_port = CLIENT_PORTS.start;
            }
            self.clients.push(Client::new(self.sockets.add(socket), request, keep_alive));
        }
        Ok(())
    }

    /// Sends another request on each open connection.
    pub fn ask(&mut self, request: &[u8]) {
        self.clients.iter_mut().for_each(|client| client.ask(request));
    }

    /// Fails unless each connection has been answered well, as `is_whole` says of its response.
    ///
    /// # Errors
    /// When a response is missing, cut off, or wrong.
    pub fn check(&self, is_whole: impl Fn(&str) -> Result<bool>) -> Result<()> {
        for client in &self.clients {
            let text = client.response();
            ensure!(is_whole(&text)?, "the guest has not answered more than {text:.80?}");
        }
        Ok(())
    }

    /// Ends all connections of clients; those that are over are forgotten.
    pub fn close(&mut self) {
        for client in self.clients.drain(..) {
            // The stack sends the reset, if there is anything to reset, when the peer speaks next.
            self.sockets.get_mut::<tcp::Socket>(client.handle).abort();
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
    /// When a frame cannot be sent, or the guest and its store part.
    pub fn speak(&mut self) -> Result<usize> {
        self.listen()?;
        self.now += TICK;
        self.interface.poll(self.now, &mut self.card, &mut self.sockets);
        self.store.serve(&mut self.sockets, TICK.into())?;
        for client in &mut self.clients {
            client.serve(&mut self.sockets)?;
        }
        self.interface.poll(self.now, &mut self.card, &mut self.sockets);
        self.forget_closed();
        self.card.speak()
    }

    /// Sockets without a client have ended: `close` is the only way to get one.
    fn forget_closed(&mut self) {
        let used =
            |handle| handle == self.store.handle || self.clients.iter().any(|client| client.handle == handle);
        let handles = self.sockets.iter().map(|(handle, _)| handle);
        let over: Vec<SocketHandle> = handles.filter(|handle| !used(*handle)).collect();
        for handle in over {
            self.sockets.remove(handle);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unanswered_clients_are_counted_and_can_be_ended() {
        let (own, _, other) = cable().expect("ports");
        let guest = UdpSocket::bind(other).expect("the port that QEMU would take");
        guest.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("a limit");
        let mut peer = Peer::new(own).expect("a stack");
        peer.open(8080, 2, b"GET / HTTP/1.1\r\n\r\n", false).expect("connections");
        // Nobody has said yet where the guest is: one question, which is not repeated at once.
        assert_eq!(peer.speak().expect("a cable"), 1);
        assert_eq!(peer.speak().expect("a cable"), 0);
        let mut frame = [0; card::FRAME_BYTES_MAX];
        let bytes = guest.recv(&mut frame).expect("a frame");
        assert_eq!(frame[..bytes][12..14], [0x08, 0x06], "ARP");
        let error = peer.check(|_| Ok(false)).expect_err("nothing was answered");
        assert!(error.to_string().contains("has not answered"));
        peer.close();
        peer.check(|_| Ok(false)).expect("nobody waits any more");
    }
}
