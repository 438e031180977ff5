//! Cargo, as it is run to compile programs for Hermit: packages of the workspace, or one that lies elsewhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

use crate::tool::progress::Step;
use crate::toolchain::pinned;
use crate::toolchain::pinned::Profile;
use crate::toolchain::{HERMIT_TARGET, Toolchain};

/// The profile of images, as the workspace's `Cargo.toml` has it.
pub const IMAGE: Profile = Profile {
    name: "image",
    opt_level: "3",
    lto: "true",
    codegen_units: 1,
    debug: "\"limited\"",
    strip: "\"none\"",
    // SHA-256 is for logging in to a database: its compact form takes 9 KB less of an image than the unrolled one.
    rust_flags: &["--cfg=sha2_backend_soft=\"compact\"", pinned::NO_RED_ZONE],
};
/// Compiles quickly: for programs that are only to be seen running.
pub const DEV: Profile = Profile {
    name: "dev",
    opt_level: "1",
    lto: "false",
    codegen_units: 16,
    debug: "\"line-tables-only\"",
    strip: "\"none\"",
    rust_flags: &[pinned::NO_RED_ZONE],
};
/// A package that lies elsewhere may not know the profile.
const INHERITS: [&str; 2] = ["--config", "profile.image.inherits=\"release\""];
/// The linker of the target, whatever a configuration puts in its place.
const LINKER: (&str, &str) = ("CARGO_TARGET_X86_64_UNKNOWN_HERMIT_LINKER", "rust-lld");

/// What is to be compiled.
#[derive(Clone, Copy, Debug)]
pub struct Compilation<'a> {
    /// The folder of the package or the workspace.
    pub folder: &'a Path,
    /// The packages of the workspace; none for the one package in the folder.
    pub packages: &'a [&'a str],
    /// Where cargo puts what it makes, wherever a configuration would have it.
    pub target: &'a Path,
    /// How it is compiled.
    pub profile: &'a Profile,
}

impl Compilation<'_> {
    /// The cargo that compiles it, and names on its standard output what it has made.
    pub fn command(&self, toolchain: &Toolchain) -> Command {
        let mut cargo = toolchain.cargo();
        pinned::build_with(&mut cargo, self.profile);
        if self.profile.name == IMAGE.name {
            cargo.args(INHERITS);
        }
        // The programs use nothing unstable.
        cargo.env_remove("RUSTC_BOOTSTRAP").env(LINKER.0, LINKER.1);
        cargo.current_dir(self.folder).args(["--target", HERMIT_TARGET]);
        cargo.arg("--target-dir").arg(self.target);
        cargo.args(["--quiet", "--message-format", "json-render-diagnostics"]);
        for name in self.packages {
            cargo.args(["--package", name]);
        }
        cargo
    }

    /// Runs cargo and returns the executables that it built, by the names of their targets.
    ///
    /// # Errors
    /// When the build fails; cargo has said why.
    pub fn run(&self, toolchain: &Toolchain, what: &str) -> Result<Vec<(String, PathBuf)>> {
        let step = Step::start(format!("Building {what} for Hermit"));
        let mut cargo = self.command(toolchain);
        // Cargo says on its error output what is wrong with a program; it passes that on to the user.
        let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.context("cargo cannot be started")?;
        ensure!(output.status.success(), "building {what} for Hermit failed");
        step.done();
        executables(&output.stdout)
    }
}

/// The executables that cargo names in its messages, by the names of their targets.
///
/// # Errors
/// When it says something else.
pub fn executables(messages: &[u8]) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for message in Message::parse_stream(messages) {
        if let Message::CompilerArtifact(artifact) = message.context("cargo's messages cannot be read")?
            && let Some(executable) = artifact.executable
        {
            found.push((artifact.target.name, executable.into_std_path_buf()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_lies_elsewhere_is_given_the_profile_it_lacks() {
        let toolchain =
            Toolchain { sysroot: "/none".into(), version: String::new(), host: "x86_64".to_owned() };
        let words = |profile: &Profile| -> Vec<String> {
            let compilation = Compilation {
                folder: Path::new("/elsewhere"),
                packages: &[],
                target: Path::new("/t"),
                profile,
            };
            let cargo = compilation.command(&toolchain);
            cargo.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
        };
        let image = words(&IMAGE);
        assert!(image.contains(&INHERITS[1].to_owned()), "{image:?}");
        assert!(image.contains(&"profile.image.lto=true".to_owned()), "{image:?}");
        let dev = words(&DEV);
        assert!(!dev.contains(&INHERITS[1].to_owned()) && !dev.contains(&"--package".to_owned()), "{dev:?}");
    }
}
