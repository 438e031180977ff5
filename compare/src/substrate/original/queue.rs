//! The original's queue: a Redis with its own default settings, in a directory that goes with it.
//!
//! Reads nothing that is queued.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use image_build::tool::packages::table::REDIS;
use image_build::tool::process;
use tempfile::TempDir;

use crate::child::{self, Child};
use crate::compose::READY_LIMIT;
use crate::context::Context;
use crate::substrate::{Endpoint, Instance, Order, Port, Running};

/// Where the original's services look for it; they cannot be told otherwise.
const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6379);
/// How long one question waits.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);
/// Pause between questions.
const PAUSE: Duration = Duration::from_millis(1);

/// A Redis and the directory of what it saves. The order matters: it ends before its directory goes.
struct Queue {
    child: Child,
    _directory: TempDir,
}

impl Running for Queue {
    fn ended(&mut self) -> Option<String> {
        self.child.ended()
    }
}

/// Starts a Redis. That it answers is not waited for.
///
/// # Errors
/// When its port is taken, or it cannot be started.
pub fn start(context: &Context, order: &Order) -> Result<Instance> {
    TcpListener::bind(ADDRESS).map(drop).with_context(|| {
        format!("the original's services look for Redis at {ADDRESS} alone: end what listens there now")
    })?;
    let directory = TempDir::new_in(order.directory).context("cannot make a directory for Redis")?;
    let mut command = Command::new(REDIS.program);
    command.args(["--port", &ADDRESS.port().to_string(), "--bind", &ADDRESS.ip().to_string()]);
    command.current_dir(directory.path());
    let log = order.log();
    let begun = Instant::now();
    let child = Child::start(context, &command, &log)?;
    let endpoints = BTreeMap::from([(Port::Store, Endpoint { host: ADDRESS, peer: ADDRESS })]);
    let processes = vec![child.pid()];
    let running = Box::new(Queue { child, _directory: directory });
    Ok(Instance { begun, endpoints, processes, log, running })
}

/// Waits until a started Redis answers.
///
/// # Errors
/// When it ends, or does not answer in time.
pub fn await_ready(instance: &mut Instance) -> Result<()> {
    while !answers() {
        instance.check()?;
        if instance.begun.elapsed() > READY_LIMIT {
            let log = child::log_tail(&instance.log);
            bail!("{instance} did not answer within {} s\n{log}", READY_LIMIT.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn answers() -> bool {
    let ask = || -> std::io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect_timeout(&ADDRESS.into(), ANSWER_TIMEOUT)?;
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
