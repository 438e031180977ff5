//! Names of services: those that are good for a package, a Rust library, a folder and a service of a description alike.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::tool::workspace::Workspace;

/// Longest name, in bytes: that of a service in a description.
const NAME_BYTES_MAX: usize = 40;

/// Words of Rust, of cargo and of `cargo fault`, which mean something else.
const RESERVED: &str = "abstract alloc as async await become box break build const continue core crate default deps do dyn \
    else enum examples extern false final fn for gen host if impl in incremental let loop macro match \
    mod move mut override priv proc-macro pub ref return self static std struct super target test trait \
    true try type typeof union unsafe use virtual where while yield";

/// Whether a name can be used at all.
///
/// # Errors
/// When it cannot, with the rule.
pub fn check(name: &str) -> Result<()> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        name.len() <= NAME_BYTES_MAX
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name.chars().all(inner),
        "{name:?} cannot name a service: use 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens; begin with a letter and do not end with a hyphen"
    );
    ensure!(
        !RESERVED.split(' ').any(|word| word == name),
        "{name} is a reserved word: give another name, such as {name}-web"
    );
    Ok(())
}

/// Whether no package that the workspace knows has the name.
///
/// # Errors
/// When one has.
pub fn check_unused(workspace: &Workspace, name: &str) -> Result<()> {
    let path = workspace.root.join("Cargo.lock");
    let lock = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = format!("name = \"{name}\"");
    // Names differ for cargo, but not for Rust, if only hyphens and underscores do.
    let is_of_lock = lock.lines().any(|found| found.replace('_', "-") == line);
    let is_member = workspace.packages()?.iter().any(|package| package.name.as_str() == name);
    ensure!(
        !is_of_lock && !is_member,
        "{name} is the name of a package that is used here: give another name"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_rust_or_a_description_cannot_take_are_refused() {
        for good in ["a", "hello-web", "web2", &"a".repeat(40)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for wrong in ["", "-a", "a-", "2a", "A", "a_b", "a b", "../a", "a/b", "ä", &"a".repeat(41)] {
            let error = check(wrong).expect_err(wrong).to_string();
            assert!(error.contains("lower-case letters"), "{error}");
        }
        for reserved in ["fn", "test", "core", "deps", "host", "default"] {
            let error = check(reserved).expect_err(reserved).to_string();
            assert!(error.contains("reserved word"), "{error}");
        }
    }

    #[test]
    fn packages_of_the_workspace_and_of_others_keep_their_names() {
        let workspace = Workspace::find().expect("this is a workspace");
        assert!(check_unused(&workspace, "hello-web").is_ok());
        for taken in ["vote-service", "smoltcp", "proc-macro2", "signal-hook"] {
            assert!(check_unused(&workspace, taken).is_err(), "{taken}");
        }
    }
}
