//! Servers for tests: a redis-server of Debian's, and our store as a Linux process.
//!
//! Each listens on a free port of the loopback address and ends when it is dropped.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::Duration;

use super::connection::Connection;
use crate::client::wait_for;
use crate::command::free_port;
use crate::programs::program;
use crate::running::{linux_programs, start};

/// A server answers within this time, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The file of what a server says, in its folder.
const LOG: &str = "log";
/// The same of redis-server's own log.
const REDIS_LOG: &str = "redis.log";

/// A running server.
pub struct Server {
    /// What it is, for messages.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddrV4,
    child: Child,
    dir: PathBuf,
    command: Command,
}

/// Starts redis-server with these further arguments and nothing persistent unless they say so.
///
/// # Panics
/// When redis-server is not installed, or does not answer in time.
pub fn redis(options: &[&str]) -> Server {
    redis_on(free_port(), options)
}

/// The same on this port, for those who look for it there.
///
/// # Panics
/// When redis-server is not installed, or does not answer in time.
pub fn redis_on(port: u16, options: &[&str]) -> Server {
    let dir = new_dir();
    let mut command = program("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--logfile", REDIS_LOG]);
    command.args(["--port", &port.to_string()]).arg("--dir").arg(&dir);
    command.args(options);
    Server::start("redis-server", command, port, dir)
}

/// Starts the store with these settings.
///
/// # Panics
/// When it cannot be built, or does not answer in time.
pub fn store(settings: &[(&str, &str)]) -> Server {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    store_of(PROGRAM.get_or_init(|| linux_programs(&["store-service"]).remove(0)), settings)
}

/// Starts a store that is built already. `DATA=data` is a file in its own folder.
///
/// # Panics
/// When it does not answer in time.
pub fn store_of(program: &Path, settings: &[(&str, &str)]) -> Server {
    let (dir, port) = (new_dir(), free_port());
    let mut command = Command::new(program);
    command.current_dir(&dir);
    command.env("IP", "127.0.0.1").env("PORT", port.to_string()).env("LOG", "warn");
    command.env("HEALTH_PORT", free_port().to_string()).envs(settings.iter().copied());
    Server::start("store", command, port, dir)
}

impl Server {
    fn start(name: &'static str, command: Command, port: u16, dir: PathBuf) -> Self {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let server = Self { name, address, child: start(&command, Some(&dir.join(LOG))), dir, command };
        server.wait();
        server
    }

    /// Waits until it answers, be it with an error.
    fn wait(&self) {
        let answered = || Connection::open(self.address).ok()?.ask(&[b"PING"]).ok();
        let answer = wait_for(START_LIMIT, answered);
        assert!(answer.is_some(), "{} does not answer; its log: {}", self.name, self.log());
    }

    /// Ends it at once, as a crash does.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("it ends");
    }

    /// Starts it again on the same port and folder.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub fn restart(&mut self) {
        self.child = start(&self.command, Some(&self.dir.join(LOG)));
        self.wait();
    }

    /// The same, with further arguments from now on.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub fn restart_with(&mut self, arguments: &[&str]) {
        self.command.args(arguments);
        self.restart();
    }

    /// Process number of the server.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A folder of its own.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it has said.
    pub fn log(&self) -> String {
        [REDIS_LOG, LOG].map(|name| fs::read_to_string(self.dir.join(name)).unwrap_or_default()).concat()
    }

    /// A connection to it.
    ///
    /// # Panics
    /// When it does not accept one.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
            .unwrap_or_else(|error| panic!("{} at {}: {error}", self.name, self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // All fail only when there is nothing left to be done.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// An empty folder that no other test has.
fn new_dir() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("redis-test-{}-{}", std::process::id(), free_port()));
    fs::create_dir_all(&dir).expect("a folder for a server");
    dir
}
