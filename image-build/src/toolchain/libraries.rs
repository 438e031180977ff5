//! The one-time set-up: after it, plain stable cargo builds for Hermit, in this clone and in any other.
//!
//! Its result belongs to the toolchain and not to the workspace: `libcore` and related libraries, and the kernel as
//! `libhermit.a`, in the directory where rustc looks for the libraries of a target. A stamp next to them names the
//! compiler and the recipe, so that a change of either is noticed.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

use crate::tool::files::hex;
use crate::tool::progress::Step;
use crate::tool::workspace::Workspace;
use crate::toolchain::{HERMIT_TARGET, Toolchain};
use crate::toolchain::{core_library, kernel};

/// Name of the stamp beside the libraries.
const STAMP: &str = "hermit-setup.stamp";
/// Beginning of the names of directories to build in, below the workspace's state.
const SCRATCH: &str = "setup-";
/// Beginning of the names of directories that are to become the libraries' one, beside it.
const FRESH: &str = "lib-";

/// Does whatever of the one-time work is missing, and returns the toolchain.
///
/// # Errors
/// When a part cannot be fetched, built or installed; then nothing is changed.
pub fn ensure(workspace: &Workspace) -> Result<Toolchain> {
    let toolchain = Toolchain::find(workspace)?;
    if !is_installed(&toolchain) {
        toolchain.complete(workspace)?;
        install(workspace, &toolchain)?;
    }
    Ok(toolchain)
}

/// Whether the libraries are there and fit the compiler and the recipe.
pub fn is_installed(toolchain: &Toolchain) -> bool {
    let stamp = fs::read_to_string(toolchain.libraries(HERMIT_TARGET).join(STAMP));
    stamp.is_ok_and(|stamp| stamp == expected_stamp(&toolchain.version))
}

fn expected_stamp(version: &str) -> String {
    let recipe = Sha256::digest(format!("{}\n{}", core_library::recipe(), kernel::recipe()));
    format!("{}\nrecipe: {}\n", version.trim(), hex(&recipe))
}

fn install(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let libraries = toolchain.libraries(HERMIT_TARGET);
    let target = libraries.parent().context("a library directory without a parent")?;
    fs::create_dir_all(target).map_err(|error| not_writable(target, &error))?;
    let lock_path = target.join("setup.lock");
    let lock = File::create(&lock_path).map_err(|error| not_writable(&lock_path, &error))?;
    lock.lock().context("cannot wait for another setup to end")?;
    if is_installed(toolchain) {
        return Ok(());
    }
    let state = workspace.state()?;
    remove_leftovers(&state, SCRATCH)?;
    remove_leftovers(target, FRESH)?;
    let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(state)?;
    let (cores, kernel) = build(workspace, toolchain, scratch.path())?;
    let fresh = tempfile::Builder::new().prefix(FRESH).tempdir_in(target)?;
    for path in cores.iter().chain([&kernel]) {
        let name = path.file_name().context("a library without a name")?;
        fs::copy(path, fresh.path().join(name)).map_err(|error| not_writable(fresh.path(), &error))?;
    }
    fs::write(fresh.path().join(STAMP), expected_stamp(&toolchain.version))?;
    exchange(fresh.path(), &libraries)
}

/// Removes what setups left behind that were killed. Under the lock no other one is running.
fn remove_leftovers(directory: &Path, prefix: &str) -> Result<()> {
    for entry in directory.read_dir().with_context(|| format!("cannot read {}", directory.display()))? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(|error| not_writable(&path, &error))?;
        }
    }
    Ok(())
}

/// Core and the kernel do not depend on each other, so they are built side by side.
fn build(workspace: &Workspace, toolchain: &Toolchain, scratch: &Path) -> Result<(Vec<PathBuf>, PathBuf)> {
    let step = Step::start("Building core and the kernel for Hermit (once per toolchain, about a minute)");
    let results = thread::scope(|scope| {
        let kernel = scope.spawn(|| kernel::build(workspace, toolchain, scratch));
        let cores = core_library::build(toolchain, scratch);
        let kernel = kernel.join().map_err(|_| anyhow!("building the kernel stopped with a panic"));
        (cores, kernel)
    });
    let built = (results.0?, results.1??);
    step.done();
    Ok(built)
}

/// Puts `fresh` in the place of `libraries`. Whoever builds meanwhile finds all of the old directory,
/// all of the new one, or for a moment none; never a mixture.
fn exchange(fresh: &Path, libraries: &Path) -> Result<()> {
    let old = fresh.with_extension("old");
    match fs::rename(libraries, &old) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(not_writable(libraries, &error)),
        _ => {}
    }
    // A temporary directory is its owner's alone; libraries are everybody's.
    let permissions = fs::metadata(fresh.parent().context("no parent")?)?.permissions();
    fs::set_permissions(fresh, permissions)?;
    if let Err(error) = fs::rename(fresh, libraries) {
        let _ = fs::rename(&old, libraries);
        return Err(not_writable(libraries, &error));
    }
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

fn not_writable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow!(
        "cannot write {} ({error}): the libraries for Hermit belong to the toolchain; \
         use a toolchain of your own (rustup) or run `cargo image setup` once as its owner",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_changes_with_the_compiler() {
        assert_eq!(expected_stamp("rustc 1.95.0\n"), expected_stamp("rustc 1.95.0"));
        assert_ne!(expected_stamp("rustc 1.95.0"), expected_stamp("rustc 1.96.0"));
    }

    #[test]
    fn leftovers_of_killed_setups_go_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["setup-a1", "lib", "run"] {
            fs::create_dir_all(directory.path().join(name).join("inner")).expect("a directory");
        }
        remove_leftovers(directory.path(), SCRATCH).expect("removed");
        let mut names: Vec<_> =
            directory.path().read_dir().expect("there").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["lib", "run"]);
    }

    #[test]
    fn libraries_are_exchanged_as_a_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let [fresh, libraries] = ["fresh", "lib"].map(|name| directory.path().join(name));
        for round in ["first", "second"] {
            fs::create_dir(&fresh).expect("a directory");
            fs::write(fresh.join(round), round).expect("a file");
            exchange(&fresh, &libraries).expect("exchanged");
            let names: Vec<_> =
                libraries.read_dir().expect("there").flatten().map(|e| e.file_name()).collect();
            assert_eq!(names, [round]);
        }
        assert_eq!(directory.path().read_dir().expect("there").count(), 1, "nothing is left beside it");
    }
}
