//! What is not a Redis, or not yet: servers that a wrong address may lead to. They count who comes.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

/// A server that says something to everybody and hangs up.
pub struct Curt {
    pub address: SocketAddrV4,
    connections: Arc<AtomicUsize>,
}

impl Curt {
    /// Says this; it lives as long as the test does.
    pub fn new(words: &'static [u8]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = v4(listener.local_addr().expect("bound"));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                let Ok(mut stream) = stream else { continue };
                // Whoever is gone need not be told.
                let _ = stream.write_all(words).and_then(|()| stream.shutdown(Shutdown::Write));
            }
        });
        Self { address, connections }
    }

    /// How many have come.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// An address that does not answer: its backlog is full and nobody accepts, so SYNs are dropped.
pub struct Deaf {
    pub address: SocketAddrV4,
    _listener: OwnedFd,
    _waiting: Vec<TcpStream>,
}

impl Deaf {
    pub fn new() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(listener.as_fd(), &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        listen(listener.as_fd(), 0).expect("it listens");
        let address = getsockname(listener.as_fd()).expect("bound");
        let address = v4(SocketAddr::try_from(address).expect("an address"));
        let connect = || TcpStream::connect_timeout(&address.into(), Duration::from_millis(300)).ok();
        let waiting = std::iter::from_fn(connect).collect();
        Self { address, _listener: listener, _waiting: waiting }
    }
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => unreachable!("it was bound to IPv4"),
    }
}
