//! Requests each second and their latency, by every generator.

use anyhow::Result;

use super::Site;
use crate::record::{Method, Sample};

/// Measures nothing yet.
///
/// # Errors
/// None yet.
pub fn measure(_site: &Site, _method: Method) -> Result<Vec<Sample>> {
    Ok(Vec::new())
}
