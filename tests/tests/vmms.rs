//! What a user is told who asks a virtual machine monitor for something that it cannot do, or for one that cannot be
//! used: one line, before anything is built or started.
//!
//! Programs of a few lines stand in for monitors. What real ones run is in `kvm`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use image_build::vm::{probe, vmm::Vmm};
use tempfile::TempDir;
use tests::command::{cargo, free_port, run};

const PROJECT: &str = "test-vmms";

/// A folder with a monitor that tells a version, or does what else its script says.
fn monitor(script: &str, rights: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("monitor");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("room");
    fs::set_permissions(&path, fs::Permissions::from_mode(rights)).expect("ours");
    (folder, path)
}

/// One that is new enough.
fn recent(vmm: Vmm) -> (TempDir, PathBuf) {
    let version = vmm.version_min().expect("a version");
    monitor(&format!("echo '{} {version}'", vmm.label()), 0o755)
}

/// The line with which `cargo up` refuses these options.
fn refused(options: &[&str]) -> String {
    let ports = [format!("vote={}", free_port()), format!("result={}", free_port())];
    let arguments = [&["up", "--detach", "--publish", &ports[0], "--publish", &ports[1]], options].concat();
    let mut command = cargo(&arguments);
    let outcome = run(command.env("VOTING_APP_PROJECT", PROJECT));
    assert!(!outcome.success && outcome.stdout.is_empty(), "{options:?}: {outcome:?}");
    let errors: Vec<&str> = outcome.stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!(errors.len(), 1, "{options:?}: {outcome:?}");
    assert!(!outcome.stderr.contains("Building"), "nothing is built first: {outcome:?}");
    errors[0].to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn what_a_monitor_lacks_is_refused_with_the_reason_and_the_way_round() {
    let data = tempfile::tempdir().expect("a folder");
    let uhyve = refused(&["--vmm", "uhyve", "--data", text(data.path())]);
    assert!(
        uhyve.starts_with("--data does not go with uhyve: it has no block device; leave the data"),
        "{uhyve}"
    );
    assert!(fs::read_dir(data.path()).expect("a folder").next().is_none(), "no disk is made");
    for (options, why) in [
        (
            ["--net", "user"],
            "--net user does not go with Firecracker: it has no network of its own; use --net tap",
        ),
        (["--net", "switch"], "--net switch does not go with Firecracker: its cards are tap interfaces; use"),
        (
            ["--machine", "q35"],
            "--machine does not go with Firecracker: it has one machine only; leave --machine",
        ),
        (["--accel", "tcg"], "--accel tcg does not go with Firecracker: it needs KVM; leave --accel out"),
    ] {
        let said = refused(&[&["--vmm", "firecracker"], &options[..]].concat());
        assert!(said.starts_with(why) && said.ends_with("or use --vmm qemu"), "{said}");
    }
}

#[test]
fn a_description_can_name_the_monitor_and_is_held_to_what_it_can() {
    let description = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    let text = include_str!("../../voting-app.toml");
    let text = text.replace("\nname =", "\nvmm = \"uhyve\"\nname =").replacen("32MiB", "33MiB", 1);
    fs::write(description.path(), text).expect("room");
    let said = refused(&["--file", description.path().to_str().expect("UTF-8")]);
    let expected =
        "33 MiB of memory cannot be used for worker-1 under uhyve: give an even number of MiB, 16 to 2048";
    assert_eq!(said, expected);
}

#[test]
fn a_monitor_that_cannot_be_used_is_told_with_its_own_words() {
    let with = |script: &str, rights| {
        let (_folder, path) = monitor(script, rights);
        let said = refused(&["--vmm", "cloud-hypervisor", "--vmm-program", text(&path)]);
        said.replace(text(&path), "PROGRAM")
    };
    let old = with("echo 'cloud-hypervisor v30.0'", 0o755);
    assert!(
        old.starts_with("PROGRAM is cloud-hypervisor 30.0.0, which is too old: take 54.0.0 or later"),
        "{old}"
    );
    let dead = with("echo 'no libraries' >&2; exit 1", 0o755);
    assert_eq!(dead, "PROGRAM does not tell the version of cloud-hypervisor (no libraries)");
    let data = with("", 0o644);
    assert!(data.starts_with("cloud-hypervisor cannot be started: make PROGRAM executable"), "{data}");
    let none = refused(&["--vmm", "firecracker", "--vmm-program", "/nonexistent/firecracker"]);
    assert!(none.starts_with("there is no Firecracker at /nonexistent/firecracker: take 1.12.0"), "{none}");
}

#[test]
fn without_kvm_only_qemu_runs_and_that_is_said() {
    if probe::check_kvm().is_ok() {
        println!("skipped: this machine has KVM");
        return;
    }
    for vmm in ["firecracker", "cloud-hypervisor", "uhyve"] {
        let kind = Vmm::ALL.into_iter().find(|kind| kind.program() == vmm).expect("one of them");
        let (_folder, path) = recent(kind);
        let said = refused(&["--vmm", vmm, "--vmm-program", text(&path)]);
        assert!(said.starts_with("KVM cannot be used here: ") && said.contains("use --vmm qemu"), "{said}");
    }
}

#[test]
fn a_single_program_is_refused_in_the_same_way() {
    let (_folder, path) = recent(Vmm::Uhyve);
    let mut command = cargo(&["image", "run", "--vmm", "uhyve", "--data", "x.img", "target/store"]);
    let outcome = run(command.env("VMM_PROGRAM", &path));
    assert!(outcome.stderr.contains("--data does not go with uhyve: it has no block device"), "{outcome:?}");
    let outcome = run(cargo(&["image", "run", "target/vote"]).env("VMM", "xen"));
    let choice = "VMM=\"xen\" cannot be used: give one of qemu, uhyve, firecracker, cloud-hypervisor";
    assert!(outcome.stderr.contains(choice), "{outcome:?}");
}
