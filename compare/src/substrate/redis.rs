//! A Redis with its own default settings, in a directory that goes with it: the original's queue.
//!
//! Reads nothing that is queued.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use image_build::tool::packages::table::REDIS;
use image_build::tool::process;
use tempfile::TempDir;

use super::instance::{Endpoint, Instance, Order, Port};
use crate::child::{Child, Running};
use crate::context::Context;

/// How long one question waits.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);

/// A Redis and the directory of what it saves. The order matters: it ends before its directory goes.
struct Redis {
    child: Child,
    _directory: TempDir,
}

impl Running for Redis {
    fn ended(&mut self) -> Option<String> {
        self.child.ended()
    }
}

/// Starts a Redis that listens at `address`, with further arguments. That it answers is not waited for.
///
/// # Errors
/// When it cannot be started.
pub fn start(
    context: &Context,
    order: &Order,
    address: SocketAddrV4,
    arguments: &[&str],
) -> Result<Instance> {
    let directory = TempDir::new_in(order.directory).context("cannot make a directory for Redis")?;
    let mut command = Command::new(REDIS.program);
    command.args(["--port", &address.port().to_string(), "--bind", &address.ip().to_string()]);
    command.args(arguments).current_dir(directory.path());
    let log = order.log();
    let begun = Instant::now();
    let child = Child::start(context, command, &log)?;
    let endpoints = BTreeMap::from([(Port::Store, Endpoint { host: address, peer: address })]);
    let processes = vec![child.pid()];
    let running = Box::new(Redis { child, _directory: directory });
    Ok(Instance { begun, endpoints, processes, guest_memory_mib: None, log, running })
}

/// Whether a started Redis answers.
pub fn answers(address: SocketAddrV4) -> bool {
    let ask = || -> std::io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect_timeout(&address.into(), ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer == *b"+PONG")
}

/// Name and version.
///
/// # Errors
/// When it does not say.
pub fn version() -> Result<String> {
    let text = process::output(Command::new(REDIS.program).arg("--version"), "asking Redis for its version")?;
    let version = text.split(' ').find_map(|word| word.strip_prefix("v="));
    version
        .map(|version| format!("Redis {version}"))
        .with_context(|| format!("no version of Redis in {text}"))
}
