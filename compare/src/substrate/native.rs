//! The services as processes of the host: static executables, the host's network.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use image_build::tool::process;

use super::{Endpoint, Instance, Order, Program, Substrate};
use crate::child::Child;
use crate::client::free_port;
use crate::context::Context;

/// The target that static executables are built for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Processes of the host.
pub struct Native {
    context: Context,
}

/// Builds static executables of all programs, as processes and containers and Linux machines run them.
///
/// # Errors
/// When they cannot be built.
pub fn prepare(context: &Context) -> Result<()> {
    let mut cargo = Command::new("cargo");
    process::forget_build_settings(&mut cargo);
    cargo.current_dir(&context.workspace.root).args(["build", "--release", "--quiet", "--target", TARGET]);
    cargo.arg("--target-dir").arg(context.artifacts("static")?);
    for program in [Program::Vote, Program::Result, Program::Worker, Program::Store, Program::VotingApp] {
        cargo.args(["--package", program.package()]);
    }
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::output(&mut cargo, "building static executables").map(drop)
}

/// The static executable of a program.
///
/// # Errors
/// When it has not been built.
pub fn executable(context: &Context, program: Program) -> Result<PathBuf> {
    let path = context.artifacts("static")?.join(TARGET).join("release").join(program.package());
    ensure!(path.is_file(), "{} has not been built", path.display());
    Ok(path)
}

impl Native {
    /// Ready to start processes.
    ///
    /// # Errors
    /// When the executables have not been built.
    pub fn open(context: &Context) -> Result<Self> {
        executable(context, Program::Vote)?;
        Ok(Self { context: context.clone() })
    }
}

impl Substrate for Native {
    fn start(&self, order: &Order) -> Result<Instance> {
        let mut command = Command::new(executable(&self.context, order.program)?);
        command.envs(order.settings.iter().cloned());
        let mut endpoints = BTreeMap::new();
        for (port, setting, _) in order.program.ports() {
            let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port()?);
            command.env(setting, host.port().to_string());
            endpoints.insert(*port, Endpoint { host, peer: host });
        }
        let log = order.log();
        let begun = Instant::now();
        let child = Child::start(&self.context, &command, &log)?;
        Ok(Instance { begun, endpoints, processes: vec![child.pid()], log, running: Box::new(child) })
    }

    fn shipped(&self) -> Vec<PathBuf> {
        executable(&self.context, Program::Vote).into_iter().collect()
    }
}
