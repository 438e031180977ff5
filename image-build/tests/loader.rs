//! The loader in a machine: it reaches the program, and says clearly why when it cannot.
//!
//! Whole programs are booted in the workspace's `tests` package.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use image_build::image;
use image_build::tool::packages::table::QEMU;
use image_build::tool::workspace::Workspace;
use image_build::vm::accelerator::Accelerator;
use image_build::vm::command_line::BYTES_MAX;
use image_build::vm::guest::Verdict;
use image_build::vm::machine::{Launch, Machine};
use image_build::vm::qemu;
use image_build::vm::vmm::Vmm;

/// A machine that only ends itself needs a tenth of a second; a busy host may take many times that.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Runs a machine to its end and returns how it ended and what it said.
fn run(mut command: Command) -> (Verdict, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("QEMU starts; `cargo image setup` installs it");
    let deadline = Instant::now() + TIMEOUT;
    while child.try_wait().expect("the state of QEMU").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("stopped");
            child.wait().expect("gone");
            panic!("the machine did not end within {TIMEOUT:?}");
        }
        thread::sleep(POLL);
    }
    let output = child.wait_with_output().expect("its output");
    (Verdict::of(Vmm::Qemu, output.status), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn launch(machine: Machine) -> Launch {
    qemu::require().expect("QEMU is needed for this test");
    let workspace = Workspace::find().expect("a workspace");
    let image = image::probe_image(&workspace).expect("a bootable file");
    Launch::new("loader-test", image, machine, Accelerator::Tcg { mhz: 1000 })
}

#[test]
fn q35_and_microvm_load_the_program_silently() {
    for machine in [Machine::Q35, Machine::Microvm] {
        let (verdict, said) = run(qemu::command(&launch(machine)).expect("a command"));
        assert_eq!((verdict, said.as_str()), (Verdict::Success, ""), "{machine:?}");
    }
}

#[test]
fn too_little_memory_is_told_with_what_would_do() {
    let launch = Launch { memory_mib: 4, ..launch(Machine::Microvm) };
    let (verdict, said) = run(qemu::command(&launch).expect("a command"));
    assert_eq!(verdict, Verdict::Failure);
    assert_eq!(said, "[LOADER] error: 4 MiB of memory are too little: give the machine at least 5 MiB\n");
}

#[test]
fn a_file_without_a_program_is_told() {
    let mut launch = launch(Machine::Microvm);
    let mut file = fs::read(&launch.image).expect("the probe");
    // The words that the host tool wrote when it put the program in: the mark, and the entry.
    let written: Vec<u8> =
        [0x4845_524d_4954_0001_u64, 2 << 20].iter().flat_map(|word| word.to_le_bytes()).collect();
    let at = file.windows(written.len()).position(|window| window == written).expect("a handoff");
    file[at..at + written.len()].fill(0);
    let directory = tempfile::tempdir().expect("a directory");
    launch.image = directory.path().join("empty.img");
    fs::write(&launch.image, file).expect("a file");
    let (verdict, said) = run(qemu::command(&launch).expect("a command"));
    assert_eq!(verdict, Verdict::Failure);
    assert!(said.starts_with("[LOADER] error: there is no program in this file"), "{said}");
}

/// Runs a machine with this command line to its end.
fn run_with_line(line: &[u8]) -> (Verdict, String) {
    let mut command = Command::new(QEMU.program);
    let made = qemu::command(&launch(Machine::Microvm)).expect("a command");
    let mut words = made.get_args();
    while let Some(word) = words.next() {
        command.arg(word);
        if word == "-append" {
            words.next();
            command.arg(OsStr::from_bytes(line));
        }
    }
    run(command)
}

#[test]
fn a_command_line_that_is_not_text_is_told() {
    let (verdict, said) = run_with_line(b"env=OPTION_A=\xff\xfe");
    assert_eq!(verdict, Verdict::Failure);
    assert_eq!(said, "[LOADER] error: the command line is not UTF-8\n");
}

#[test]
fn the_longest_command_line_reaches_the_program_whatever_becomes_of_it() {
    // Dropped; kept; as many settings as there can be; an argument that grows most.
    let (x, setting, line_end) = ("x".repeat(BYTES_MAX), "A=# ".repeat(1_000), "\n".repeat(4_000));
    for line in [x.clone(), format!("env=A={}", &x[6..]), format!("-- {setting}"), format!("-- '{line_end}'")]
    {
        let (verdict, said) = run_with_line(line.as_bytes());
        assert_eq!((verdict, said.as_str()), (Verdict::Success, ""), "{}", &line[..10]);
    }
}
