//! Commands as a user types them, with what they printed.
//!
//! Knows nothing of the application.

use std::env;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output};

/// What a command did.
#[derive(Debug)]
pub struct CommandOutput {
    /// Whether its status was 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started: a test that lacks its tool has failed, not passed.
pub fn run(command: &mut Command) -> CommandOutput {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    CommandOutput { success: status.success(), stdout: text(stdout), stderr: text(stderr) }
}

/// `cargo` with the arguments that a user would type, in this workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    // Cargo names itself to what it runs; a machine with an emulated KVM names the tool as it was built.
    let program = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(program);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).args(arguments);
    command
}

/// Ports below those that systems give to clients: one of these stays free until the test uses it.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// How many of them are tried.
const PORT_TRIES: usize = 1000;

/// A port of the loopback address that nothing listens on right now.
///
/// # Panics
/// When the host has none left.
pub fn free_port() -> u16 {
    let random = || RandomState::new().build_hasher().finish() as usize % PORTS.len();
    let mut ports = (0..PORT_TRIES).map(|_| PORTS.start + random() as u16);
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}
