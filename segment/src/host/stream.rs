//! The host's streams of relays: TCP for published ports and servers outside, unix sockets for all other ports.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use kernel_app::linux::is_connected;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::gateway::Stream;

/// A stream of the host.
#[derive(Debug)]
pub enum HostStream {
    /// Over the host's network.
    Tcp(TcpStream),
    /// Within the host.
    Unix(UnixStream),
}

/// Where the host reaches a port of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// At an address of its network.
    Tcp(SocketAddr),
    /// Through a unix socket.
    Unix(PathBuf),
}

impl HostStream {
    /// Begins to connect.
    pub fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(*address)?;
                // What a client has sent goes out as it has come.
                let _ = stream.set_nodelay(true);
                Ok(Self::Tcp(stream))
            }
            Address::Unix(path) => UnixStream::connect(path).map(Self::Unix),
        }
    }

    /// Has its news told under this token.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interest),
            Self::Unix(stream) => stream.register(registry, token, interest),
        }
    }
}

impl Read for HostStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for HostStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for HostStream {
    fn is_connected(&mut self) -> io::Result<bool> {
        match self {
            Self::Tcp(stream) => is_connected(stream),
            Self::Unix(_) => Ok(true),
        }
    }

    fn end_output(&mut self) -> io::Result<()> {
        let ended = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
        match ended {
            // The other side has gone already; what it sent can still be read.
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    fn reset_on_close(&mut self) {
        if let Self::Tcp(stream) = self {
            // Without it the end is merely a polite one.
            let _ = rustix::net::sockopt::set_socket_linger(stream.as_fd(), Some(Duration::ZERO));
        }
    }
}
