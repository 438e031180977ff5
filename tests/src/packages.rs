//! Packages of other languages' registries for tests, of exact versions: from PyPI in a Python of their own, from
//! npm in a folder of their own. Both are made once, under `target/interop`.
//!
//! Installs nothing on the system.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::command::run;

/// Those of the original's vote service, as the newest were when they were written down here.
const PYTHON: [&str; 3] = ["Flask==3.1.3", "gunicorn==27.0.1", "redis==8.1.0"];
/// What the original's result service asks the database with, and what its page listens with.
const NODE: [&str; 2] = ["pg@8.23.1", "socket.io-client@4.8.4"];
/// The file that says what a folder has, written last.
const STAMP: &str = "packages";
/// The file that who makes a folder holds.
const LOCK: &str = "lock";

/// The folder of programs, such as `python`, of an environment that has the Python packages.
///
/// # Panics
/// When it cannot be made: a test that lacks its tools has failed, not passed.
pub fn python_programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let folder = folder("python", &PYTHON.join("\n"), |folder| {
            succeed(Command::new("python3").args(["-m", "venv"]).arg(folder));
            let python = folder.join("bin/python");
            succeed(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON));
        });
        folder.join("bin")
    })
}

/// `node`, which finds the npm packages.
///
/// # Panics
/// When they cannot be had.
pub fn node() -> Command {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    let modules = MODULES.get_or_init(|| {
        let folder = folder("node", &NODE.join("\n"), |folder| {
            let mut npm = Command::new("npm");
            succeed(npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(folder).args(NODE));
        });
        folder.join("node_modules")
    });
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules);
    command
}

/// A folder under `target/interop` that `make` has filled when it says that it has `content`. One is made at a time.
///
/// # Panics
/// When there is no room for it.
pub fn folder(name: &str, content: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop");
    fs::create_dir_all(&root).expect("a folder under target/");
    let lock = File::create(root.join(LOCK)).expect("a file under target/");
    lock.lock().expect("it is let go of");
    let folder = root.join(name);
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|made| made == content) {
        return folder;
    }
    // Fails only when there is nothing to be removed.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("it is gone");
    make(&folder);
    fs::write(stamp, content).expect("room for a line");
    folder
}

/// Runs a command that must work.
///
/// # Panics
/// When it does not, with what it said.
pub fn succeed(command: &mut Command) {
    let outcome = run(command);
    assert!(outcome.success, "{command:?}: {}{}", outcome.stderr, outcome.stdout);
}
