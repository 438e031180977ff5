//! What operators do with a running application: a machine dies and is started again, everything is stopped under
//! load, logs are read, a debugger is attached.
//!
//! Needs gdb. Judges no figures: CPU and rates are whatever this machine has left.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tests::application::{Application, up};
use tests::client::{curl, wait_for};
use tests::command::{cargo, free_port};
use tests::crash::voters::Voters;
use tests::scenarios;

/// Within this time what is waited for has happened, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn killed_machines_are_started_again_under_load_and_no_vote_is_lost() {
    let data = tempfile::tempdir().expect("a folder");
    let names = ["store-1", "vote-1", "worker-1"];
    let application = scenarios::killed_machines_lose_no_vote(
        "operators-restart",
        &[],
        &names,
        data.path(),
        Voters::new(7),
    );
    let logs = application.command(&["logs", "store"]).stdout;
    assert!(logs.contains("starting it again in 0.25 s (attempt 1)"), "{logs}");
    assert_eq!(logs.matches("is up").count(), 2, "both lives are in the log: {logs}");
    let lines = application.command(&["logs", "--json"]).stdout;
    let keys = ["time", "instance", "service", "level", "message"];
    let is_whole = |line: &str| {
        let object = serde_json::from_str::<Value>(line).ok();
        object.is_some_and(|object| keys.iter().all(|key| object[key].is_string()))
    };
    assert!(!lines.is_empty() && lines.lines().all(is_whole), "{lines}");
}

#[test]
fn a_closed_pipe_ends_up_detach_with_sigpipe_and_the_application_runs_on() {
    const PROJECT: &str = "operators-pipe";
    const SIGPIPE: i32 = 13;
    let (vote, result) = (free_port(), free_port());
    let publish = [format!("vote={vote}"), format!("result={result}")];
    let mut command = cargo(&["up", "--detach", "--publish", &publish[0], "--publish", &publish[1]]);
    let (_, closed) = io::pipe().expect("a pipe");
    let status = command.env("VOTING_APP_PROJECT", PROJECT).stdout(closed).status().expect("it runs");
    let application = Application::adopt(PROJECT, vote, result);
    assert_eq!(status.signal(), Some(SIGPIPE), "{status:?}");
    assert_eq!(curl(&application.vote_url(), &[]).status, 200, "it is up");
    let rows = application.instances();
    assert!(rows.len() == 4 && rows.iter().all(|row| row["health"] == "healthy"), "{rows:?}");
}

#[test]
fn a_stop_under_load_breaks_no_request_and_loses_no_vote() {
    scenarios::a_stop_under_load_loses_no_vote("operators-stop", &[]);
}

/// What `docs/operating.md` says of a session: where the machine is to stop, and each frame of the backtrace as its
/// number, the function without parameters, and the file.
fn documented_session() -> (&'static str, Vec<[&'static str; 3]>) {
    let text = include_str!("../../docs/operating.md");
    let place = text.lines().find_map(|line| line.strip_prefix("(gdb) tbreak ")).expect("a breakpoint");
    let frame = |line: &'static str| {
        let (number, call) = line.strip_prefix('#')?.split_once("  ")?;
        let (function, file) = call.split_once(" () at ")?;
        Some([number, function.split('<').next().unwrap_or(function), file])
    };
    (place, text.lines().filter_map(frame).collect())
}

#[test]
fn a_debugger_stops_where_it_is_told_to_and_lets_the_machine_go_on() {
    let (place, frames) = documented_session();
    assert!(frames.len() > 5, "{frames:?}");
    let application = up("operators-debugger", &[]);
    let told = application.command(&["attach", "vote"]);
    assert!(told.success && told.stdout.contains("at 0x200000"), "{told:?}");
    let ready = format!("{}readyz", application.vote_url());
    let stop = format!("tbreak {place}");
    let arguments = ["attach", "vote", "--gdb", "--", "-batch", "-ex", &stop, "-ex", "continue", "-ex", "bt"];
    let session = thread::scope(|scope| {
        let session = scope.spawn(|| application.command(&arguments));
        // Before gdb has come they are answered at once; the one that stops the machine is answered afterwards.
        let asked = wait_for(PATIENCE, || {
            let answer = curl(&ready, &[]);
            session.is_finished().then_some(answer)
        });
        if asked.is_none() {
            application.command(&["down"]);
        }
        assert_eq!(asked.map(|answer| answer.status), Some(200));
        session.join().expect("no panic")
    });
    for [number, function, file] in frames {
        let frame = session.stdout.lines().find(|line| line.starts_with(&format!("#{number} ")));
        let is_it = |frame: &str| frame.contains(function) && frame.contains(&format!("{file}:"));
        assert!(frame.is_some_and(is_it), "#{number} is not {function} in {file}: {}", session.stdout);
    }
    assert_eq!(application.instance("vote-1")["restarts"], 0);
}
