//! The application on a network of its own, `--net switch`, with real machines and real clients: who reaches
//! whom, what is captured, and that votes survive faults on the way.
//!
//! The rules themselves are tested in `segment`, without machines.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cluster::network;
use cluster::state::access::Access;
use image_build::tool::workspace::Workspace;
use serde_json::Value;
use tests::application::{self, Application};
use tests::client::{curl, wait_for};
use tests::command::{CommandOutput, free_port, run};
use tests::crash::voters::Voters;
use tests::programs::program;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn up(project: &str, options: &[&str]) -> Application {
    let all: Vec<&str> = ["--net", "switch"].iter().chain(options).copied().collect();
    application::up(project, &all)
}

fn folder(project: &str) -> PathBuf {
    Workspace::find().expect("a workspace").runs().expect("a home").join(project)
}

/// Everybody votes, some change their minds; in the end the scores are what was acknowledged last.
fn vote(application: &Application, voters: &mut Voters) {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, application.vote_port);
    voters.vote(address, &AtomicBool::new(false)).expect("all are acknowledged");
}

fn counted(application: &Application, voters: &Voters) {
    let expected = Some(voters.expected());
    wait_for(PATIENCE, || (application.scores() == expected).then_some(()));
    assert_eq!(
        application.scores(),
        expected,
        "{} acknowledged, {} repeated",
        voters.acknowledged,
        voters.repeated
    );
}

fn fault(application: &Application, options: &str) -> CommandOutput {
    let words: Vec<&str> = ["fault"].into_iter().chain(options.split(' ')).collect();
    application.command(&words)
}

#[test]
fn votes_are_counted_once_under_faults_and_everything_is_captured() {
    votes_survive_faults("test-network-faults", "q35");
}

#[test]
fn a_switch_that_works_on_the_cards_queues_loses_no_vote() {
    votes_survive_faults("test-network-queues", "microvm");
}

/// On a microvm every QEMU lets the switch work on its cards' queues, on q35 a newer one.
fn votes_survive_faults(project: &str, machine: &str) {
    let capture = std::env::temp_dir().join(format!("{project}-{}.pcap", std::process::id()));
    let application = up(project, &["--machine", machine, "--pcap", capture.to_str().expect("UTF-8")]);
    let command = command_of(&application, "vote");
    assert!(machine == "q35" || command.contains("vhost-user"), "{command}");
    let mut voters = Voters::new(7);
    vote(&application, &mut voters);
    counted(&application, &voters);
    for order in [
        "--drop 5 --delay 5ms --jitter 5ms --between worker,store --seed 7 --for 6s",
        "--drop 2 --between vote,store --seed 8 --for 6s",
        "--partition --one-way --between store,worker --for 2s",
    ] {
        let outcome = fault(&application, order);
        assert!(outcome.success, "{order}: {}", outcome.stderr);
    }
    let listed = fault(&application, "--list").stdout;
    assert!(listed.contains("worker <-> store: 5% lost, 5 to 10 ms late, for another"), "{listed}");
    assert!(listed.contains("store -> worker: nothing passes, for another"), "{listed}");
    vote(&application, &mut voters);
    assert!(fault(&application, "--partition --between vote,host").success);
    assert!(fault(&application, "--clear").stdout.contains("no faults"));
    counted(&application, &voters);
    vote(&application, &mut voters);
    counted(&application, &voters);
    // A machine that is started again has a new card at the same place.
    application.kill("vote-1");
    vote(&application, &mut voters);
    counted(&application, &voters);
    let refusal = fault(&application, "--drop 5 --between worker,nobody");
    assert!(!refusal.success && refusal.stderr.contains("\"nobody\""), "{}", refusal.stderr);
    drop(application);
    assert!(!folder(project).join("net").exists(), "sockets are left behind");
    let bytes = fs::read(&capture).expect("a capture");
    fs::remove_file(&capture).expect("removed");
    let frames = records(&bytes);
    assert!(frames.len() > 1000, "{} frames", frames.len());
    let has = |text: &[u8]| frames.iter().any(|frame| frame.windows(text.len()).any(|part| part == text));
    assert!(has(b"RPUSH") && has(b"vote=b"), "what the services say to each other");
}

