//! Whether a VMM can be used on this machine: where its program is, and which version it is.
//!
//! Whether KVM works is for `probe` to say. Nothing is installed here.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tool::process;
use crate::vm::guest_failure::last_words;
use crate::vm::vmm::{Version, Vmm};

/// How long a program may take to tell its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(10);
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 4096;

/// A VMM that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no such program.
    Missing(Vmm, Option<PathBuf>),
    /// It is there, but no program that this user may start.
    NotExecutable(Vmm, PathBuf),
    /// It does not tell its version; what it says instead.
    Silent(Vmm, PathBuf, String),
    /// It is older than what works.
    TooOld(Vmm, PathBuf, Version),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(vmm, None) => write!(f, "{} is not installed: {}", vmm.label(), advice(*vmm)),
            Self::Missing(vmm, Some(path)) => {
                write!(f, "there is no {} at {}: {}", vmm.label(), path.display(), advice(*vmm))
            }
            Self::NotExecutable(vmm, path) => write!(
                f,
                "{} cannot be started: make {} executable, or name another one with --vmm-program",
                vmm.label(),
                path.display()
            ),
            Self::Silent(vmm, path, said) => {
                write!(f, "{} does not tell the version of {} ({said})", path.display(), vmm.label())
            }
            Self::TooOld(vmm, path, version) => write!(
                f,
                "{} is {} {version}, which is too old: {}",
                path.display(),
                vmm.label(),
                advice(*vmm)
            ),
        }
    }
}

impl std::error::Error for Unfit {}

/// Where to get a VMM that works.
pub fn advice(vmm: Vmm) -> String {
    let version = vmm.version_min().map(|version| version.to_string()).unwrap_or_default();
    match vmm {
        Vmm::Qemu => "install it with your system's package manager".to_owned(),
        Vmm::Uhyve => {
            format!("run `cargo install uhyve --version {version} --locked`, or let `cargo up` do it")
        }
        Vmm::Firecracker => format!(
            "take {version} or later from https://github.com/firecracker-microvm/firecracker/releases \
             into PATH, or name it with --vmm-program"
        ),
        Vmm::CloudHypervisor => format!(
            "take {version} or later from https://github.com/cloud-hypervisor/cloud-hypervisor/releases \
             into PATH, or name it with --vmm-program"
        ),
    }
}

/// The program of a VMM: the given one, or that in one of these folders, or in `PATH`.
///
/// # Errors
/// When there is none, or it cannot be started.
pub fn find(vmm: Vmm, given: Option<&Path>, folders: &[PathBuf]) -> Result<PathBuf, Unfit> {
    let own = || folders.iter().map(|folder| folder.join(vmm.program())).find(|path| path.is_file());
    let path = match given {
        Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        None => process::find(vmm.program()).or_else(own).ok_or(Unfit::Missing(vmm, None))?,
    };
    match fs::metadata(&path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(path),
        Ok(_) => Err(Unfit::NotExecutable(vmm, path)),
        Err(_) => Err(Unfit::Missing(vmm, Some(path))),
    }
}

/// The version of a program, which is checked.
///
/// # Errors
/// When it cannot be started, does not tell, or is too old.
pub fn version(vmm: Vmm, program: &Path) -> Result<Version, Unfit> {
    let silent = |said: &str| Unfit::Silent(vmm, program.to_owned(), said.to_owned());
    let child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => Unfit::NotExecutable(vmm, program.to_owned()),
            _ => silent(&error.to_string()),
        })?;
    let said = answer(child).map_err(|why| silent(&why))?;
    // One of another kind would be given words that it does not know.
    let is_it = said.to_lowercase().contains(&vmm.label().to_lowercase());
    let version = parse(&said).filter(|_| is_it);
    let version = version.ok_or_else(|| silent(said.lines().next().unwrap_or("it says nothing")))?;
    match vmm.version_min() {
        Some(least) if version < least => Err(Unfit::TooOld(vmm, program.to_owned(), version)),
        _ => Ok(version),
    }
}

/// What a program says that is given some time; a short answer fits in a pipe.
fn answer(mut child: Child) -> Result<String, String> {
    let end = Instant::now() + VERSION_TIMEOUT;
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if Instant::now() >= end {
            // Both fail only when it has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("no answer in {} s", VERSION_TIMEOUT.as_secs()));
        }
        thread::sleep(POLL);
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(ANSWER_BYTES_MAX)]).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let errors = text(&output.stderr);
    Err(last_words(errors.lines()).map_or_else(|| output.status.to_string(), str::to_owned))
}

/// The first number of the form 1.2 or 1.2.3 in a text.
fn parse(text: &str) -> Option<Version> {
    text.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches('v');
        let number = |part: &str| -> Option<u32> {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end].parse().ok()
        };
        let mut parts = word.split('.');
        let (major, minor) = (number(parts.next()?)?, number(parts.next()?)?);
        Some(Version([major, minor, parts.next().and_then(number).unwrap_or(0)]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that does what this shell script says.
    fn script(text: &str, rights: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("firecracker");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("room");
        fs::set_permissions(&path, fs::Permissions::from_mode(rights)).expect("ours");
        (folder, path)
    }

    fn unfit(text: &str) -> String {
        let (_folder, path) = script(text, 0o755);
        version(Vmm::Firecracker, &path)
            .expect_err("unfit")
            .to_string()
            .replace(path.to_str().expect("text"), "P")
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (text, version) in [
            ("uhyve 0.10.0\n", [0, 10, 0]),
            ("Firecracker v1.13.1\n\nexiting\n", [1, 13, 1]),
            ("cloud-hypervisor v54.0-12-gabc\n", [54, 0, 0]),
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n", [7, 2, 22]),
            ("Firecracker v1.17.0-dev", [1, 17, 0]),
        ] {
            assert_eq!(parse(text), Some(Version(version)), "{text}");
        }
        for text in ["", "firecracker", "v", "1", "x.y", "99999999999.1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_used_is_told_with_its_own_words() {
        assert!(
            unfit("echo 'Firecracker v1.11.9'")
                .starts_with("P is Firecracker 1.11.9, which is too old: take 1.12.0")
        );
        assert_eq!(
            unfit("echo 'first'; echo 'no /dev/x' >&2; exit 1"),
            "P does not tell the version of Firecracker (no /dev/x)"
        );
        assert_eq!(unfit("exit 3"), "P does not tell the version of Firecracker (exit status: 3)");
        assert_eq!(unfit("echo hello"), "P does not tell the version of Firecracker (hello)");
        assert_eq!(unfit("echo uhyve 2.0.0"), "P does not tell the version of Firecracker (uhyve 2.0.0)");
        assert_eq!(unfit("true"), "P does not tell the version of Firecracker (it says nothing)");
        let (_folder, path) = script("echo 'Firecracker v1.12.0'", 0o755);
        assert_eq!(version(Vmm::Firecracker, &path), Ok(Version([1, 12, 0])));
    }

    #[test]
    fn a_program_is_taken_from_where_it_is_said_to_be() {
        let (folder, path) = script("", 0o755);
        assert_eq!(find(Vmm::Firecracker, Some(&path), &[]), Ok(path));
        let none = folder.path().join("none");
        let text = find(Vmm::Firecracker, Some(&none), &[]).expect_err("missing").to_string();
        assert!(text.starts_with(&format!("there is no Firecracker at {}: take", none.display())), "{text}");
        let (_folder, path) = script("", 0o644);
        let text = find(Vmm::Firecracker, Some(&path), &[]).expect_err("no program").to_string();
        assert!(text.contains("make") && text.contains("executable"), "{text}");
    }
}
