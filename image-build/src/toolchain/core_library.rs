//! core, alloc and compiler_builtins for the Hermit target, built from the toolchain's own sources.
//!
//! No toolchain contains them. They are built once and placed where rustc looks for the libraries of a target. Then
//! plain stable cargo builds for this target as for any other.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::tool::process;
use crate::toolchain::pinned;
use crate::toolchain::pinned::Profile;
use crate::toolchain::{HERMIT_TARGET, Toolchain};

/// The libraries, by the beginning of their file names.
const LIBRARIES: [&str; 3] = ["libcore-", "liballoc-", "libcompiler_builtins-"];
/// Bitcode beside the machine code lets programs be linked with link-time optimization.
const FLAGS: &[&str] = &["-Cembed-bitcode=yes", pinned::NO_RED_ZONE];
/// How it is built: as the manifest says, and otherwise by cargo's defaults.
const PROFILE: Profile = Profile {
    name: "release",
    opt_level: "3",
    lto: "false",
    codegen_units: 16,
    debug: "false",
    strip: "\"none\"",
    rust_flags: FLAGS,
};
/// What is built; `compiler-builtins-mem` brings `memcpy` and its kin, which no libc brings here.
const BUILD_STD: [&str; 2] = ["-Zbuild-std=core,alloc", "-Zbuild-std-features=compiler-builtins-mem"];
/// A crate that needs them, so that cargo has something to build them for.
const MANIFEST: &str = "[package]\nname = \"core-for-hermit\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
    [profile.release]\npanic = \"abort\"\n[workspace]\n";

/// What decides the libraries' contents besides the compiler.
pub fn recipe() -> String {
    format!("{LIBRARIES:?}\n{FLAGS:?}\n{BUILD_STD:?}\n{MANIFEST}")
}

/// Builds the libraries and returns where they lie in `scratch`.
///
/// # Errors
/// When the build fails or does not give each library once.
pub fn build(toolchain: &Toolchain, scratch: &Path) -> Result<Vec<PathBuf>> {
    let package = scratch.join("core");
    fs::create_dir_all(package.join("src")).context("cannot create a package to build core for")?;
    fs::write(package.join("Cargo.toml"), MANIFEST)?;
    fs::write(package.join("src/lib.rs"), "#![no_std]\n")?;
    let target = scratch.join("core-target");
    let mut cargo = toolchain.cargo();
    pinned::build_with(&mut cargo, &PROFILE);
    cargo.current_dir(&package).args(BUILD_STD);
    cargo.args(["--target", HERMIT_TARGET, "--target-dir"]).arg(&target);
    process::output(&mut cargo, "building core for Hermit")?;
    libraries_in(&target.join(HERMIT_TARGET).join("release/deps"))
}

fn libraries_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in directory.read_dir().with_context(|| format!("cannot read {}", directory.display()))? {
        paths.push(entry?.path());
    }
    let is = |path: &Path, start: &str| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(start) && name.ends_with(".rlib")
    };
    let mut found = Vec::new();
    for start in LIBRARIES {
        let matching: Vec<&PathBuf> = paths.iter().filter(|path| is(path, start)).collect();
        ensure!(
            matching.len() == 1,
            "building core for Hermit gave {} files {start}*.rlib, not one",
            matching.len()
        );
        found.extend(matching.into_iter().cloned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_is_there_exactly_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let add = |name: &str| fs::write(directory.path().join(name), "").expect("a file");
        for name in ["libcore-1.rlib", "liballoc-2.rlib", "libcore-1.rmeta", "libcore_for_hermit-3.rlib"] {
            add(name);
        }
        assert!(libraries_in(directory.path()).is_err(), "compiler_builtins is missing");
        add("libcompiler_builtins-4.rlib");
        assert_eq!(libraries_in(directory.path()).expect("all three").len(), 3);
        add("libcore-5.rlib");
        assert!(libraries_in(directory.path()).is_err(), "two cores");
    }
}
