//! A listening socket of the host that stands for a port of a station.

use std::io;
use std::net::TcpListener;

use mio::event::Source;
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};

use super::folder::{Folder, port_name};
use super::stream::HostStream;

/// Connections that may wait to be accepted; the kernel may allow less (`somaxconn`).
pub const BACKLOG: i32 = 1024;

/// A way in.
#[derive(Debug)]
pub struct PublishedPort {
    /// Number of the station.
    pub station: usize,
    /// The station's TCP port.
    pub port: u16,
    /// The listener of a published port; without one, the way in is a unix socket of the segment's folder.
    pub listener: Option<TcpListener>,
}

/// A port that is open.
#[derive(Debug)]
pub struct OpenPort {
    pub station: usize,
    pub port: u16,
    /// Clients may be waiting.
    pub has_arrivals: bool,
    listener: Listener,
}

#[derive(Debug)]
enum Listener {
    Tcp(mio::net::TcpListener),
    Unix(UnixListener),
}

impl OpenPort {
    /// Opens it; `name` is the station's.
    pub fn new(port: PublishedPort, name: &str, folder: &Folder) -> io::Result<Self> {
        let PublishedPort { station, port, listener } = port;
        let listener = match listener {
            Some(listener) => Listener::Tcp(listen_ready(listener)?),
            None => Listener::Unix(UnixListener::bind(folder.socket(&port_name(name, port)))?),
        };
        Ok(Self { station, port, has_arrivals: false, listener })
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.listener {
            Listener::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Listener::Unix(listener) => listener.register(registry, token, Interest::READABLE),
        }
    }

    /// The next client that waits.
    pub fn accept(&self) -> io::Result<HostStream> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // Answers go out as they come; without it they merely wait for each other.
                let _ = stream.set_nodelay(true);
                Ok(HostStream::Tcp(stream))
            }
            Listener::Unix(listener) => Ok(HostStream::Unix(listener.accept()?.0)),
        }
    }
}

/// A listener as it is to be: with a deep backlog, never blocking.
pub fn listen_ready(listener: TcpListener) -> io::Result<mio::net::TcpListener> {
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(mio::net::TcpListener::from_std(listener))
}
