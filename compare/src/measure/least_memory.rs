//! Not measured yet.

use anyhow::Result;

use super::Site;
use crate::record::Sample;

/// Measures nothing yet.
///
/// # Errors
/// None yet.
pub fn measure(_site: &Site) -> Result<Vec<Sample>> {
    Ok(Vec::new())
}
