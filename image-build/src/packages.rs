//! QEMU through the system's package manager, where it is missing.
//!
//! It installs nothing else, asks for no password, and never runs unless its caller says so first.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::qemu;

/// A package manager: its program, and the words that install QEMU for x86-64.
struct Manager {
    program: &'static str,
    words: &'static [&'static str],
    needs_root: bool,
}

const MANAGERS: [Manager; 4] = [
    Manager {
        program: "apt-get",
        words: &["install", "--yes", "--no-install-recommends", "qemu-system-x86"],
        needs_root: true,
    },
    Manager { program: "dnf", words: &["install", "--assumeyes", "qemu-system-x86-core"], needs_root: true },
    Manager { program: "pacman", words: &["-S", "--noconfirm", "qemu-system-x86"], needs_root: true },
    Manager { program: "brew", words: &["install", "qemu"], needs_root: false },
];

/// How a person installs QEMU on this system.
pub fn advice() -> String {
    match manager() {
        Some(manager) => format!("run `{}`", command_words(manager).join(" ")),
        None => "install QEMU for x86-64 with your system's package manager".to_owned(),
    }
}

/// Installs QEMU if it is missing, saying so first.
///
/// # Errors
/// When no known package manager is there, or it fails.
pub fn ensure_qemu() -> Result<()> {
    if process::is_installed(qemu::PROGRAM) {
        return Ok(());
    }
    let manager = manager().with_context(|| format!("{} is not installed: {}", qemu::PROGRAM, advice()))?;
    let words = command_words(manager);
    eprintln!("{} is not installed; installing it: {}", qemu::PROGRAM, words.join(" "));
    if manager.program == "apt-get" {
        // A fresh system has no lists yet; when this fails the installation says more.
        let _ = run(&[&words[..words.len() - manager.words.len()], &["update".to_owned()]].concat());
    }
    run(&words)?;
    ensure!(process::is_installed(qemu::PROGRAM), "{} is still not installed after that", qemu::PROGRAM);
    Ok(())
}

fn manager() -> Option<&'static Manager> {
    MANAGERS.iter().find(|manager| process::is_installed(manager.program))
}

fn command_words(manager: &Manager) -> Vec<String> {
    // `sudo -n` fails at once where it would ask: a question could not be seen behind progress.
    let root = manager.needs_root && !rustix::process::geteuid().is_root();
    let prefix: &[&str] = if root { &["sudo", "-n"] } else { &[] };
    prefix.iter().chain([&manager.program]).chain(manager.words).map(|word| (*word).to_owned()).collect()
}

fn run(words: &[String]) -> Result<()> {
    let [program, arguments @ ..] = words else { bail!("no command") };
    let mut command = Command::new(program);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    process::output(&mut command, &format!("`{}`", words.join(" "))).map(drop)
}
