//! `cargo compare` where there is no Docker, or a client without an engine: one whole line says how to have it.
//!
//! Starts no container.
#![cfg(not(target_os = "hermit"))]

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use image_build::tool::packages;
use tempfile::TempDir;

/// Why there is no engine, as the client says it.
const REFUSAL: &str =
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
/// A user's only way to one, where a run cannot have namespaces.
const MEND: &str = "there is no Docker engine: start Docker's (`systemctl start docker`)";

/// A folder with all programs that this machine has in `PATH`, but these.
fn programs_without(left_out: &[&str]) -> TempDir {
    // What the run would install comes into the machine's folders, not into this one.
    packages::ensure_all(&[&packages::table::QEMU, &packages::table::AB]).expect("what every run uses");
    let folder = tempfile::tempdir().expect("a folder");
    for place in env::split_paths(&env::var_os("PATH").expect("a path")) {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !left_out.iter().any(|left_out| name == *left_out) {
                // Fails when an earlier place has it, which counts.
                let _ = symlink(entry.path(), folder.path().join(name));
            }
        }
    }
    folder
}

fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("room");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// What a run of containers alone says, with these programs.
fn refusal(programs: &TempDir) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compare"));
    command.args(["--quick", "--only", "docker-bridge"]).env("PATH", programs.path());
    for variable in ["DOCKER_HOST", "DOCKER_CONTEXT"] {
        command.env_remove(variable);
    }
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let error = said.lines().find_map(|line| line.strip_prefix("error: nothing can be measured here: "));
    let reason = error.and_then(|error| error.strip_prefix("docker-bridge: "));
    let reason = reason.unwrap_or_else(|| panic!("{said}")).to_owned();
    assert!(said.contains(&format!("Docker, bridge: not measured: {reason}\n")), "{said}");
    reason
}

#[test]
fn a_missing_docker_client_is_reported_with_its_package() {
    let programs = programs_without(&["docker", "unshare"]);
    script(programs.path(), "unshare", "exit 1");
    let reason = refusal(&programs);
    assert!(reason.starts_with(MEND) && reason.ends_with("; found: docker is not installed"), "{reason}");
}

#[test]
fn a_client_without_an_engine_is_no_docker() {
    let programs = programs_without(&["docker", "unshare"]);
    script(programs.path(), "unshare", "exit 1");
    script(programs.path(), "docker", &format!("echo 'a warning' >&2; echo '{REFUSAL}' >&2; exit 1"));
    let reason = refusal(&programs);
    assert!(reason.starts_with(MEND) && reason.ends_with(REFUSAL), "{reason}");
}
