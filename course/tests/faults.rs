//! What can go wrong around a reader's work is told in one line, in bounded time, and leaves nothing running.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use image_build::tool::process;
use image_build::tool::workspace::Workspace;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// The exercise that is tested here: a package with a test, and wrong ones of every kind.
const EXERCISE: &str = "6.4";
const FOLDER: &str = "06.4-queue-layout";
/// How long a program may take to be compiled on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(20);

/// `cargo course`, with a reader's folder of its own.
fn course(work: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    command.args(arguments).env("COURSE_WORK", work).env("VOTING_APP_INSTALL", "never").stdin(Stdio::null());
    command
}

fn run(work: &Path, arguments: &[&str]) -> Output {
    course(work, arguments).output().expect("it starts")
}

/// The one line that `check` writes about a work that it was told to begin before.
fn verdict(work: &Path, exercise: &str) -> String {
    let output = run(work, &["check", exercise]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(!output.status.success() && text.lines().count() == 1, "{text}");
    text.trim().to_owned()
}

/// A reader's folder in which an exercise was begun.
fn begun(exercise: &str) -> tempfile::TempDir {
    let work = tempfile::tempdir().expect("room");
    assert!(run(work.path(), &["start", exercise]).status.success());
    work
}

fn repository() -> PathBuf {
    Workspace::find().expect("a workspace").root
}

/// Puts a wrong one of the exercise into the reader's folder.
fn put_wrong(work: &Path, name: &str) {
    let wrong =
        repository().join("course/exercises").join(FOLDER).join("wrong").join(name).join("src/lib.rs");
    fs::copy(wrong, work.join(FOLDER).join("src/lib.rs")).expect("copied");
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "{what}: not in {} s", LIMIT.as_secs());
        thread::sleep(POLL);
    }
}

#[test]
fn an_exercise_that_is_not_there_is_told_with_those_that_are_near() {
    let work = tempfile::tempdir().expect("room");
    let output = run(work.path(), &["check", "6.9"]);
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(
        text.starts_with("error: there is no exercise 6.9: chapter 6 has ") && text.contains("6.4"),
        "{text}"
    );
}

#[test]
fn a_missing_file_is_named_and_comes_back() {
    let work = begun(EXERCISE);
    fs::remove_file(work.path().join(FOLDER).join("src/lib.rs")).expect("removed");
    let line = verdict(work.path(), EXERCISE);
    assert!(line.contains("expected src/lib.rs in ") && line.contains("came no such file"), "{line}");
    assert!(run(work.path(), &["start", EXERCISE]).status.success());
    assert!(work.path().join(FOLDER).join("src/lib.rs").is_file());
}

#[test]
fn a_manifest_that_is_none_is_told_with_its_reason() {
    let work = begun(EXERCISE);
    fs::write(work.path().join(FOLDER).join("Cargo.toml"), "[package\n").expect("written");
    let line = verdict(work.path(), EXERCISE);
    assert!(line.contains("not yet: expected code that compiles; came `error: "), "{line}");
}

#[test]
fn without_qemu_it_is_said_how_to_install_it() {
    let programs = tempfile::tempdir().expect("room");
    for program in ["cargo", "rustc", "rustup"] {
        if let Some(path) = process::find(program) {
            symlink(path, programs.path().join(program)).expect("a link");
        }
    }
    let work = begun("5.3");
    let output =
        course(work.path(), &["check", "5.3"]).env("PATH", programs.path()).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("05.3 fewer lines: cannot be judged: ") && text.lines().count() == 1, "{text}");
    assert!(text.contains("qemu-system-x86_64") && text.contains("VOTING_APP_INSTALL"), "{text}");
}

#[test]
fn an_interrupt_leaves_nothing_running() {
    let work = begun(EXERCISE);
    put_wrong(work.path(), "endless");
    let mut judge = course(work.path(), &["check", EXERCISE])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let test = wait_for("the test that never ends", || running_test(&judge));
    kill_process(Pid::from_child(&judge), Signal::INT).expect("it runs");
    let status = judge.wait().expect("it ends");
    assert_eq!(status.code(), Some(128 + 2));
    wait_for("the end of the test", || test_kill_process(test).err());
}

/// The judge's child that is a test.
fn running_test(judge: &Child) -> Option<Pid> {
    let id = judge.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    let is_test = |pid: &i32| {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("judge-"))
    };
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_test).and_then(Pid::from_raw)
}
