//! Runs a unikernel in a container, as any container engine starts one: the container's environment becomes the guest's
//! settings, what the guest says becomes the container's output, SIGTERM drains it, and its status is the container's.
//!
//! `cargo image oci --runner` makes such images. In them are QEMU, this program, the unikernel and `/runner.json`,
//! which says what the unikernel needs. It takes no rights: QEMU's user network leads from the container's ports to
//! the guest. With `CAP_NET_ADMIN` and `/dev/net/tun` the guest stands in the container's place, with its address.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use(note)]
extern crate image_build;

mod machine;
mod network;
mod output;
mod ready;
mod settings;

use std::env;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use image_build::oci::description::{self, Description};
use image_build::tool::output::status;
use image_build::tool::process::{BOUND_COMMAND, Bound};
use image_build::vm::disk_image::DiskImage;
use image_build::vm::foreground;

use network::InPlace;
use output::Format;
use settings::{FORMAT, INSTANCE, NETWORK, Settings};

/// A container of the image gives no arguments; the program starts itself with some, and so do health checks.
#[derive(Parser)]
#[command(about = "Runs the unikernel of a runner image")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Says whether the guest is ready, by its status
    Ready,
    /// Becomes another program that ends with the process PARENT
    #[command(name = BOUND_COMMAND, hide = true)]
    ExecBound(Bound),
}

/// Boots the unikernel of this image, and stays until it ends.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        None => status(run()),
        Some(Command::Ready) => status(is_ready().map(|()| ExitCode::SUCCESS)),
        Some(Command::ExecBound(bound)) => status(bound.exec().map(|()| ExitCode::SUCCESS)),
    }
}

fn is_ready() -> Result<()> {
    ready::check(&description()?, &settings()?)
}

fn description() -> Result<Description> {
    let unreadable = || format!("{} cannot be read: this program runs in a runner image", description::PATH);
    let text = fs::read_to_string(description::PATH).with_context(unreadable)?;
    serde_json::from_str(&text).with_context(unreadable)
}

fn settings() -> Result<Settings> {
    Settings::read(|name| env::var_os(name).filter(|value| !value.is_empty()))
}

fn run() -> Result<ExitCode> {
    let (description, settings) = (description()?, settings()?);
    let format = Format::chosen(settings.get(FORMAT))?;
    let in_place = InPlace::find(settings.get(NETWORK))?;
    let launch = machine::launch(&description, &settings, in_place.as_ref())?;
    let disk = launch.disks.first().zip(description.disk_mib);
    let disk = disk.map(|(path, size_mib)| DiskImage { path: path.clone(), size_mib });
    let _lock = disk.as_ref().map(DiskImage::claim).transpose()?;
    if let Some(in_place) = in_place {
        in_place.connect_when_there();
    }
    let instance = launch.command_line.environment.get(INSTANCE).unwrap_or(&launch.name);
    foreground::run(&launch, |line| format.print(instance, line))
}
