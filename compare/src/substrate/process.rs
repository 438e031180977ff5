//! The services as processes of the host: static executables, the host's network.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use image_build::linux::static_program;

use super::application::Substrate;
use super::instance::{Endpoint, Instance, Order, Program};
use crate::client::free_address;
use crate::context::Context;

/// Processes of the host.
pub struct Processes {
    context: Context,
}

/// Builds static executables of all programs, as processes and containers and Linux machines run them.
///
/// # Errors
/// When they cannot be built.
pub fn build(context: &Context) -> Result<()> {
    let programs = Program::SERVICES.into_iter().chain([Program::VotingApp]);
    let names: Vec<&str> = programs.map(Program::package).collect();
    static_program::build(&context.workspace, &names)
}

/// The static executable of a program.
///
/// # Errors
/// When it has not been built.
pub fn executable(context: &Context, program: Program) -> Result<PathBuf> {
    static_program::built(&context.workspace, program.package())
}

impl Processes {
    /// Ready to start processes.
    ///
    /// # Errors
    /// When the executables have not been built.
    pub fn open(context: &Context) -> Result<Self> {
        executable(context, Program::Vote)?;
        Ok(Self { context: context.clone() })
    }
}

impl Substrate for Processes {
    fn start(&self, order: &Order) -> Result<Instance> {
        let mut command = Command::new(executable(&self.context, order.program)?);
        command.envs(order.settings.iter().cloned());
        let mut endpoints = BTreeMap::new();
        for (port, setting, _) in order.program.ports() {
            let host = free_address()?;
            command.env(setting, host.port().to_string());
            endpoints.insert(*port, Endpoint { host, peer: host });
        }
        order.start(&self.context, command, endpoints)
    }

    fn shipped(&self) -> Vec<PathBuf> {
        executable(&self.context, Program::Vote).into_iter().collect()
    }
}
