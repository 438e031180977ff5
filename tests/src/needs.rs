//! All that tests need of others, got once, before the first test that wants one, as `cargo up` gets QEMU.
//!
//! A test that lacks something has failed, with one line that names all that is missing.

use crate::packages::parts;
use crate::programs::programs;

/// Gets everything: programs, and parts from other languages' registries.
///
/// # Errors
/// All that is missing then, in one line.
pub fn everything() -> Result<(), String> {
    let mut lacking: Vec<String> = programs().err().into_iter().collect();
    lacking.extend(parts().err());
    if lacking.is_empty() { Ok(()) } else { Err(lacking.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of this package's tests: those after it need not say what is missing, and install nothing.
    #[test]
    fn everything_that_tests_need_is_here() {
        everything().unwrap_or_else(|lacking| panic!("{lacking}"));
    }
}
