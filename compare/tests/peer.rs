//! `cargo compare --peer`: a kernel that does not boot is told and does not end the comparison, and a wrong description
//! ends the command before anything starts.
//!
//! That a peer boots and runs the application is shown in `src/substrate/peer.rs`, by Debian's kernel.
#![cfg(not(target_os = "hermit"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const DEBIAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/debian-q35.toml");
/// The description of a kernel that is none.
fn broken(folder: &Path) -> PathBuf {
    fs::write(folder.join("kernel"), "no kernel").expect("room");
    let file = folder.join("broken.toml");
    let text = r#"
name = "broken"
title = "A kernel that does not boot"
version = "no version 1"
kernel = "kernel"
program = "initrd"
command_line = "{env}"
machine = "q35"
memory_mib = 64
"#;
    fs::write(&file, text).expect("room");
    file
}

/// What `cargo compare` does with this peer and nothing else.
fn compare(peer: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compare"));
    command.args(["--quick", "--rounds", "1", "--accel", "tcg", "--only", "broken", "--peer"]).arg(peer);
    command.stdin(Stdio::null()).output().expect("it runs")
}

/// The results of a run, by the page that its last line names.
fn results(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let page = said.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = fs::read_to_string(Path::new(page).with_file_name("results.json")).expect("results");
    serde_json::from_str(&text).expect("readable")
}

#[test]
fn a_kernel_that_does_not_boot_is_told_and_does_not_end_the_comparison() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = compare(&broken(folder.path()));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let results = results(&output);
    let peer = &results["substrates"][0];
    assert_eq!((&peer["title"], &peer["missing"]), (&"A kernel that does not boot".into(), &Value::Null));
    let failure = peer["failures"][0].as_str().unwrap_or_else(|| panic!("no failure: {peer}"));
    assert!(failure.starts_with("vote ended: exit status: 1"), "{failure}");
    // What needs no start is measured all the same.
    let measures: Vec<&str> = results["cells"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|cell| cell["measure"]["kind"].as_str())
        .collect();
    assert_eq!(measures, ["size"], "{results}");
}

#[test]
fn a_wrong_description_ends_the_command_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = broken(folder.path());
    fs::remove_file(folder.path().join("kernel")).expect("it is there");
    let output = compare(&file);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let begins = format!("error: {}: kernel = ", file.display());
    assert!(said.starts_with(&begins) && said.lines().count() == 1, "{said}");
    // One that has the name of another substrate.
    fs::write(
        &file,
        fs::read_to_string(DEBIAN).expect("a description").replace("\"debian-q35\"", "\"native\""),
    )
    .expect("room");
    let said = String::from_utf8_lossy(&compare(&file).stderr).into_owned();
    let expected = "name = \"native\": there is such a substrate: give another name\n";
    assert!(said.ends_with(expected) && said.lines().count() == 1, "{said}");
}
