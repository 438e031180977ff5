//! Slow clients by `slowhttptest`, while ordinary users are served in time.
//!
//! Alone in its program, because it measures time.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tests::http::{Use, percentile, use_for};
use tests::programs::program;
use tests::running::{self, RunningService};

/// 99 of 100 requests of ordinary users are answered within this time.
const P99_MAX: Duration = Duration::from_millis(100);
/// Each attack's length in seconds.
const ATTACK_SECONDS: u64 = 8;
/// The users come when the slow ones are there, and go before they do.
const USED_FOR: Duration = Duration::from_secs(ATTACK_SECONDS - 4);

/// Slow header lines, slow bodies, slow reading.
const ATTACKS: [(&str, &[&str]); 3] = [
    ("header lines", &["-H", "-c", "400", "-r", "200", "-i", "2", "-x", "24"]),
    ("bodies", &["-B", "-c", "400", "-r", "200", "-i", "2", "-x", "10", "-s", "4000"]),
    ("reading", &["-X", "-c", "400", "-r", "200", "-w", "1", "-y", "2", "-n", "2", "-z", "1", "-k", "10"]),
];

/// More than a guest of 32 MiB has sockets: the slow ones must make room for each other and for users.
const MORE_THAN_SOCKETS: &[&str] = &["-H", "-c", "1000", "-r", "500", "-i", "2", "-x", "24"];

/// What an attack came to.
struct Attacked {
    /// The time in which 99 of 100 requests of users were answered.
    p99: Duration,
    /// How often a user's kept connection was ended to make room.
    reopened: usize,
    /// Whether slow clients were there until the end.
    outlasted: bool,
}

/// Attacks, and gives the time in which 99 of 100 requests of users were answered meanwhile, all of them with 200.
fn attack(running: &RunningService, (name, arguments): (&str, &[&str])) -> Attacked {
    let address = running.addresses[0];
    let seconds = ATTACK_SECONDS.to_string();
    let mut command = program("slowhttptest");
    command.args(arguments).args(["-l", &seconds, "-p", "1", "-u", &format!("http://{address}/")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut slow = command.spawn().expect("slowhttptest runs");
    thread::sleep(Duration::from_secs(2));
    assert!(matches!(slow.try_wait(), Ok(None)), "slowhttptest has ended before users came");
    let served = use_for(address, "/", USED_FOR);
    let outlasted = matches!(slow.try_wait(), Ok(None));
    slow.wait().expect("slowhttptest ends");
    let Use { mut times, reopened } =
        served.unwrap_or_else(|fault| panic!("beside slow {name}: {fault}\n{}", running.log()));
    let p99 = percentile(&mut times, 99);
    println!("beside slow {name}: {} requests, p99 {p99:?}, {reopened} connections anew", times.len());
    Attacked { p99, reopened, outlasted }
}

fn attack_in_all_ways(running: &RunningService) {
    for kind in ATTACKS {
        let Attacked { p99, reopened, outlasted } = attack(running, kind);
        assert!(outlasted, "slowhttptest ended before its time");
        assert_eq!(reopened, 0, "a kept connection was ended beside slow {}", kind.0);
        assert!(p99 < P99_MAX, "p99 beside slow {} is {p99:?}", kind.0);
    }
    // Those who are too many make room until none of them is left: nothing is asked of them.
    attack(running, ("header lines of many", MORE_THAN_SOCKETS));
}

#[test]
fn users_of_a_guest_are_served_beside_slow_clients() {
    let image = running::images(&["vote-service"]).remove(0);
    let settings = [("REDIS_URL", "redis://10.0.2.2:1".to_owned()), ("LOG", "warn".to_owned())];
    let mut running = RunningService::guest(&image, &[vote_service::PORT_DEFAULT], &settings);
    running.wait_for("/healthz");
    attack_in_all_ways(&running);
    assert!(!running.has_ended(), "{}", running.log());
}

#[test]
fn users_of_the_linux_build_are_served_beside_slow_clients() {
    let program = running::linux_programs(&["vote-service"]).remove(0);
    let settings = [("REDIS_URL", "redis://127.0.0.1:1".to_owned())];
    let mut running = RunningService::linux(&program, &["PORT"], &settings);
    running.wait_for("/healthz");
    attack_in_all_ways(&running);
    assert!(!running.has_ended());
}
