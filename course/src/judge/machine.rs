//! A work as a guest: built for Hermit, made an image, started in QEMU with its serial line read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::{Context, Result};
use image_build::image::compile::{Compilation, DEV, IMAGE};
use image_build::image::{self, Image};
use image_build::tool::packages;
use image_build::toolchain::{BARE_TARGET, Toolchain, libraries};
use image_build::vm::accelerator::{Accelerator, Choice};
use image_build::vm::guest::Guest;
use image_build::vm::machine::{Forward, Launch, Machine, Network};
use image_build::vm::{probe, qemu};

use crate::exercise::format::{Profile, Request};
use crate::judge::bench::Bench;
use crate::judge::compiler::{self, Programs};
use crate::judge::verdict::Fault;

/// Most bytes of a serial line.
const SERIAL_BYTES_MAX: u64 = 1 << 20;
/// Longest line; a longer one is read in parts.
const LINE_BYTES_MAX: u64 = 4096;

/// Builds a program that brings no kernel along, as its own folder says, and returns its ELF file.
///
/// # Errors
/// When it is not the work that keeps it from being built.
pub fn build_bare(bench: &Bench<'_>) -> Result<Result<PathBuf, Fault>> {
    packages::ensure_qemu()?;
    let toolchain = Toolchain::find(bench.workspace)?;
    toolchain.complete(bench.workspace)?;
    let mut cargo = toolchain.cargo();
    cargo.env_remove("RUSTC_BOOTSTRAP").env("CARGO_INCREMENTAL", "0").current_dir(&bench.folder);
    cargo.args(["build", "--quiet", "--message-format", "json-render-diagnostics"]);
    cargo.args(["--target", BARE_TARGET, "--target-dir"]).arg(&bench.target);
    Ok(compiler::compile(bench, cargo)?.and_then(only))
}

/// The one program of a package.
fn only(programs: Programs) -> Result<PathBuf, Fault> {
    let first = programs.into_iter().next();
    first
        .map(|(_, path)| path)
        .ok_or_else(|| Fault::new("a program, as src/main.rs", "a package without one"))
}

/// Builds the program on the bench for Hermit, and makes an image of it.
///
/// # Errors
/// When it is not the work that keeps it from being built, or QEMU is not there.
pub fn build(bench: &Bench<'_>, profile: Profile) -> Result<Result<Image, Fault>> {
    // Said before minutes of building.
    packages::ensure_qemu()?;
    let toolchain = libraries::ensure(bench.workspace)?;
    image::set_up(bench.workspace)?;
    let profile = match profile {
        Profile::Dev => &DEV,
        Profile::Image => &IMAGE,
    };
    let cargo = Compilation { folder: &bench.folder, packages: &[], target: &bench.target, profile };
    let cargo = cargo.command(&toolchain);
    let program = match compiler::compile(bench, cargo)?.and_then(only) {
        Ok(program) => program,
        Err(fault) => return Ok(Err(fault)),
    };
    let path = bench.folder.with_extension(format!("{}.img", profile.name));
    match image::from_program(bench.workspace, &program, &path) {
        Ok(image) => Ok(Ok(image)),
        // A full disk, or a file that others have: not the work's fault.
        Err(error) if error.downcast_ref::<std::io::Error>().is_some() => Err(error),
        Err(error) => Ok(Err(Fault::new("a program that can be booted", format!("{error:#}")))),
    }
}

/// What a guest is started with.
#[derive(Debug)]
pub struct Plan<'a> {
    /// What it boots.
    pub image: PathBuf,
    /// Its memory.
    pub memory_mib: u32,
    /// Its settings.
    pub environment: &'a BTreeMap<String, String>,
    /// What it will be asked.
    pub requests: &'a [Request],
    /// The rate of its counter, if its instructions are counted.
    pub counted: Option<(u16, Vec<String>)>,
}

/// A guest that runs, and where the host reaches its ports.
#[derive(Debug)]
pub struct Started {
    /// Its process.
    pub guest: Guest,
    /// The host's address for each port.
    pub ports: BTreeMap<u16, SocketAddrV4>,
}

