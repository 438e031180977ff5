//! The Rust toolchain: where its components are, which are missing, and how rustup adds these.
//!
//! It never installs a whole toolchain: without one, cargo could not have started this tool.

mod core_library;
mod kernel;
mod kernel_memory;
pub mod libraries;
pub mod pinned;
pub mod registry;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tool::process;
use crate::tool::progress::Step;
use crate::tool::workspace::Workspace;

/// Target of the programs.
pub const HERMIT_TARGET: &str = "x86_64-unknown-hermit";
/// Target of the kernel and the loader.
pub const BARE_TARGET: &str = "x86_64-unknown-none";

/// The toolchain that cargo uses in the workspace.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Where it is installed.
    pub sysroot: PathBuf,
    /// What `rustc -vV` says: two compilers that differ here do not read each other's libraries.
    pub version: String,
    /// The host's target.
    pub host: String,
}

/// A part that a toolchain may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The sources of core and alloc.
    RustSrc,
    /// The linker and the tools for object files.
    LlvmTools,
    /// Core for the kernel and the loader.
    BareTarget,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RustSrc, Self::LlvmTools, Self::BareTarget];

    /// The words for rustup that add it.
    pub fn rustup_words(self) -> [&'static str; 3] {
        match self {
            Self::RustSrc => ["component", "add", "rust-src"],
            Self::LlvmTools => ["component", "add", "llvm-tools"],
            Self::BareTarget => ["target", "add", BARE_TARGET],
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RustSrc => f.write_str("rust-src"),
            Self::LlvmTools => f.write_str("llvm-tools"),
            Self::BareTarget => write!(f, "target {BARE_TARGET}"),
        }
    }
}

impl Toolchain {
    /// The toolchain that is in use at the workspace's root.
    ///
    /// # Errors
    /// When rustc cannot be run.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        let rustc = |words: &[&str]| {
            process::output(Command::new("rustc").args(words).current_dir(&workspace.root), "asking rustc")
        };
        let version = rustc(&["-vV"])?;
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc -vV does not name its host")?.to_owned();
        Ok(Self { sysroot, version, host })
    }

    /// Where rustc looks for the libraries of a target.
    pub fn libraries(&self, target: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(target).join("lib")
    }

    /// One of the LLVM tools.
    pub fn llvm_tool(&self, name: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("bin").join(name)
    }

    /// Whether a part is there.
    pub fn has(&self, part: Part) -> bool {
        match part {
            Part::RustSrc => self.sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file(),
            Part::LlvmTools => {
                ["rust-lld", "llvm-objcopy", "llvm-ar"].iter().all(|tool| self.llvm_tool(tool).is_file())
            }
            Part::BareTarget => has_core(&self.libraries(BARE_TARGET)),
        }
    }

    /// Adds the parts that are missing.
    ///
    /// # Errors
    /// When rustup is not there or cannot fetch them.
    pub fn complete(&self, workspace: &Workspace) -> Result<()> {
        for part in Part::ALL.into_iter().filter(|part| !self.has(*part)) {
            self.add(workspace, part)?;
        }
        Ok(())
    }

    fn add(&self, workspace: &Workspace, part: Part) -> Result<()> {
        let words = part.rustup_words();
        if !process::is_installed("rustup") {
            bail!(
                "{part} is missing in {}, and rustup is not there to add it: install rustup, \
                 or the package of your system that holds it",
                self.sysroot.display()
            );
        }
        let step = Step::start(format!("Adding {part} to the toolchain (rustup {})", words.join(" ")));
        let mut rustup = Command::new("rustup");
        process::output(rustup.args(words).current_dir(&workspace.root), &format!("adding {part}"))?;
        step.done();
        Ok(())
    }

    /// A cargo of this very toolchain that builds independently of how this tool was called.
    ///
    /// Building for a bare target takes features that only an unstable compiler allows: the kernel
    /// uses some, and so does building core. The programs themselves do without.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(self.program("cargo"));
        process::forget_build_settings(&mut command).env("RUSTC", self.rustc()).env("RUSTC_BOOTSTRAP", "1");
        command
    }

    /// Path of the toolchain's compiler.
    pub fn rustc(&self) -> PathBuf {
        self.program("rustc")
    }

    fn program(&self, name: &str) -> PathBuf {
        let path = self.sysroot.join("bin").join(name);
        if path.is_file() { path } else { name.into() }
    }
}

/// Whether a directory of libraries has a core.
pub fn has_core(libraries: &Path) -> bool {
    let is_core = |name: &str| name.starts_with("libcore-") && name.ends_with(".rlib");
    let Ok(entries) = libraries.read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_core))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_core_is_no_target() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(!has_core(&directory.path().join("missing")));
        std::fs::write(directory.path().join("libcore_x-1.rlib"), "").expect("a file");
        assert!(!has_core(directory.path()));
        std::fs::write(directory.path().join("libcore-1.rlib"), "").expect("a file");
        assert!(has_core(directory.path()));
    }
}
