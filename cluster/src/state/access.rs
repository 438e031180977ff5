//! How the host reaches a port of a machine: at an address of the host's network, or through a socket in the
//! application's folder that only its owner can use.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An address or a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Access {
    /// An address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// A connection to a port of a machine.
#[derive(Debug)]
pub enum Stream {
    /// Through the host's network.
    Tcp(TcpStream),
    /// Through a unix socket.
    Unix(UnixStream),
}

impl Access {
    /// The URL that is shown to people; `curl --unix-socket` and `redis-cli -s` take the path of a socket.
    pub fn url(&self, scheme: &str) -> String {
        match self {
            Self::Tcp(address) => format!("{scheme}://{address}"),
            Self::Unix(path) => format!("{scheme}+unix://{}", path.display()),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(&self, timeout: Duration) -> io::Result<Stream> {
        match self {
            Self::Tcp(address) => TcpStream::connect_timeout(address, timeout).map(Stream::Tcp),
            Self::Unix(path) => segment::host::connect(path).map(Stream::Unix),
        }
    }
}

impl fmt::Display for Access {
    /// As the `Host` of a request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(_) => f.write_str("localhost"),
        }
    }
}

impl Stream {
    /// How long a read may take.
    ///
    /// # Errors
    /// When it is no time at all.
    pub fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Self::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }

    /// How long a write may take.
    ///
    /// # Errors
    /// When it is no time at all.
    pub fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            Self::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
    }
}

impl Stream {
    /// Says that nothing more is written: the machine may close when it has answered.
    ///
    /// # Errors
    /// When nobody is connected any more.
    pub fn end_writing(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
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