/// What the machine of a service was started with.
fn command_of(application: &Application, service: &str) -> String {
    let instances = application.instances();
    let instance = instances.iter().find(|instance| instance["service"] == service).expect("described");
    fs::read_to_string(format!("/proc/{}/cmdline", instance["pid"])).unwrap_or_default()
}

/// The frames of a capture file, read to its end.
fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("four bytes"));
    assert_eq!((word(bytes, 0), word(bytes, 20)), (0xa1b2_c3d4, 1));
    bytes = &bytes[24..];
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length = word(bytes, 8) as usize;
        frames.push(&bytes[16..16 + length]);
        bytes = &bytes[16 + length..];
    }
    frames
}

#[test]
fn only_what_the_description_allows_is_reached() {
    let project = "test-network-isolation";
    let application = up(project, &["--scale", "vote=2"]);
    let run_dir = folder(project);
    let net = run_dir.join("net");
    assert_eq!(fs::metadata(&net).expect("a folder").permissions().mode() & 0o777, 0o700);
    // The store listens at no address of the host; its owner reaches it through a socket.
    let instances = application.instances();
    let endpoint = |name: &str| -> String {
        let found = instances.iter().find(|instance| instance["instance"] == name).expect(name);
        assert_eq!(found["health"], "healthy", "{found}");
        found["endpoint"].as_str().expect("text").to_owned()
    };
    let socket = net.join("store-1-6379.sock");
    assert_eq!(endpoint("store-1"), format!("redis+unix://{}", socket.display()));
    assert_eq!(endpoint("vote-1"), application.vote_url().trim_end_matches('/'));
    assert_eq!(ping(&socket), "+PONG\r\n");
    for pid in instances.iter().filter_map(|instance| instance["pid"].as_i64()) {
        assert_eq!(listening(pid), 0, "QEMU listens at no address");
    }
    assert_eq!(endpoint("vote-2"), endpoint("vote-1"), "one address for both");
    both_instances_serve(&application.vote_url());
    half_close_is_carried(application.vote_port);
    drop(application);
}

fn ping(socket: &Path) -> String {
    let access = Access::Unix(socket.to_owned());
    let mut stream = access.connect(PATIENCE).expect("the store");
    stream.write_all(b"PING\r\n").expect("sent");
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

/// Sockets on which a process listens.
fn listening(pid: i64) -> usize {
    let text = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("a process");
    let is_listening = |line: &&str| line.split_whitespace().nth(3) == Some("0A");
    let inode = |line: &str| line.split_whitespace().nth(9).map(str::to_owned);
    let inodes: Vec<String> = text.lines().filter(is_listening).filter_map(inode).collect();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process").flatten();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .filter(|target| inodes.iter().any(|inode| target.to_string_lossy() == format!("socket:[{inode}]")))
        .count()
}

fn both_instances_serve(url: &str) {
    let pages = [(); 4].map(|()| curl(url, &[]));
    assert!(pages.iter().all(|page| page.status == 200));
    for name in ["vote-1", "vote-2"] {
        assert!(pages.iter().any(|page| page.body.contains(name)), "{name} answers as well");
    }
}

/// A client that ends its side after the question gets its answer.
fn half_close_is_carried(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    stream.shutdown(Shutdown::Write).expect("open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and its end");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("</html>\n"), "{answer}");
}

#[test]
fn cargo_fault_needs_net_switch() {
    let outcome =
        run(tests::command::cargo(&["fault", "--list"]).env("VOTING_APP_PROJECT", "test-network-none"));
    assert!(!outcome.success && outcome.stderr.contains("nothing runs: start it with"), "{}", outcome.stderr);
}

