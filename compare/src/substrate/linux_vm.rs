//! The services in Linux virtual machines, under the same QEMU command as the unikernels.

use std::path::PathBuf;

use anyhow::{Result, bail};
use image_build::qemu::Machine;

use super::{Instance, Order, Substrate};
use crate::context::Context;

/// Not there yet.
pub struct LinuxVm;

/// Gets what it needs.
///
/// # Errors
/// Always: it is not there yet.
pub fn prepare(_context: &Context, _machine: Machine) -> Result<()> {
    bail!("not available yet")
}

impl LinuxVm {
    /// Ready to start instances.
    ///
    /// # Errors
    /// Always: it is not there yet.
    pub fn open(_context: &Context, _kind: Machine) -> Result<Self> {
        bail!("not available yet")
    }
}

impl Substrate for LinuxVm {
    fn start(&self, _order: &Order) -> Result<Instance> {
        bail!("not available yet")
    }

    fn shipped(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}
