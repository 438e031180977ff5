//! The programs of others that tests use. Which they are is `image_build::tool::packages::table`'s to say.

use std::process::Command;
use std::sync::OnceLock;

use image_build::tool::packages;
use image_build::tool::packages::table;

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
///
/// # Errors
/// All that are missing then, in one line.
pub fn programs() -> Result<(), String> {
    static GOT: OnceLock<Result<(), String>> = OnceLock::new();
    GOT.get_or_init(|| packages::ensure_tests().map_err(|error| format!("{error:#}"))).clone()
}
