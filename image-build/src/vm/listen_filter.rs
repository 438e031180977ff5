//! The host's side of a machine's ports, closed before the machine stops, so that no new connection is accepted that
//! could not be served.
//!
//! QEMU accepts connections for its guest whether the guest wants them or not. If a guest has closed its port, they
//! would be accepted and then reset. A filter on the listening socket drops new ones: the client's kernel repeats its
//! SYN, and is refused once QEMU has ended. Open connections continue.

use std::fs;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{SockFilter, SockRef};

use crate::vm::backlog::listeners;

/// The instruction of a socket filter that keeps this number of bytes of a packet; 0 drops the packet.
const BPF_RETURN: u16 = 0x06;
/// How long QEMU may take to accept those who came before.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(5);
/// Time in which what was accepted last reaches the guest.
const SETTLE: Duration = Duration::from_millis(30);

/// Shuts these ports in whichever of these processes listens at them, and waits until those who came before have
/// been let in.
///
/// # Errors
/// When the system does not let this process at the sockets. Then connections that come now may be reset.
pub fn shut(pids: &[i32], addresses: &[SocketAddr]) -> Result<()> {
    for pid in pids {
        for socket in listeners(*pid)?.iter().filter(|socket| is_among(socket, addresses)) {
            SockRef::from(socket)
                .attach_filter(&[SockFilter::new(BPF_RETURN, 0, 0, 0)])
                .context("cannot put a filter on a listening socket")?;
        }
    }
    let end = Instant::now() + QUEUE_TIMEOUT;
    while Instant::now() < end && waiting(&read_table()?, addresses) {
        thread::sleep(POLL);
    }
    thread::sleep(SETTLE);
    Ok(())
}

fn is_among(socket: &OwnedFd, addresses: &[SocketAddr]) -> bool {
    let address = SockRef::from(socket).local_addr().ok().and_then(|address| address.as_socket());
    address.is_some_and(|address| addresses.contains(&address))
}

fn read_table() -> Result<String> {
    fs::read_to_string("/proc/net/tcp").context("cannot read /proc/net/tcp")
}

/// Whether somebody waits to be accepted at one of these addresses: the receive queue of a listening socket in
/// /proc/net/tcp (proc_net_tcp.rst). At addresses of IPv6 nobody is waited for.
fn waiting(table: &str, addresses: &[SocketAddr]) -> bool {
    let waits = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, "0A", queues, ..] = fields.as_slice() else { return false };
        let is_ours = addresses
            .iter()
            .any(|address| matches!(address, SocketAddr::V4(it) if *local == hexadecimal(*it)));
        is_ours && queues.split_once(':').is_some_and(|(_, received)| received != "00000000")
    };
    table.lines().skip(1).any(waits)
}

/// An address as the table has it: the octets as one number of the machine's own byte order.
fn hexadecimal(address: SocketAddrV4) -> String {
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn no_connection_is_accepted_after_the_listener_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let other = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let before = TcpStream::connect(address).expect("let in");
        assert!(waiting(&read_table().expect("readable"), &[address]));
        drop(listener.accept().expect("one has come"));
        shut(&[std::process::id().cast_signed()], &[address]).expect("our own socket");
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(100));
        assert_eq!(late.expect_err("kept out").kind(), ErrorKind::TimedOut);
        TcpStream::connect(other.local_addr().expect("an address")).expect("another door");
        drop((before, listener));
        let refused = TcpStream::connect_timeout(&address, Duration::from_secs(5));
        assert_eq!(refused.expect_err("nobody is there").kind(), ErrorKind::ConnectionRefused);
    }
}
