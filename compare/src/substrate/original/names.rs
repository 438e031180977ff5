//! The host name by which the original's services find each other, on a host that does not know it.
//!
//! Changes the system's `/etc/hosts` for the services alone, in a mount namespace of their own.

use std::fs;
use std::net::{Ipv4Addr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use image_build::tool::process;

/// The name that the vote service has for its queue.
const QUEUE: &str = "redis";
const HOSTS: &str = "/etc/hosts";
/// Puts the file `$0` in the place of the system's own, then becomes the program.
const SCRIPT: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// How the name gets known.
pub enum Names {
    /// It is.
    Known,
    /// By this file in the place of `/etc/hosts`.
    File {
        hosts: PathBuf,
        /// Whether the namespace needs a user namespace around it.
        is_root: bool,
    },
}

impl Names {
    /// A way that works on this system; its file goes to `artifacts`.
    ///
    /// # Errors
    /// When there is none, and how to mend it.
    pub fn find(artifacts: &Path) -> Result<Self> {
        if is_loopback(QUEUE) {
            return Ok(Self::Known);
        }
        let system = fs::read_to_string(HOSTS).with_context(|| format!("cannot read {HOSTS}"))?;
        let hosts = artifacts.join("hosts");
        fs::write(&hosts, format!("{} {QUEUE}\n{system}", Ipv4Addr::LOCALHOST))
            .with_context(|| format!("cannot write {}", hosts.display()))?;
        let names = Self::File { hosts, is_root: rustix::process::geteuid().is_root() };
        let mut trial = names.command(Path::new("true"));
        process::output(&mut trial, "making mounts of its own").with_context(|| {
            format!("it looks for Redis at the host name {QUEUE}: add `127.0.0.1 {QUEUE}` to {HOSTS}, or run as root")
        })?;
        Ok(names)
    }

    /// The command that becomes `program` where the name is known.
    pub fn command(&self, program: &Path) -> Command {
        let Self::File { hosts, is_root } = self else { return Command::new(program) };
        // It takes some 3 ms, which no start that is timed goes through.
        let mut command = Command::new("unshare");
        if !is_root {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "--", "sh", "-c", SCRIPT]).arg(hosts).arg(program);
        command
    }
}

fn is_loopback(name: &str) -> bool {
    let addresses = (name, 0).to_socket_addrs();
    addresses.is_ok_and(|mut addresses| addresses.any(|address| address.ip() == Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_found_by_name_and_the_system_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let before = fs::read_to_string(HOSTS).expect("the system has one");
        let names = Names::find(directory.path()).expect("this system lets a program have mounts of its own");
        let mut lookup = names.command(Path::new("getent"));
        let answer = process::output(lookup.args(["ahostsv4", QUEUE]), "looking up").expect("it is known");
        assert!(answer.starts_with("127.0.0.1 "), "{answer}");
        assert_eq!(fs::read_to_string(HOSTS).expect("the system has one"), before);
    }
}
