//! Relays between sockets of two networks: two threads per relay copy the bytes.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::host::BACKLOG;

/// Most connections that are relayed from one port at a time; more wait in its backlog.
const RELAYS_MAX: usize = 512;
/// How long connecting to a machine may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a port whose relays are all taken looks for a free one.
const POLL: Duration = Duration::from_millis(5);

/// Where clients come from.
#[derive(Debug)]
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

/// A client.
enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// The listener of a published port, or a new socket at this path.
    pub fn new(listener: Option<TcpListener>, path: &Path) -> io::Result<Self> {
        let Some(listener) = listener else { return Ok(Self::Unix(UnixListener::bind(path)?)) };
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(Self::Tcp(listener))
    }

    fn accept(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(listener) => Ok(Client::Tcp(listener.accept()?.0)),
            Self::Unix(listener) => Ok(Client::Unix(listener.accept()?.0)),
        }
    }
}

/// Relays all clients of a listener, from threads that are in the network of the calling one.
pub fn serve(listener: Listener, connect: impl Fn() -> io::Result<TcpStream> + Clone + Send + 'static) {
    let taken = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        loop {
            if taken.load(Ordering::Relaxed) >= RELAYS_MAX {
                thread::sleep(POLL);
                continue;
            }
            let Ok(client) = listener.accept() else {
                thread::sleep(POLL);
                continue;
            };
            let (taken, connect) = (Arc::clone(&taken), connect.clone());
            taken.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || {
                // A machine that is not there yet sends its client away.
                if let Ok(machine) = connect() {
                    relay(&client, &machine);
                }
                taken.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
}

fn relay(client: &Client, machine: &TcpStream) {
    let _ = machine.set_nodelay(true);
    let moved = match client {
        Client::Tcp(client) => {
            let _ = client.set_nodelay(true);
            thread::scope(|scope| {
                let back = scope.spawn(|| copy(machine, client, || client.shutdown(Shutdown::Write)));
                let there = copy(client, machine, || machine.shutdown(Shutdown::Write));
                there.and(back.join().unwrap_or(Ok(())))
            })
        }
        Client::Unix(client) => thread::scope(|scope| {
            let back = scope.spawn(|| copy(machine, client, || client.shutdown(Shutdown::Write)));
            let there = copy(client, machine, || machine.shutdown(Shutdown::Write));
            there.and(back.join().unwrap_or(Ok(())))
        }),
    };
    if moved.is_err() {
        reset(machine);
        if let Client::Tcp(client) = client {
            reset(client);
        }
    }
}

fn copy(
    mut from: impl io::Read,
    mut to: impl io::Write,
    end: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let moved = io::copy(&mut from, &mut to);
    // The other side may have gone already.
    let _ = end();
    moved.map(drop)
}

/// Closing it tells the other side that something went wrong.
fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream.as_fd(), Some(Duration::ZERO));
}
