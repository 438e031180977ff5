//! A deep accept queue for the ports that QEMU forwards.
//!
//! QEMU's user network listens with a backlog of 1. A burst of 50 connections overflows it. The kernels of the
//! rejected clients retry all at the same later moments, and overflow it again, so some wait for half a minute.
//! Calling `listen` again on the same socket sets its backlog anew (listen(2)). So this module takes a duplicate of
//! each listening socket from the process, sets the backlog, and closes the duplicate. It moves no bytes.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::net::listen;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Connections that may wait for QEMU to accept them; the kernel may allow less (`somaxconn`).
const BACKLOG: i32 = 1024;
/// The state of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";

/// Deepens the accept queues of a child process; how many it has.
///
/// # Errors
/// When the system does not let this process at its child's sockets.
pub fn deepen(pid: i32) -> Result<usize> {
    let sockets = listeners(pid)?;
    for socket in &sockets {
        listen(socket, BACKLOG).context("cannot set the backlog of QEMU's listening socket")?;
    }
    Ok(sockets.len())
}

/// The inodes of a process's sockets; none when it has ended.
pub fn sockets_of(pid: i32) -> Vec<u64> {
    let sockets = sockets(Path::new(&format!("/proc/{pid}/fd"))).unwrap_or_default();
    sockets.into_iter().map(|(_, inode)| inode).collect()
}

/// Duplicates of the listening sockets of a process: this one or a child.
///
/// # Errors
/// When the system does not let this process at them.
pub(crate) fn listeners(pid: i32) -> Result<Vec<OwnedFd>> {
    let mut table = fs::read_to_string("/proc/net/tcp").context("cannot read /proc/net/tcp")?;
    // A kernel without IPv6 has no such file.
    table += &fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    let listening = listening_inodes(&table);
    let process = Pid::from_raw(pid).context("0 is no process")?;
    let process = pidfd_open(process, PidfdFlags::empty()).context("the process is gone")?;
    let sockets = sockets(Path::new(&format!("/proc/{pid}/fd"))).context("cannot list QEMU's sockets")?;
    let ours = sockets.iter().filter(|(_, inode)| listening.contains(inode));
    ours.map(|(descriptor, _)| {
        pidfd_getfd(&process, *descriptor, PidfdGetfdFlags::empty())
            .context("cannot duplicate QEMU's listening socket")
    })
    .collect()
}

/// The inodes of all listening sockets in the text of /proc/net/tcp (proc_net_tcp.rst).
fn listening_inodes(text: &str) -> HashSet<u64> {
    let inode = |line: &str| {
        let mut fields = line.split_whitespace();
        (fields.nth(3)? == LISTEN).then(|| fields.nth(5)?.parse().ok()).flatten()
    };
    text.lines().filter_map(inode).collect()
}

/// Descriptors and inodes of a process's sockets.
fn sockets(folder: &Path) -> io::Result<Vec<(i32, u64)>> {
    let socket = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, inode))
    };
    Ok(fs::read_dir(folder)?.flatten().filter_map(socket).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::process::{Command, Stdio};

    #[test]
    fn only_listening_sockets_are_found() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                    0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0\n   \
                    1: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0\n";
        assert_eq!(listening_inodes(text), HashSet::from([4242]));
    }

    #[test]
    fn a_child_s_accept_queue_gets_deeper() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listen(&listener, 1).expect("a backlog of 1");
        let address = listener.local_addr().expect("an address");
        // The child holds the socket as its input.
        let input: OwnedFd = listener.into();
        let mut child =
            Command::new("sleep").arg("60").stdin(Stdio::from(input)).spawn().expect("sleep starts");
        assert!(deepen(child.id().cast_signed()).expect("it is our child") >= 1);
        let limit = std::time::Duration::from_secs(2);
        let held: Vec<_> = (0..20).map(|_| TcpStream::connect_timeout(&address, limit)).collect();
        let queued = held.iter().flatten().count();
        child.kill().and_then(|()| child.wait()).expect("sleep ends");
        assert_eq!(queued, 20, "none of them was accepted, all of them are queued");
    }
}
