//! The process: settings, clock, the loop, and the exit status.
//!
//! It uses sockets only through the runtime's turn and wait.

use alloc::boxed::Box;
use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr};
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::string::ToString as _;

use super::clock::LinuxClock;
use super::disk::{DataFile, LinuxDisk};
use super::entropy::LinuxEntropy;
use super::network::LinuxNetwork;
use super::{logger, signals};
use crate::connections::CONNECTIONS_MAX;
use crate::program::Program;
use crate::runtime::{Runtime, StartError};
use crate::settings::{SettingError, Settings};
use crate::shutdown::NOTICE;

/// Exit status after SIGTERM or SIGINT.
const STATUS_STOPPED: i32 = 0;
/// Exit status when the program cannot start, say because a port is taken.
const STATUS_CANNOT_START: i32 = 1;
/// Exit status when a setting cannot be used.
const STATUS_BAD_SETTING: i32 = 2;
/// Characters of a wrong value that an error shows.
const VALUE_CHARS_MAX: usize = 80;
/// Files that are open besides connections: listeners, epoll, pipes, logs, data.
const OTHER_FILES_MAX: u64 = 128;

/// Runs a program until SIGTERM or SIGINT has stopped it ([`crate::shutdown`] says how), with the disk that `DATA`
/// names if it is one that keeps data; returns the exit status.
pub fn run(name: &'static str, program: Program, has_disk: bool) -> i32 {
    match start(name, program, has_disk) {
        Ok(Some(runtime)) => serve(runtime),
        // A program without services has said what it had to say.
        Ok(None) => STATUS_STOPPED,
        Err(failure) => {
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(io::stderr(), "{name}: {}", failure.message);
            failure.status
        }
    }
}

/// Why there is no running program.
struct Failure {
    status: i32,
    message: std::string::String,
}

impl Failure {
    fn cannot_start(message: impl Display) -> Self {
        Self { status: STATUS_CANNOT_START, message: message.to_string() }
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        Self { status: STATUS_BAD_SETTING, message: error.to_string() }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let status = match error {
            StartError::Listen(_) | StartError::Service(_) => STATUS_CANNOT_START,
            StartError::NoSuchService { .. } => STATUS_BAD_SETTING,
        };
        Self { status, message: error.to_string() }
    }
}

fn start(
    name: &'static str,
    program: Program,
    has_disk: bool,
) -> Result<Option<Runtime<LinuxNetwork>>, Failure> {
    let settings = settings_of_process();
    logger::install(name, &settings)?;
    let services = program(&settings)?;
    if services.is_empty() {
        return Ok(None);
    }
    let data = if has_disk { DataFile::of(&settings)? } else { None };
    let address = listen_address(&settings)?;
    allow_files(CONNECTIONS_MAX as u64 + OTHER_FILES_MAX);
    let mut network = LinuxNetwork::new(address).map_err(Failure::cannot_start)?;
    let stop = signals::stop_stream().map_err(Failure::cannot_start)?;
    network.stop_on(stop).map_err(Failure::cannot_start)?;
    let waker = network.waker();
    let mut runtime = Runtime::new(network, services)?;
    runtime.accept_stop_requests(settings.stop_token()?);
    match data {
        None => Ok(Some(runtime)),
        Some(data) => {
            let disk = LinuxDisk::open(&data, Some(waker)).map_err(Failure::cannot_start)?;
            Ok(Some(runtime.with_disk(Box::new(disk))))
        }
    }
}

fn serve(mut runtime: Runtime<LinuxNetwork>) -> i32 {
    let clock = LinuxClock::new();
    let mut entropy = LinuxEntropy::default();
    log::info!("running as a Linux process, pid {}", std::process::id());
    if let Err(error) = runtime.start(clock.now(), clock.unix_time(), &mut entropy) {
        log::error!("{error}");
        return STATUS_CANNOT_START;
    }
    loop {
        let due = runtime.turn(clock.now(), clock.unix_time(), &mut entropy);
        if let Some(reason) = runtime.failure() {
            log::error!("{reason}");
            return STATUS_CANNOT_START;
        }
        if runtime.has_stopped() {
            break;
        }
        runtime.wait(clock.now(), due);
        if runtime.network_mut().take_stop() {
            log::info!("asked to stop: no new connections after {} ms", NOTICE.as_millis());
            runtime.stop(Some(NOTICE), clock.now());
        }
    }
    log::info!("stopped by a signal");
    STATUS_STOPPED
}

/// The environment; what is not UTF-8 is no setting of ours.
fn settings_of_process() -> Settings {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Settings::from_pairs(std::env::vars_os().filter_map(text))
}

/// `IP` is the node's own address, as in a guest; here it says where to listen.
fn listen_address(settings: &Settings) -> Result<IpAddr, SettingError> {
    let Some(value) = settings.get("IP") else { return Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) };
    let is_ours = |address: &IpAddr| TcpListener::bind((*address, 0)).is_ok();
    value.parse().ok().filter(is_ours).ok_or_else(|| SettingError {
        name: "IP",
        value: value.chars().take(VALUE_CHARS_MAX).collect(),
        expected: "an address of this machine to listen on, such as 127.0.0.1",
    })
}

/// Raises the limit of open files to what a full connection table needs, as far as it may.
fn allow_files(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(wanted.min(most));
        if setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum }).is_err() || most < wanted {
            log::warn!(
                "fewer than {wanted} files may be open: raise `ulimit -n` for {CONNECTIONS_MAX} connections"
            );
        }
    }
}
