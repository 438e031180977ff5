//! The original application as processes of this host, from a checkout.

use std::path::PathBuf;

use super::{Instance, Order, Substrate};
use crate::context::Context;
use anyhow::{Result, bail};

/// Not there yet.
pub struct Original;

/// Gets what it needs.
///
/// # Errors
/// Always: it is not there yet.
pub fn prepare(_context: &Context) -> Result<()> {
    bail!("not available yet")
}

impl Original {
    /// Ready to start instances.
    ///
    /// # Errors
    /// Always: it is not there yet.
    pub fn open(_context: &Context) -> Result<Self> {
        bail!("not available yet")
    }
}

impl Substrate for Original {
    fn start(&self, _order: &Order) -> Result<Instance> {
        bail!("not available yet")
    }

    fn shipped(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}
