//! A day in the life of the application, in simulated time: timers, keep-alive and votes now and then.
//!
//! Clocks that wrap, timers that drift apart and what adds up show here, not in a test of a minute.

use std::net::Ipv4Addr;
use std::time::Duration;

use kernel_app::program::Program;
use kernel_app::settings::Settings;
use simulator::Simulation;
use simulator::client::{Client, get, post_form};

const STORE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const WORKER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const VOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const RESULT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const VOTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const WATCHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 101);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const VOTE_EVERY: Duration = Duration::from_secs(5 * 60);
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// A watcher's connection has a request this often; it would be closed after a minute without.
const LOOK_EVERY: Duration = Duration::from_secs(30);

fn add(simulation: &mut Simulation, name: &str, address: Ipv4Addr, program: Program) {
    let settings = Settings::from_pairs([("REDIS_URL", format!("redis://{STORE}"))]);
    let boot = move || program(&settings).expect("usable settings");
    simulation.add_node(name, address, boot).expect("starts");
}

fn ask(simulation: &mut Simulation, client: &Client, request: &[u8]) -> (u16, String) {
    let id = simulation.send(client, request);
    let answered = simulation.run_until(|_| client.response(id).is_some(), ANSWERED_WITHIN);
    answered.unwrap_or_else(|error| panic!("at {:?}: {error}", simulation.now()));
    let response = client.response(id).expect("answered");
    (response.status, response.text())
}

#[test]
fn the_application_runs_for_a_day() {
    let mut simulation = Simulation::new(24);
    let nodes = [
        ("store", STORE, store_service::program as Program),
        ("worker", WORKER, worker::program),
        ("vote", VOTE, vote_service::program),
        ("result", RESULT, result_service::program),
    ];
    for (name, address, program) in nodes {
        add(&mut simulation, name, address, program);
    }
    let voter = simulation.add_client("voter", VOTER, (VOTE, 8080), 1).expect("starts");
    let watcher = simulation.add_client("watcher", WATCHER, (RESULT, 8081), 1).expect("starts");
    simulation.run_for(ANSWERED_WITHIN);

    let (mut votes, mut uptime_s) = (0, 0.0);
    while Duration::from_micros(simulation.now().as_micros()) < DAY {
        let form = post_form("/", "vote=a", &format!("voter_id={votes:032x}"));
        let (status, page) = ask(&mut simulation, &voter, &form);
        assert_eq!(status, 200, "{page}");
        votes += 1;
        for _ in 0..VOTE_EVERY.as_secs() / LOOK_EVERY.as_secs() {
            simulation.run_for(LOOK_EVERY);
            let scores = ask(&mut simulation, &watcher, &get("/api/scores"));
            assert_eq!(scores, (200, format!("{{\"a\":{votes},\"b\":0,\"total\":{votes}}}\n")));
        }
        let (_, metrics) = ask(&mut simulation, &watcher, &get("/metrics"));
        let value = |name: &str| {
            let found = metrics.lines().find_map(|line| line.strip_prefix(name));
            found.and_then(|value| value.trim().parse::<f64>().ok()).expect("a metric")
        };
        assert!(value("process_uptime_seconds ") > uptime_s, "time goes on");
        uptime_s = value("process_uptime_seconds ");
        assert!((value("http_connections ") - 1.0).abs() < f64::EPSILON, "{metrics}");
    }
    assert!(uptime_s > DAY.as_secs_f64() - VOTE_EVERY.as_secs_f64());
}
