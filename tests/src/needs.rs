//! The programs of others that tests use: got once, before the first test that wants one, as `cargo up` gets QEMU.
//! Which they are is `image_build::tool::packages::table`'s to say.
//!
//! A test that lacks something has failed, with one line that names all that is missing.

use std::process::Command;
use std::sync::OnceLock;

use image_build::tool::packages;
use image_build::tool::packages::table;

use crate::packages::parts;

/// The command of a program that tests use.
///
/// # Panics
/// When it is missing and cannot be had, or is not in the table.
pub fn program(name: &str) -> Command {
    let listed = table::TESTS.iter().find(|packaged| packaged.program == name);
    let packaged =
        listed.unwrap_or_else(|| panic!("{name} is not in image-build/src/tool/packages/table.rs"));
    if !packaged.is_there()
        && let Err(lacking) = programs()
    {
        assert!(packaged.is_there(), "{lacking}");
    }
    Command::new(packaged.path())
}

/// Gets all programs, once in each process.
fn programs() -> Result<(), String> {
    static GOT: OnceLock<Result<(), String>> = OnceLock::new();
    GOT.get_or_init(|| packages::ensure_tests().map_err(|error| format!("{error:#}"))).clone()
}

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
