//! The services as Docker containers: `FROM scratch`, one static executable each.

use std::path::PathBuf;

use super::{DockerNetwork, Instance, Order, Substrate};
use crate::context::Context;
use anyhow::{Result, bail};

/// Not there yet.
pub struct Docker;

/// Gets what it needs.
///
/// # Errors
/// Always: it is not there yet.
pub fn prepare(_context: &Context) -> Result<()> {
    bail!("not available yet")
}

impl Docker {
    /// Ready to start instances.
    ///
    /// # Errors
    /// Always: it is not there yet.
    pub fn open(_context: &Context, _kind: DockerNetwork) -> Result<Self> {
        bail!("not available yet")
    }
}

impl Substrate for Docker {
    fn start(&self, _order: &Order) -> Result<Instance> {
        bail!("not available yet")
    }

    fn shipped(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Nothing is left yet.
pub fn remove_leftovers(_context: &Context) {}
