//! Streams that do not wait for ever; and the TCP and UDP sockets of a process, from `/proc` (proc_net_tcp.rst).
//!
//! Looks at this host's own network only, as the tests do.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

/// The state of a listening TCP socket.
const LISTEN: &str = "0A";
/// 127.0.0.1, as the kernel writes it.
const LOOPBACK: &str = "0100007F";

/// Connects, with a stream that sends at once and waits for nothing longer than this.
///
/// # Errors
/// When nobody listens.
pub fn connect(address: SocketAddrV4, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address.into(), timeout)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The file of `/proc/net` that has it: `tcp`, `tcp6`, `udp` or `udp6`.
    pub protocol: &'static str,
    /// Whether it accepts connections.
    pub is_listening: bool,
    /// Whether its own address is 127.0.0.1.
    pub is_local: bool,
    /// Its own port.
    pub port: u16,
    /// The port at the other end, 0 when there is none.
    pub remote_port: u16,
}

/// The sockets of a process.
///
/// # Panics
/// When the process is not there, or is somebody else's.
pub fn of_process(pid: u64) -> Vec<Socket> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process of ours");
    let link = |entry: io::Result<fs::DirEntry>| fs::read_link(entry.ok()?.path()).ok();
    let inode = |link: std::path::PathBuf| {
        Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    };
    let inodes: HashSet<String> = folder.filter_map(link).filter_map(inode).collect();
    let mut sockets = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/net/{protocol}")).unwrap_or_default();
        sockets.extend(table.lines().skip(1).filter_map(|line| parse(protocol, line, &inodes)));
    }
    sockets
}

fn parse(protocol: &'static str, line: &str, inodes: &HashSet<String>) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    let (_, remote_port) = fields.get(2)?.split_once(':')?;
    let hex = |text| u16::from_str_radix(text, 16).ok();
    inodes.contains(*fields.get(9)?).then_some(Socket {
        protocol,
        is_listening: protocol.starts_with("tcp") && *fields.get(3)? == LISTEN,
        is_local: address == LOOPBACK,
        port: hex(port)?,
        remote_port: hex(remote_port)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn sockets_of_this_process_are_found_with_both_their_ports() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let udp = UdpSocket::bind("0.0.0.0:0").expect("a port");
        let open = udp.local_addr().expect("bound").port();
        let sockets = of_process(u64::from(std::process::id()));
        let listening = Socket { protocol: "tcp", is_listening: true, is_local: true, port, remote_port: 0 };
        assert!(sockets.contains(&listening), "{sockets:?}");
        let own = stream.local_addr().expect("connected").port();
        let connected = Socket { is_listening: false, port: own, remote_port: port, ..listening.clone() };
        assert!(sockets.contains(&connected), "{sockets:?}");
        let everywhere =
            Socket { protocol: "udp", is_listening: false, is_local: false, port: open, ..listening };
        assert!(sockets.contains(&everywhere), "{sockets:?}");
    }
}