/// The kernel's bridge takes rights that not every machine gives.
#[test]
fn the_bridge_carries_votes_and_leaves_nothing_or_says_what_it_lacks() {
    let (project, published) = ("test-network-tap", free_port().to_string());
    let publish = format!("result={published}");
    if let Some(obstacle) = network::tap_obstacle() {
        let vote = format!("vote={}", free_port());
        let arguments = ["up", "--detach", "--net", "tap", "--publish", &publish, "--publish", &vote];
        let outcome = run(tests::command::cargo(&arguments).env("VOTING_APP_PROJECT", project));
        assert!(!outcome.success && outcome.stderr.contains(&obstacle), "{}", outcome.stderr);
        println!("skipped: --net tap {obstacle}");
        return;
    }
    let application =
        Application::up(project, &["--net", "tap"]).unwrap_or_else(|outcome| panic!("{outcome:?}"));
    let mut voters = Voters::new(8);
    vote(&application, &mut voters);
    counted(&application, &voters);
    let log = run(tests::command::cargo(&["logs"]).env("VOTING_APP_PROJECT", project)).stdout;
    for does in ["makes", "verifies"] {
        let line = format!("the card {does} the checksums of TCP and UDP");
        assert_eq!(log.matches(&line).count(), 4, "a card of a tap for each machine: {log}");
    }
    assert_eq!(ping(&folder(project).join("net/store-1-6379.sock")), "+PONG\r\n");
    let interfaces = fs::read_to_string("/proc/net/dev").expect("interfaces");
    assert!(!interfaces.contains("station0"), "the host's own network is as it was: {interfaces}");
    let refusal = fault(&application, "--list");
    assert!(!refusal.success && refusal.stderr.contains("cargo up --net switch"), "{}", refusal.stderr);
    drop(application);
    assert!(!folder(project).join("net").exists(), "sockets are left behind");
}

/// A Redis of the host takes the store's place: it is reached, and nothing else of the host is.
#[test]
fn a_redis_of_the_host_is_the_only_thing_outside_that_is_reached() {
    let port = free_port();
    let mut redis = program("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server runs");
    let up_at = wait_for(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok());
    assert!(up_at.is_some(), "redis-server listens");
    let application = up("test-network-redis", &["--redis", &format!("redis://127.0.0.1:{port}")]);
    let mut voters = Voters::new(9);
    vote(&application, &mut voters);
    counted(&application, &voters);
    drop(application);
    redis.kill().and_then(|()| redis.wait()).expect("it ends");
}

#[test]
fn sockets_that_are_shown_can_be_opened_however_long_their_path_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("x".repeat(120));
    let application = Application::up_in(Some(state), "test-network-long", &["--net", "switch"]);
    let application = application.unwrap_or_else(|outcome| panic!("{outcome:?}"));
    let rows = application.instances();
    let endpoint = |row: &Value| Some(row["endpoint"].as_str()?.strip_prefix("redis+unix://")?.to_owned());
    let socket = rows.iter().find_map(endpoint).unwrap_or_else(|| panic!("{rows:?}"));
    let answered = run(program("redis-cli").args(["-s", &socket, "PING"]));
    assert_eq!(answered.stdout.trim(), "PONG", "{socket}: {answered:?}");
}

#[test]
fn a_page_can_be_published_at_an_address_of_ipv6() {
    let folder = tempfile::tempdir().expect("a folder");
    let description = folder.path().join("voting-app.toml");
    let text = include_str!("../../voting-app.toml").replace("\"8080:8080\"", "\"[::1]:8080:8080\"");
    fs::write(&description, text).expect("room");
    let file = ["--file", description.to_str().expect("UTF-8")];
    let refused = Application::up("test-network-ipv6", &file).err().expect("the user network has no IPv6");
    assert!(refused.stderr.contains("add --net switch"), "{refused:?}");
    let application = up("test-network-ipv6", &file);
    let page = curl(&format!("http://[::1]:{}/", application.vote_port), &[]);
    assert!(page.status == 200 && page.body.contains("Cats"), "{page:?}");
    let rows = application.instances();
    let address = format!("http://[::1]:{}", application.vote_port);
    assert!(rows.iter().any(|row| row["endpoint"] == address), "{rows:?}");
}
