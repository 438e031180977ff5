//! Commands as a user types them, with what they printed.
//!
//! Knows nothing of the application.

use std::env;
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

/// A port of the loopback address that nothing listens on right now.
///
/// # Panics
/// When the host has none left.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound address").port()
}
