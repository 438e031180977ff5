//! `cargo up` and its kin on a terminal: Ctrl-C at any moment of the start leaves nothing, and who wants no colours
//! gets none.
//!
//! Judges no looks.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use cluster::state::run_dir::RunDir;
use image_build::tool::workspace::Workspace;
use rustix::process::Signal;
use tests::application::Application;
use tests::client::wait_for;
use tests::command::{cargo, free_port, run};
use tests::terminal::Terminal;

const CTRL_C: &str = "\u{3}";
/// Status of a command that Ctrl-C has ended, as shells give it.
const STATUS_INTERRUPTED: i32 = 130;
/// What begins a colour or moves the cursor (ECMA-48).
const ESCAPE: char = '\u{1b}';
/// Within this time a moment comes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command of the application `project` that has a terminal to itself, as in a window.
fn on_terminal(project: &str, arguments: &[&str]) -> Command {
    let inner = cargo(arguments);
    let mut command = Command::new("setsid");
    // A shell's command in the background has Ctrl-C ignored, and these tests may be part of one.
    command.args(["--ctty", "env", "--default-signal=INT,QUIT"]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().expect("the workspace"));
    // Where `CI` is set, cargo and clap show colours on any terminal.
    command.env("VOTING_APP_PROJECT", project).env_remove("NO_COLOR").env_remove("CI");
    command
}

fn folder(project: &str) -> PathBuf {
    Workspace::find().expect("a workspace").runs().expect("a home").join(project)
}

/// The command lines of all that runs for a project: it can be seen in their environment.
fn left(project: &str) -> Vec<String> {
    let variable = format!("VOTING_APP_PROJECT={project}");
    let processes = fs::read_dir("/proc").expect("the system has it").flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        let variables = fs::read(path.join("environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    };
    let line = |path: PathBuf| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    };
    processes.filter(is_ours).map(line).collect()
}

/// A moment of a start.
enum Moment {
    /// When this file of the application's folder is there.
    File(&'static str),
    /// When this is shown.
    Shown(&'static str),
}

/// The moments, in their order. The first is that in which the supervisor has not come to catching signals.
const MOMENTS: [Moment; 6] = [
    Moment::File("supervisor.err"),
    Moment::File("state.json"),
    Moment::File("store-1.log"),
    Moment::Shown("is healthy"),
    Moment::File("vote-1.log"),
    Moment::File("result-1.log"),
];

/// Builds what `cargo up` boots: else the moments would come minutes later.
fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let built = run(&mut cargo(&["image", "build"]));
        assert!(built.success, "{built:?}");
    });
}

/// Starts an application, presses Ctrl-C so often at this moment, and says how the command ended and what it showed.
fn interrupted(project: &str, moment: &Moment, times: usize) -> (ExitStatus, String) {
    build();
    let folder = folder(project);
    // What an earlier test run has left would be taken for the moment.
    let _ = fs::remove_dir_all(&folder);
    let publish = [format!("vote={}", free_port()), format!("result={}", free_port())];
    let arguments = ["up", "--publish", &publish[0], "--publish", &publish[1]];
    let mut terminal = Terminal::start(&mut on_terminal(project, &arguments));
    match moment {
        Moment::Shown(text) => terminal.expect(text),
        Moment::File(name) => await_file(&folder.join(name), &terminal),
    }
    (0..times).for_each(|_| terminal.press(CTRL_C));
    let status = terminal.end();
    (status, terminal.shown())
}

/// Without a pause: the moment is short.
fn await_file(path: &Path, terminal: &Terminal) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < PATIENCE, "{}: {}", path.display(), terminal.shown());
        thread::yield_now();
    }
}

fn expect_nothing_left(project: &str, shown: &str) {
    // A process that was killed takes a moment to go.
    wait_for(PATIENCE, || left(project).is_empty().then_some(()));
    assert_eq!(left(project), Vec::<String>::new(), "{shown}");
    let run_dir = RunDir::open(folder(project)).expect("a folder");
    assert!(run_dir.read_state().expect("a state, or none").is_none(), "{shown}");
    assert!(!folder(project).join("net").exists(), "{shown}");
    let told = run(cargo(&["ps"]).env("VOTING_APP_PROJECT", project));
    assert!(told.success && told.stdout.contains("nothing runs"), "{told:?}");
}

/// Presses Ctrl-C so often at each moment.
fn expect_clean_ends(project: &str, times: usize) {
    for (number, moment) in MOMENTS.iter().enumerate() {
        let (status, shown) = interrupted(project, moment, times);
        assert_eq!(status.code(), Some(STATUS_INTERRUPTED), "moment {number}: {status:?}: {shown}");
        assert!(shown.contains("interrupted: everything is stopped"), "moment {number}: {shown}");
        for wrong in ["unexpectedly", "panicked", "error:"] {
            assert!(!shown.contains(wrong), "moment {number}: {shown}");
        }
        expect_nothing_left(project, &shown);
    }
}

#[test]
fn ctrl_c_during_the_start_ends_it_and_leaves_nothing() {
    expect_clean_ends("terminal-once", 1);
}

#[test]
fn ctrl_c_twice_during_the_start_leaves_nothing_either() {
    expect_clean_ends("terminal-twice", 2);
}

#[test]
fn ctrl_c_before_anything_has_started_says_so() {
    const PROJECT: &str = "terminal-early";
    build();
    let mut terminal = Terminal::start(&mut on_terminal(PROJECT, &["up"]));
    terminal.expect("Running");
    terminal.press(CTRL_C);
    let status = terminal.end();
    // The tool, or cargo, or the tool before it has come to catching signals.
    let is_interrupt =
        status.code() == Some(STATUS_INTERRUPTED) || status.signal() == Some(Signal::INT.as_raw());
    assert!(is_interrupt, "{status:?}: {}", terminal.shown());
    expect_nothing_left(PROJECT, &terminal.shown());
}

#[test]
fn colours_are_for_terminals_that_have_some_and_readers_who_want_them() {
    const PROJECT: &str = "terminal-colours";
    let application = Application::up(PROJECT, &[]).unwrap_or_else(|outcome| panic!("{outcome:?}"));
    let show = |arguments: &[&str], variable: (&str, &str)| {
        let mut terminal = Terminal::start(on_terminal(PROJECT, arguments).env(variable.0, variable.1));
        terminal.end();
        terminal.shown()
    };
    for arguments in
        [&["ps"][..], &["logs"], &["up", "--help"], &["up", "--no-such-option"], &["logs", "nobody"]]
    {
        for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let shown = show(arguments, variable);
            assert!(shown.len() > 40 && !shown.contains(ESCAPE), "{arguments:?}, {variable:?}: {shown:?}");
        }
    }
    for arguments in [&["ps"][..], &["logs"], &["up", "--help"], &["up", "--no-such-option"]] {
        let shown = show(arguments, ("NO_COLOR", ""));
        let own = shown.split_once("Running").map_or(&*shown, |(_, own)| own);
        let own = own.split_once('\n').map_or("", |(_, own)| own);
        assert!(own.contains(ESCAPE), "{arguments:?}: {shown:?}");
    }
    drop(application);
}
