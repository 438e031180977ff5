//! What operators do with a running application: a machine dies and is started again, everything is stopped under
//! load, logs are read, a debugger is attached.
//!
//! Needs gdb. Judges no figures: CPU and rates are whatever this machine has left.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::application::Application;
use tests::client::{curl, wait_for};
use tests::command::{cargo, free_port};
use tests::crash::voters::Voters;
use tests::http::Connection;

/// Within this time what is waited for has happened, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn up(project: &str, options: &[&str]) -> Application {
    Application::up(project, options).unwrap_or_else(|outcome| panic!("{}", outcome.stderr))
}

fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// What `cargo ps --json` says of an instance.
fn instance(application: &Application, name: &str) -> Value {
    let all = application.instances();
    all.into_iter().find(|row| row["instance"] == name).unwrap_or_else(|| panic!("{name} is not there"))
}

/// Kills an instance's machine and waits until another one is healthy in its place.
fn kill(application: &Application, name: &str) {
    let before = instance(application, name);
    let pid = before["pid"].as_i64().and_then(|pid| Pid::from_raw(pid as i32)).expect("a process");
    kill_process(pid, Signal::KILL).expect("it runs");
    let back = |now: &Value| now["health"] == "healthy" && now["pid"] != before["pid"];
    let after = wait_for(PATIENCE, || Some(instance(application, name)).filter(back));
    let after = after.unwrap_or_else(|| panic!("{name} is not back: {}", instance(application, name)));
    assert_eq!(after["endpoint"], before["endpoint"]);
    assert_eq!(after["restarts"], before["restarts"].as_u64().expect("a count") + 1);
}

#[test]
fn killed_machines_are_started_again_under_load_and_no_vote_is_lost() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().to_str().expect("UTF-8");
    let application = up("operators-restart", &["--data", folder]);
    let mut voters = Voters::new(7);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let voting = scope.spawn(|| voters.vote(loopback(application.vote_port), &is_over));
        ["store-1", "vote-1", "worker-1"].iter().for_each(|name| kill(&application, name));
        voting.join().expect("no panic").expect("every voter is acknowledged");
    });
    let expected = voters.expected();
    let counted = wait_for(PATIENCE, || application.scores().filter(|scores| *scores == expected));
    assert_eq!(counted, Some(expected), "{:?}", application.scores());
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

/// What came of a request.
enum Outcome {
    Acknowledged,
    Refused,
}

/// One vote of a voter of its own; a connection that was made has to bring a whole answer.
fn vote(address: SocketAddrV4, voter: u64, kept: &mut Option<Connection>) -> io::Result<Outcome> {
    let connection = match kept {
        Some(connection) => connection,
        None => match Connection::open(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Outcome::Refused),
            opened => kept.insert(opened?),
        },
    };
    let request = format!(
        "POST / HTTP/1.1\r\nHost: test\r\nCookie: voter_id={voter:032x}\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\nvote=a"
    );
    match connection.ask_and_keep(request.as_bytes())? {
        (200, is_kept) => {
            if !is_kept {
                *kept = None;
            }
            Ok(Outcome::Acknowledged)
        }
        (status, _) => Err(io::Error::other(format!("status {status}"))),
    }
}

#[test]
fn a_stop_under_load_breaks_no_request_and_loses_no_vote() {
    const CLIENTS: u64 = 6;
    const FIRST_VOTES: u64 = 60;
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().to_str().expect("UTF-8");
    let application = up("operators-stop", &["--data", folder]);
    let address = loopback(application.vote_port);
    let acknowledged = AtomicU64::new(0);
    let mut stream = TcpStream::connect(loopback(application.result_port)).expect("connected");
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n").expect("sent");
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let acknowledged = &acknowledged;
            scope.spawn(move || {
                let mut kept = None;
                for number in 0.. {
                    match vote(address, client << 32 | (number + 1), &mut kept) {
                        Ok(Outcome::Acknowledged) => acknowledged.fetch_add(1, Ordering::Relaxed),
                        Ok(Outcome::Refused) => return,
                        Err(error) => panic!("request {number} of client {client} was broken: {error}"),
                    };
                    // Half of them connect anew for each vote.
                    kept = kept.filter(|_| client % 2 == 0);
                }
            });
        }
        let enough = || (acknowledged.load(Ordering::Relaxed) >= FIRST_VOTES).then_some(());
        wait_for(PATIENCE, enough).expect("votes are taken");
        let outcome = application.command(&["down"]);
        assert!(outcome.success, "{}", outcome.stderr);
    });
    let mut events = String::new();
    stream.read_to_string(&mut events).expect("the event stream has ended, and was not reset");
    assert!(events.starts_with("HTTP/1.1 200") && events.ends_with("0\r\n\r\n"), "{events}");
    drop(application);

    let application = up("operators-stop", &["--data", folder]);
    let expected = (acknowledged.load(Ordering::Relaxed), 0);
    let counted = wait_for(PATIENCE, || application.scores().filter(|scores| *scores == expected));
    assert_eq!(counted, Some(expected), "{:?}", application.scores());
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
    assert_eq!(instance(&application, "vote-1")["restarts"], 0);
}