/// What is heard of a guest.
#[derive(Debug)]
pub enum Heard {
    /// A line of its serial line.
    Line(String),
    /// It has written more than anybody reads.
    Flood,
    /// QEMU's own words.
    Errors(String),
    /// What a request has come to.
    Asked(Result<(), Fault>),
}

/// Starts a guest under TCG, on a network on which it is reached and reaches nothing.
///
/// # Errors
/// When QEMU cannot be started.
pub fn start(bench: &Bench<'_>, plan: &Plan<'_>, heard: &Sender<Heard>) -> Result<Started> {
    let accelerator = match &plan.counted {
        Some((mhz, _)) => Accelerator::Tcg { mhz: *mhz },
        None => probe::choose(bench.workspace, Choice::Tcg)?,
    };
    let ports = ports(plan.requests)?;
    let forwards = ports.iter().map(|(port, host)| Forward { host: *host, guest_port: *port }).collect();
    let mut launch =
        Launch::new(&bench.exercise.folder_name(), plan.image.clone(), Machine::Q35, accelerator);
    launch.memory_mib = plan.memory_mib;
    launch.network = Network::User { forwards, outgoing: false, range: None };
    launch.command_line.environment = plan.environment.clone();
    launch.extra.extend(plan.counted.iter().flat_map(|(_, words)| words).map(Into::into));
    let mut guest =
        Guest::start(launch.vmm, &qemu::command(&launch)?, [Stdio::null(), Stdio::piped(), Stdio::piped()])?;
    let process = guest.process();
    let serial = process.stdout.take().context("a guest has no serial line")?;
    let errors = process.stderr.take().context("QEMU has no error output")?;
    let (of_serial, of_errors) = (heard.clone(), heard.clone());
    thread::spawn(move || read_serial(BufReader::new(serial), &of_serial));
    thread::spawn(move || {
        let mut text = String::new();
        // What is no text any more is nothing to tell.
        let _ = errors.take(LINE_BYTES_MAX).read_to_string(&mut text);
        let _ = of_errors.send(Heard::Errors(text));
    });
    Ok(Started { guest, ports })
}

/// Free ports of the host for the ports that are asked.
fn ports(requests: &[Request]) -> Result<BTreeMap<u16, SocketAddrV4>> {
    let numbers: BTreeSet<u16> = requests.iter().map(|request| request.port).collect();
    // All are held until the last is chosen, or one could be chosen twice.
    let listener = |_: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners: Result<Vec<TcpListener>, _> = numbers.iter().map(listener).collect();
    let listeners = listeners.context("the host has no free port")?;
    let address = |listener: &TcpListener| -> Result<SocketAddrV4> {
        let number = listener.local_addr().context("a port has no number")?.port();
        Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, number))
    };
    numbers.into_iter().zip(&listeners).map(|(port, listener)| Ok((port, address(listener)?))).collect()
}

fn read_serial(mut serial: impl BufRead, heard: &Sender<Heard>) {
    let mut left = SERIAL_BYTES_MAX;
    loop {
        let mut line = Vec::new();
        let limit = LINE_BYTES_MAX.min(left);
        match (&mut serial).take(limit).read_until(b'\n', &mut line) {
            Ok(length @ 1..) => left -= length as u64,
            _ if left == 0 => return drop(heard.send(Heard::Flood)),
            _ => return,
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if heard.send(Heard::Line(line)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_serial_line_is_read_in_lines_until_it_is_too_much() {
        let (sender, heard) = mpsc::channel();
        read_serial(BufReader::new(std::io::repeat(b'x')), &sender);
        drop(sender);
        let heard: Vec<Heard> = heard.iter().collect();
        assert_eq!(heard.len() as u64, SERIAL_BYTES_MAX / LINE_BYTES_MAX + 1);
        assert!(matches!(heard.last(), Some(Heard::Flood)));
        let (sender, heard) = mpsc::channel();
        read_serial(BufReader::new(&b"one\r\ntwo"[..]), &sender);
        drop(sender);
        let lines: Vec<String> = heard
            .iter()
            .filter_map(|heard| match heard {
                Heard::Line(line) => Some(line),
                _ => None,
            })
            .collect();
        assert_eq!(lines, ["one", "two"]);
    }
}
