//! Programs through the system's package manager, where they are missing.
//!
//! It installs nothing but what it is asked for, asks for no password, and says what it does first.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::qemu;

/// A program that others have packaged, and what its package is called for each manager.
#[derive(Clone, Copy, Debug)]
pub struct Packaged {
    /// Name of the executable.
    pub program: &'static str,
    /// Package of Debian and its kin.
    pub apt: &'static str,
    /// Package of Fedora and its kin.
    pub dnf: &'static str,
    /// Package of Arch Linux.
    pub pacman: &'static str,
    /// Formula of Homebrew.
    pub brew: &'static str,
}

/// QEMU for x86-64.
const QEMU: Packaged = Packaged {
    program: qemu::PROGRAM,
    apt: "qemu-system-x86",
    dnf: "qemu-system-x86-core",
    pacman: "qemu-system-x86",
    brew: "qemu",
};

/// A package manager: its program, the words that install a package, and which name it goes by there.
struct Manager {
    program: &'static str,
    words: &'static [&'static str],
    package: fn(&Packaged) -> &'static str,
    needs_root: bool,
}

const MANAGERS: [Manager; 4] = [
    Manager {
        program: "apt-get",
        words: &["install", "--yes", "--no-install-recommends"],
        package: |packaged| packaged.apt,
        needs_root: true,
    },
    Manager {
        program: "dnf",
        words: &["install", "--assumeyes"],
        package: |packaged| packaged.dnf,
        needs_root: true,
    },
    Manager {
        program: "pacman",
        words: &["-S", "--noconfirm"],
        package: |packaged| packaged.pacman,
        needs_root: true,
    },
    Manager { program: "brew", words: &["install"], package: |packaged| packaged.brew, needs_root: false },
];

/// How a person installs QEMU on this system.
pub fn advice() -> String {
    advice_for(&QEMU)
}

/// How a person installs a program on this system.
pub fn advice_for(packaged: &Packaged) -> String {
    match manager() {
        Some(manager) => format!("run `{}`", command_words(manager, install(manager, packaged)).join(" ")),
        None => format!("install {} with your system's package manager", packaged.brew),
    }
}

/// Installs QEMU if it is missing, saying so first.
///
/// # Errors
/// As [`ensure`](fn@ensure).
pub fn ensure_qemu() -> Result<()> {
    ensure(&QEMU)
}

/// Installs a program if it is missing, saying so first.
///
/// # Errors
/// When no known package manager is there, or it fails.
pub fn ensure(packaged: &Packaged) -> Result<()> {
    if process::is_installed(packaged.program) {
        return Ok(());
    }
    install_now(packaged)?;
    ensure!(
        process::is_installed(packaged.program),
        "{} is still not installed after that",
        packaged.program
    );
    Ok(())
}

/// Installs a package, whether its program is there or not, saying so first.
///
/// # Errors
/// When no known package manager is there, or it fails.
pub fn install_now(packaged: &Packaged) -> Result<()> {
    let manager = manager()
        .with_context(|| format!("{} is not installed: {}", packaged.program, advice_for(packaged)))?;
    let words = command_words(manager, install(manager, packaged));
    note!("{} is missing; installing it: {}", (manager.package)(packaged), words.join(" "));
    if manager.program == "apt-get" {
        // A fresh system has no lists yet; when this fails the installation says more.
        let _ = run(&command_words(manager, vec!["update"]));
    }
    run(&words)
}

fn install(manager: &Manager, packaged: &Packaged) -> Vec<&'static str> {
    manager.words.iter().copied().chain([(manager.package)(packaged)]).collect()
}

fn manager() -> Option<&'static Manager> {
    MANAGERS.iter().find(|manager| process::is_installed(manager.program))
}

fn command_words(manager: &Manager, words: Vec<&str>) -> Vec<String> {
    // `sudo -n` fails at once where it would ask: a question could not be seen behind progress.
    let root = manager.needs_root && !rustix::process::geteuid().is_root();
    let prefix: &[&str] = if root { &["sudo", "-n"] } else { &[] };
    prefix.iter().chain([&manager.program]).chain(&words).map(|word| (*word).to_owned()).collect()
}

fn run(words: &[String]) -> Result<()> {
    let [program, arguments @ ..] = words else { bail!("no command") };
    let mut command = Command::new(program);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    process::output(&mut command, &format!("`{}`", words.join(" "))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_manager_is_asked_by_the_name_that_the_package_has_there() {
        let asked = MANAGERS.map(|manager| install(&manager, &QEMU).join(" "));
        assert_eq!(
            asked,
            [
                "install --yes --no-install-recommends qemu-system-x86",
                "install --assumeyes qemu-system-x86-core",
                "-S --noconfirm qemu-system-x86",
                "install qemu",
            ]
        );
    }
}
