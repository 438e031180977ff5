//! Installation of missing programs through the system's package manager.
//!
//! It installs only what the caller asks for, and only if the program is missing; it installs each package
//! separately, never asks for a password, and says what it does first. [`table`] lists the package of each program.

pub mod table;

use std::env;
use std::fs::File;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::tool::process;
use crate::tool::progress::Step;
pub use table::Packaged;
use table::QEMU;

/// With `never`, nothing is installed: what is missing is said.
const INSTALL: &str = "VOTING_APP_INSTALL";
/// What is said then.
pub const FORBIDDEN: &str = "VOTING_APP_INSTALL=never forbids to install anything";
/// Held by who installs: managers refuse to work beside each other. In the system's folder for temporary files.
const LOCK: &str = "voting-app-install.lock";

/// A package manager: its program, the words that install a package, and those that bring its lists up to date.
struct Manager {
    program: &'static str,
    words: &'static [&'static str],
    refresh: Option<&'static str>,
    needs_root: bool,
}

/// In the order of the names in a [`Packaged`].
const MANAGERS: [Manager; 6] = [
    Manager {
        program: "apt-get",
        words: &["install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"],
        refresh: Some("update"),
        needs_root: true,
    },
    Manager { program: "dnf", words: &["install", "--assumeyes"], refresh: None, needs_root: true },
    Manager {
        program: "pacman",
        words: &["-S", "--noconfirm", "--needed"],
        refresh: Some("-Sy"),
        needs_root: true,
    },
    Manager {
        program: "zypper",
        words: &["--non-interactive", "install", "--no-recommends"],
        refresh: None,
        needs_root: true,
    },
    Manager { program: "apk", words: &["add"], refresh: Some("update"), needs_root: true },
    Manager { program: "brew", words: &["install"], refresh: None, needs_root: false },
];

/// How a person installs QEMU on this system.
pub fn advice() -> String {
    advice_for(&[&QEMU])
}

/// How a person installs these programs on this system.
pub fn advice_for(wanted: &[&Packaged]) -> String {
    let Some(place) = manager() else {
        let names: Vec<&str> = wanted.iter().map(|packaged| packaged.program).collect();
        return format!("install {} with your system's package manager", names.join(", "));
    };
    let mut packages: Vec<&str> = wanted.iter().filter_map(|packaged| packaged.package(place)).collect();
    packages.sort_unstable();
    packages.dedup();
    let manager = &MANAGERS[place];
    let sudo = if needs_sudo(manager) { "sudo " } else { "" };
    let update = manager.refresh.filter(|_| manager.program == "apt-get");
    let update = update.map_or_else(String::new, |word| format!("{sudo}{} {word} && ", manager.program));
    let words = manager.words.iter().filter(|word| !matches!(**word, "-o" | "DPkg::Lock::Timeout=300"));
    let words: Vec<&str> = words.copied().chain(packages).collect();
    format!("run `{update}{sudo}{} {}`", manager.program, words.join(" "))
}

/// Installs QEMU if it is missing, saying so first.
///
/// # Errors
/// As [`ensure_all`].
pub fn ensure_qemu() -> Result<()> {
    ensure(&QEMU)
}

/// Installs what tests use and is missing, saying so first.
///
/// # Errors
/// As [`ensure_all`].
pub fn ensure_tests() -> Result<()> {
    ensure_all(&tests())
}

/// What tests use.
pub fn tests() -> Vec<&'static Packaged> {
    table::TESTS.iter().collect()
}

/// Installs a program if it is missing, saying so first.
///
/// # Errors
/// As [`ensure_all`].
pub fn ensure(packaged: &Packaged) -> Result<()> {
    ensure_all(&[packaged])
}

/// Whether the user allows that things are installed.
pub fn may_install() -> bool {
    env::var_os(INSTALL).is_none_or(|value| value != "never")
}

/// Those that are not there.
pub fn missing<'a>(wanted: &[&'a Packaged]) -> Vec<&'a Packaged> {
    wanted.iter().copied().filter(|packaged| !packaged.is_there()).collect()
}

/// Installs those of these programs that are missing, saying so first.
///
/// # Errors
/// In one line that names all that are missing then: when nothing may be installed, or some cannot be.
pub fn ensure_all(wanted: &[&Packaged]) -> Result<()> {
    if missing(wanted).is_empty() {
        return Ok(());
    }
    // Only to be polite to others who install: without it, the manager says that it is taken.
    let lock = File::create(env::temp_dir().join(LOCK)).ok();
    let _ = lock.as_ref().map(File::lock);
    let lacking = missing(wanted);
    if lacking.is_empty() {
        return Ok(());
    }
    let place = usable_manager().map_err(|obstacle| anyhow!("{}; {obstacle}", lack(&lacking)))?;
    let obstacles = install_all(place, &lacking);
    let left = missing(wanted);
    ensure!(
        left.is_empty(),
        "{}{}",
        lack(&left),
        obstacles.map(|obstacle| format!("; {obstacle}")).collect::<String>()
    );
    Ok(())
}

