//! Load generators: ApacheBench and oha, run as programs of their own, their reports read.
//!
//! What a load means is `measure`'s business.

use anyhow::Result;

use crate::context::Context;

/// Gets the generators.
///
/// # Errors
/// When one cannot be installed.
pub fn prepare(_context: &Context) -> Result<()> {
    Ok(())
}

/// The generators with their versions.
pub fn versions(_context: &Context) -> Vec<String> {
    Vec::new()
}
