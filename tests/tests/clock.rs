//! How right a guest's wall clock is, by the log lines that it writes when it is asked to.
//!
//! A line that comes late says nothing against the clock: of some, the one that was least late counts.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use image_build::tool::workspace::Workspace;
use image_build::vm::accelerator::Choice;
use image_build::vm::probe;
use serde_json::json;
use tests::client::{vote, wait_for};
use tests::command::run;
use tests::machine::{BOOT_LIMIT, CARD, Guest, Q35, snapshots};

/// How far the clock may be off at most, on a host that is busy with other tests.
const ERROR_MAX_MS: f64 = 50.0;
/// The lines of which one counts.
const LINES: usize = 12;
/// How long after the start, and after a machine was restored, the clock is looked at.
const AFTER: [u64; 3] = [1, 3, 10];

/// Milliseconds since 1970.
fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1e3
}

/// The time that a log line begins with, in milliseconds since 1970.
fn stamp(line: &str) -> Option<f64> {
    let time = line.get(..24).filter(|time| time.ends_with('Z'))?;
    let seconds = run(std::process::Command::new("date").args(["--date", time, "+%s.%3N"])).stdout;
    Some(seconds.trim().parse::<f64>().ok()? * 1e3)
}

/// What a guest says, each line with the time at which it came. Whoever `answers` says what time it is.
fn listen(mut serial: UnixStream, answers: bool) -> Receiver<(f64, String)> {
    let (sender, lines) = mpsc::channel();
    serial.set_read_timeout(None).expect("no limit");
    thread::spawn(move || {
        let mut reader = BufReader::new(serial.try_clone().expect("a copy"));
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let now = now_ms();
            if line == "\x05\n" && answers {
                let micros = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
                let _ = write!(serial, "\x06{micros:014x}");
            }
            if sender.send((now, line.clone())).is_err() {
                return;
            }
            line.clear();
        }
    });
    lines
}

/// By how many milliseconds the guest is ahead of the host.
fn ahead_ms(guest: &Guest, lines: &Receiver<(f64, String)>) -> f64 {
    while lines.try_recv().is_ok() {}
    for _ in 0..LINES {
        assert_eq!(vote(&guest.url(), "a", None).status, 200, "{}", guest.log());
    }
    let mut ahead = Vec::new();
    while ahead.len() < LINES {
        let (came, line) = lines.recv_timeout(BOOT_LIMIT).expect("a line for each vote");
        if line.contains("vote accepted") {
            ahead.push(stamp(&line).expect("a time") - came);
        }
    }
    ahead.into_iter().fold(f64::MIN, f64::max)
}

/// Looks at the clock at these times from now on.
fn look(what: &str, guest: &Guest, lines: &Receiver<(f64, String)>) -> Vec<f64> {
    let start = Instant::now();
    let errors = AFTER.map(|seconds| {
        // The time that has passed is what is measured.
        thread::sleep(Duration::from_secs(seconds).saturating_sub(start.elapsed()));
        ahead_ms(guest, lines)
    });
    eprintln!("{what}: {errors:.1?} ms ahead after {AFTER:?} s");
    errors.to_vec()
}

/// Starts a guest that is told what the host tool tells one: when it was started, and the rate of its counter.
fn start(settings: &str, words: &[&str]) -> Guest {
    let workspace = Workspace::find().expect("this is a workspace");
    let emulated = probe::choose(&workspace, Choice::Tcg).expect("an accelerator");
    let rate = emulated.mhz().map(|mhz| format!("-freq {mhz}")).unwrap_or_default();
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
    let settings = format!("{rate} env=LOG=debug env=STARTED_AT={micros} {settings}");
    Guest::with_settings(&[Q35, &["-cpu", "max"], CARD, words], &settings)
}

#[test]
fn a_guest_that_may_ask_has_the_host_s_time_also_after_it_was_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let drive = snapshots(folder.path());
    let mut guest = start("env=TIME_SERVER=serial", &["-drive", &drive]);
    let lines = listen(guest.serial(), true);
    guest.serves();
    let at_first = look("after the start", &guest, &lines);
    let mut monitor = guest.monitor();
    assert_eq!(monitor.human("savevm one"), "", "it is saved");
    // This long the saved machine is away; nothing is waited for.
    thread::sleep(Duration::from_millis(4_300));
    assert_eq!(monitor.human("loadvm one"), "", "it is restored");
    let restored = look("after a snapshot", &guest, &lines);
    monitor.execute(&json!({ "execute": "stop" }));
    thread::sleep(Duration::from_millis(700));
    monitor.execute(&json!({ "execute": "cont" }));
    let held = look("after 0.7 s", &guest, &lines);
    for errors in [&at_first[..], &restored[1..], &held[1..]] {
        let largest = errors.iter().map(|error| error.abs()).fold(0.0, f64::max);
        assert!(largest <= ERROR_MAX_MS, "{at_first:?} {restored:?} {held:?}: {}", guest.log());
    }
}

#[test]
fn a_guest_that_nobody_answers_keeps_the_time_of_its_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let drive = snapshots(folder.path());
    let mut guest = start("env=TIME_SERVER=serial", &["-drive", &drive]);
    let lines = listen(guest.serial(), false);
    guest.serves();
    // How late QEMU is started cannot be known; from then on the clock goes right.
    let at_first = look("after the start", &guest, &lines);
    let mut monitor = guest.monitor();
    assert_eq!(monitor.human("savevm one"), "", "it is saved");
    assert_eq!(monitor.human("loadvm one"), "", "it is restored");
    let restored = look("after a snapshot", &guest, &lines);
    let offset = at_first[2];
    let largest = restored[1..].iter().map(|error| (error - offset).abs()).fold(0.0, f64::max);
    assert!(largest <= ERROR_MAX_MS, "{at_first:?} {restored:?}: {}", guest.log());
    assert_eq!(wait_for(Duration::from_millis(1), || guest.log().matches('\x05').nth(1).map(|_| ())), None);
}