/// What is missing and how to get it, in one line.
pub fn lack(missing: &[&Packaged]) -> String {
    let names: Vec<&str> = missing.iter().map(|packaged| packaged.program).collect();
    format!("missing: {}: {}", names.join(", "), advice_for(missing))
}

/// Installs each package separately; returns the reasons for those that cannot be installed.
fn install_all<'a>(place: usize, lacking: &'a [&Packaged]) -> impl Iterator<Item = String> + 'a {
    let manager = &MANAGERS[place];
    let names: Vec<&str> = lacking.iter().map(|packaged| packaged.program).collect();
    note!("missing here: {}; installing them with {}", names.join(", "), manager.program);
    if let Some(word) = manager.refresh {
        // A fresh system has no lists yet; when this fails the installation says more.
        let _ = run(&command_words(manager, vec![word]));
    }
    let mut obstacles = Vec::new();
    for packaged in lacking {
        // Another one's package may have brought it.
        if !packaged.is_there()
            && let Err(error) = install(place, packaged)
        {
            let last = format!("{error:#}").lines().next_back().unwrap_or_default().to_owned();
            note!("{} cannot be installed: {last}", packaged.program);
            obstacles.push(format!("{}: {last}", packaged.program));
        }
    }
    obstacles.into_iter()
}

fn install(place: usize, packaged: &Packaged) -> Result<()> {
    let manager = &MANAGERS[place];
    let package =
        packaged.package(place).with_context(|| format!("{} has no package of it", manager.program))?;
    if manager.program == "apt-get" {
        check_company(package)?;
    }
    let words = command_words(manager, manager.words.iter().copied().chain([package]).collect());
    let step = Step::start(format!("Installing {}: {}", packaged.program, words.join(" ")));
    run(&words)?;
    step.done();
    Ok(())
}

/// Whether apt would bring, with this package, another one whose program is there from elsewhere. What a user has put
/// there is not doubled.
fn check_company(package: &str) -> Result<()> {
    let mut simulate = Command::new("apt-get");
    simulate.args(["install", "--simulate", "--no-install-recommends", package]);
    let text = process::output(&mut simulate, "asking apt-get")?;
    let brought: Vec<&str> = text.lines().filter_map(brought).filter(|name| *name != package).collect();
    let apt = 0;
    let doubled = |packaged: &&Packaged| {
        packaged.package(apt).is_some_and(|name| brought.contains(&name)) && packaged.is_there()
    };
    if let Some(doubled) = table::TESTS.iter().find(doubled) {
        bail!("{package} would install a second {} next to the existing one", doubled.program);
    }
    Ok(())
}

/// The package that a line of apt's simulation installs anew: `Inst NAME (VERSION ...`, with `[OLD]` for an upgrade.
fn brought(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
    rest.starts_with('(').then_some(name)
}

/// The place of this system's manager, if it may be used and can be without a question.
fn usable_manager() -> Result<usize, String> {
    if !may_install() {
        return Err(FORBIDDEN.to_owned());
    }
    let place = manager().ok_or("no package manager that is known here")?;
    // `sudo -n` fails at once where it would ask: a question could not be seen behind progress.
    if needs_sudo(&MANAGERS[place])
        && process::output(Command::new("sudo").args(["-n", "true"]), "asking sudo").is_err()
    {
        return Err("only root may install it, and sudo does not work without a password".to_owned());
    }
    Ok(place)
}

fn manager() -> Option<usize> {
    MANAGERS.iter().position(|manager| process::is_installed(manager.program))
}

fn needs_sudo(manager: &Manager) -> bool {
    manager.needs_root && !rustix::process::geteuid().is_root()
}

fn command_words(manager: &Manager, words: Vec<&str>) -> Vec<String> {
    let prefix: &[&str] = if needs_sudo(manager) { &["sudo", "-n"] } else { &[] };
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
        let asked = [0, 1, 2, 3, 4, 5]
            .map(|place| format!("{} {}", MANAGERS[place].program, QEMU.package(place).expect("it has one")));
        assert_eq!(
            asked,
            [
                "apt-get qemu-system-x86",
                "dnf qemu-system-x86-core",
                "pacman qemu-system-x86",
                "zypper qemu-x86",
                "apk qemu-system-x86_64",
                "brew qemu",
            ]
        );
    }

    #[test]
    fn all_that_is_missing_is_told_in_one_line() {
        let text = lack(&[&QEMU, &table::AB]);
        assert!(text.starts_with("missing: qemu-system-x86_64, ab: ") && !text.contains('\n'), "{text}");
    }

    #[test]
    fn new_packages_and_upgrades_of_apt_are_told_apart() {
        assert_eq!(brought("Inst nodejs (18.20.4 Debian:12/stable [amd64])"), Some("nodejs"));
        assert_eq!(brought("Inst curl [7.88.1-10] (7.88.1-11 Debian:12/stable [amd64])"), None);
        assert_eq!(brought("Conf nodejs (18.20.4 Debian:12/stable [amd64])"), None);
    }

    #[test]
    fn no_program_is_listed_twice() {
        let mut programs = table::TESTS.map(|packaged| packaged.program);
        programs.sort_unstable();
        assert!(programs.windows(2).all(|two| two[0] != two[1]), "{programs:?}");
    }
}
