//! What becomes of commands whose output nobody reads, or whose disk is full: as with any other program, and never a
//! panic.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Commands that need no application and no set-up. Each prints something.
const COMMANDS: [&[&str]; 6] =
    [&["ps"], &["ps", "--json"], &["down"], &["--help"], &["up", "--help"], &["doctor"]];
const SIGPIPE: i32 = 13;

fn tool(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster"));
    command.args(arguments).env("XDG_STATE_HOME", state).stdin(Stdio::null());
    command
}

/// The writing end of a pipe that has no reader any more.
fn closed_pipe() -> io::PipeWriter {
    io::pipe().expect("a pipe").1
}

fn full_disk() -> File {
    File::options().write(true).open("/dev/full").expect("the system has one")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_closed_pipe_ends_commands_quietly_and_as_it_ends_others() {
    let state = tempfile::tempdir().expect("a folder");
    for arguments in COMMANDS {
        let mut command = tool(state.path(), arguments);
        let output = command.stdout(closed_pipe()).stderr(Stdio::piped()).output().expect("it runs");
        assert_eq!(output.status.signal(), Some(SIGPIPE), "{arguments:?}: {:?}", output);
        assert!(
            !said(&output).contains("panic") && !said(&output).contains("error"),
            "{arguments:?}: {}",
            said(&output)
        );
    }
}

#[test]
fn a_full_disk_is_an_error_with_a_status() {
    let state = tempfile::tempdir().expect("a folder");
    for arguments in COMMANDS {
        let mut command = tool(state.path(), arguments);
        let output = command.stdout(full_disk()).stderr(Stdio::piped()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let expected = "error: standard output cannot be written: No space left on device";
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn a_closed_stderr_does_not_change_the_exit_status() {
    let state = tempfile::tempdir().expect("a folder");
    for arguments in [&["logs"][..], &["attach", "vote"], &["up", "--no-such-option"], &["fault", "--list"]] {
        let heard = tool(state.path(), arguments).output().expect("it runs");
        assert!(heard.status.code().is_some_and(|code| code != 0), "{arguments:?}: {heard:?}");
        for unheard in [Stdio::from(closed_pipe()), full_disk().into()] {
            let status = tool(state.path(), arguments).stdout(Stdio::null()).stderr(unheard).status();
            assert_eq!(status.expect("it runs").code(), heard.status.code(), "{arguments:?}");
        }
    }
}

#[test]
fn usage_is_told_as_people_type_commands() {
    let state = tempfile::tempdir().expect("a folder");
    for (arguments, expected) in [
        (&["up", "--help"][..], "Usage: cargo up [OPTIONS]"),
        (&["attach"], "Usage: cargo attach <SERVICE>"),
        (&["--help"], "Usage: cargo <COMMAND>"),
    ] {
        let output = tool(state.path(), arguments).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output);
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}

#[test]
fn servers_that_are_not_there_are_told_before_anything_is_built() {
    let state = tempfile::tempdir().expect("a folder");
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    for (option, url) in [
        ("--redis", format!("redis://127.0.0.1:{port}")),
        ("--results", format!("postgres://u:p%40/x@localhost:{port}/votes")),
    ] {
        let output = tool(state.path(), &["up", option, &url]).output().expect("it runs");
        let told = said(&output);
        assert!(told.contains("nothing listens there") && !told.contains("Building"), "{told}");
    }
}
