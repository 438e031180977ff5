//! Real images booted in QEMU by the README's commands and driven by real clients.
//!
//! What a service does with every kind of input is tested beside it; here it is that the whole works.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image_build::image::{self, Image, manifest};
use image_build::tool::workspace::Workspace;
use image_build::toolchain::Toolchain;
use tests::application::{Application, up};
use tests::client::{ab, curl, vote, wait_for};
use tests::command::{cargo, free_port, run};
use tests::programs::program;
use tests::scenarios;
use tests::sockets::{self, Socket};

/// Votes are counted within this time of the last answer.
const COUNTED_WITHIN: Duration = Duration::from_secs(5);
/// A build from nothing and a boot may take this long, on a busy machine.
const BOOT_LIMIT: Duration = Duration::from_secs(600);
/// A worker's votes are counted by the others within this time of its end: they wait for 10 s, look every
/// 5 s, and first count what waits.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(40);
/// A service notices within this time that another one is away.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

fn pid(instance: &serde_json::Value) -> u64 {
    instance["pid"].as_u64().expect("a pid")
}

#[test]
fn the_original_s_seed_gives_exactly_its_scores() {
    scenarios::the_seed_is_counted_exactly("test-seed", &[], 50);
}

#[test]
fn twenty_thousand_voters_are_counted() {
    let application = up("test-many", &[]);
    let form = std::env::temp_dir().join(format!("voting-app-many-{}", std::process::id()));
    std::fs::write(&form, "vote=b").expect("a form");
    let load = ["-k", "-n", "20000", "-c", "50", "-p", form.to_str().expect("a path in UTF-8")];
    let kind = ["-T", "application/x-www-form-urlencoded"];
    ab(&[&load[..], &kind, &[application.vote_url().as_str()]].concat()).expect("every vote is accepted");
    std::fs::remove_file(&form).expect("the file is ours");
    let counted = || (application.scores()? == (0, 20_000)).then_some(());
    assert!(wait_for(COUNTED_WITHIN, counted).is_some(), "scores are {:?}", application.scores());
}

#[test]
fn voting_goes_on_after_the_store_was_away() {
    let description = scenarios::without_restarts();
    let application = up("test-away", &["--file", description.path().to_str().expect("UTF-8")]);
    let store = application.instances().into_iter().find(|instance| instance["service"] == "store");
    let store = store.expect("a store").clone();
    let redis_port =
        store["endpoint"].as_str().and_then(|url| url.rsplit(':').next()).expect("a port").to_owned();
    let pong = run(program("redis-cli").args(["-p", &redis_port, "ping"])).stdout;
    assert_eq!(pong.trim(), "PONG");

    signal("STOP", pid(&store));
    let started = Instant::now();
    let refused = vote(&application.vote_url(), "a", None);
    assert!(started.elapsed() < Duration::from_millis(1_500), "took {:?}", started.elapsed());
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(curl(&application.vote_url(), &[]).status, 200);
    let ready_url = format!("{}readyz", application.vote_url());
    let unready =
        wait_for(NOTICED_WITHIN, || Some(curl(&ready_url, &[])).filter(|ready| ready.status == 503));
    assert!(unready.expect("readyz notices").body.contains("store"));

    signal("CONT", pid(&store));
    let accepted = || {
        (vote(&application.vote_url(), "b", Some("voter_id=00000000000000000000000000000001")).status == 200)
            .then_some(())
    };
    assert!(wait_for(NOTICED_WITHIN, accepted).is_some(), "votes are accepted again");
    assert!(wait_for(COUNTED_WITHIN, || application.scores().filter(|(_, b)| *b == 1)).is_some());
}

fn signal(name: &str, pid: u64) {
    let outcome = run(program("kill").args([format!("-{name}"), pid.to_string()]));
    assert!(outcome.success, "{outcome:?}");
}

#[test]
fn the_application_runs_on_microvm_and_at_scale() {
    let application = up("test-microvm", &["--machine", "microvm", "--scale", "vote=2"]);
    let instances = application.instances();
    assert_eq!(instances.len(), 5, "{instances:?}");
    let votes = instances.iter().filter(|instance| instance["service"] == "vote");
    for (number, instance) in votes.enumerate() {
        let url = instance["endpoint"].as_str().expect("an endpoint");
        let cookie = format!("voter_id={number:032x}");
        assert_eq!(vote(url, "a", Some(&cookie)).status, 200, "{url}");
    }
    let counted = || application.scores().filter(|scores| *scores == (2, 0));
    assert!(wait_for(COUNTED_WITHIN, counted).is_some(), "scores are {:?}", application.scores());
}

/// A voter who changes its mind, with a connection for each vote, and waits for every acknowledgement; the last choice.
/// The instances behind the address share the votes.
fn change_minds(url: &str, voter: usize, rounds: std::ops::Range<usize>) -> &'static str {
    let cookie = format!("voter_id={voter:032x}");
    let mut choice = "";
    for round in rounds {
        choice = if (voter * 7 + round * 3) % 5 < 3 { "a" } else { "b" };
        let accepted = || (vote(url, choice, Some(&cookie)).status == 200).then_some(());
        assert!(wait_for(NOTICED_WITHIN, accepted).is_some(), "voter {voter} is not heard");
    }
    choice
}

/// What is acknowledged to these voters, who all vote at once: votes for a and for b.
fn all_change_minds(url: &str, rounds: std::ops::Range<usize>) -> (u64, u64) {
    const VOTERS: usize = 24;
    let last: Vec<_> = std::thread::scope(|scope| {
        let voters: Vec<_> = (0..VOTERS)
            .map(|voter| {
                let rounds = rounds.clone();
                scope.spawn(move || change_minds(url, voter, rounds))
            })
            .collect();
        voters.into_iter().map(|voter| voter.join().expect("a voter")).collect()
    });
    let count = |choice| last.iter().filter(|last| **last == choice).count() as u64;
    (count("a"), count("b"))
}

#[test]
fn three_instances_and_two_workers_count_as_one_of_each() {
    let description = scenarios::without_restarts();
    let file = description.path().to_str().expect("UTF-8");
    let application = up("test-scale", &["--scale", "vote=3", "--scale", "worker=2", "--file", file]);
    let instances = application.instances();
    let of = |service: &str| instances.iter().filter(|instance| instance["service"] == service).collect();
    let (votes, workers): (Vec<_>, Vec<_>) = (of("vote"), of("worker"));
    assert_eq!((votes.len(), workers.len()), (3, 2), "{instances:?}");
    let url = application.vote_url();
    let expect = |expected, within| {
        let counted = || application.scores().filter(|scores| *scores == expected);
        let scores = wait_for(within, counted);
        assert!(scores.is_some(), "{:?} instead of {expected:?}", application.scores());
    };
    expect(all_change_minds(&url, 0..5), COUNTED_WITHIN);

    // One is so slow that the other takes it for dead, and then goes on with what it believes to have.
    signal("STOP", pid(workers[0]));
    let stopped = Instant::now();
    expect(all_change_minds(&url, 5..10), TAKEN_OVER_WITHIN);
    wait_for(TAKEN_OVER_WITHIN.saturating_sub(stopped.elapsed()) / 2, || None::<()>);
    signal("CONT", pid(workers[0]));
    expect(all_change_minds(&url, 10..15), COUNTED_WITHIN);

    // One is killed while people vote, and never comes back.
    let killed = std::thread::scope(|scope| {
        let voters = scope.spawn(|| all_change_minds(&url, 15..20));
        signal("KILL", pid(workers[1]));
        voters.join().expect("voters")
    });
    expect(killed, TAKEN_OVER_WITHIN);
}

/// A voter's choice, and that of another one.
const VOTERS: [(&str, &str); 3] = [
    ("a", "voter_id=0000000000000000000000000000000a"),
    ("a", "voter_id=0000000000000000000000000000000b"),
    ("b", "voter_id=0000000000000000000000000000000c"),
];

#[test]
fn votes_are_kept_across_down_and_up_and_the_end_of_a_machine() {
    let folder = std::env::temp_dir().join(format!("voting-app-data-{}", std::process::id()));
    let options = ["--data", folder.to_str().expect("a path in UTF-8")];
    let application = up("test-data", &options);
    for (choice, cookie) in VOTERS {
        assert_eq!(vote(&application.vote_url(), choice, Some(cookie)).status, 200);
    }
    let counted = |application: &Application, scores| {
        let seen = wait_for(COUNTED_WITHIN, || application.scores().filter(|seen| *seen == scores));
        assert!(seen.is_some(), "scores are {:?}", application.scores());
    };
    counted(&application, (2, 1));
    let other = run(cargo(&["up", "--detach", "--publish", &format!("vote={}", free_port())])
        .args(["--publish", &format!("result={}", free_port())])
        .args(options)
        .env("VOTING_APP_PROJECT", "test-data-too"));
    let refusal = "store-1.img is in use by another process: stop that (`cargo down`)";
    assert!(!other.success && other.stderr.contains(refusal), "{other:?}");
    drop(application);

    let application = up("test-data", &[&options[..], &["--machine", "microvm"]].concat());
    counted(&application, (2, 1));
    assert_eq!(vote(&application.vote_url(), "b", Some(VOTERS[0].1)).status, 200);
    let store = application.instances().into_iter().find(|instance| instance["service"] == "store");
    signal("KILL", pid(&store.expect("a store")));
    drop(application);

    let application = up("test-data", &options);
    counted(&application, (1, 2));
    drop(application);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

/// What of the store and the worker can be reached on the user network, and by whom.
#[test]
fn nothing_but_the_services_own_ports_leads_to_the_store_and_the_worker() {
    let application = up("test-isolation", &[]);
    assert_eq!(vote(&application.vote_url(), "a", None).status, 200);
    let counted = || application.scores().filter(|scores| *scores == (1, 0));
    assert!(wait_for(COUNTED_WITHIN, counted).is_some());
    let sockets: Vec<(String, String, Vec<Socket>)> = application
        .instances()
        .iter()
        .map(|instance| {
            let command =
                std::fs::read_to_string(format!("/proc/{}/cmdline", pid(instance))).expect("it runs");
            let service = instance["service"].as_str().expect("a name").to_owned();
            (service, command, sockets::of_process(pid(instance)))
        })
        .collect();
    let port_behind = |service: &str, guest_port: u16| -> u16 {
        let (_, command, _) = sockets.iter().find(|(name, ..)| name == service).expect("it runs");
        let forward = command.split(',').find_map(|word| {
            word.split('\0')
                .next()?
                .strip_prefix("hostfwd=tcp:127.0.0.1:")?
                .strip_suffix(&format!("-:{guest_port}"))
        });
        forward.expect("a forwarded port").parse().expect("a port")
    };
    let (resp, health, worker) =
        (port_behind("store", 6379), port_behind("store", 8083), port_behind("worker", 8082));
    for (service, command, sockets) in &sockets {
        let open: Vec<&Socket> = sockets.iter().filter(|socket| socket.remote_port == 0).collect();
        assert!(open.iter().all(|socket| socket.protocol == "tcp" && socket.is_local), "{service}: {open:?}");
        let mut listening: Vec<u16> = open.iter().map(|socket| socket.port).collect();
        let mut expected = match service.as_str() {
            "store" => vec![resp, health],
            "worker" => vec![worker],
            "vote" => vec![application.vote_port, port_behind("vote", 8084)],
            _ => vec![application.result_port, port_behind("result", 8084)],
        };
        listening.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listening, expected, "{service}");
        // What it has connected to: the store's Redis port, and the store to nothing.
        let outgoing: Vec<u16> = sockets
            .iter()
            .filter(|socket| socket.remote_port != 0 && !expected.contains(&socket.port))
            .map(|socket| socket.remote_port)
            .collect();
        let is_store = service == "store";
        assert!(outgoing.iter().all(|port| *port == resp), "{service} reaches {outgoing:?}");
        assert_eq!(outgoing.is_empty(), is_store, "{service} reaches {outgoing:?}");
        // And what it has been told.
        assert_eq!(command.contains(&format!("10.0.2.2:{resp}")), !is_store, "{command}");
        for secret in [health, worker] {
            assert!(!command.contains(&format!("10.0.2.2:{secret}")), "{command}");
        }
        assert_eq!(command.contains("restrict=on"), is_store, "{command}");
    }
}

#[test]
fn a_taken_port_is_one_clear_line_and_nothing_runs() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let outcome = run(cargo(&["up", "--detach", "--publish", &format!("vote={port}")])
        .env("VOTING_APP_PROJECT", "test-taken"));
    assert!(!outcome.success);
    assert!(
        outcome.stderr.contains(&format!("port {port}")) && outcome.stderr.contains("taken"),
        "{}",
        outcome.stderr
    );
    let ps = run(cargo(&["ps", "--json"]).env("VOTING_APP_PROJECT", "test-taken"));
    assert_eq!(ps.stdout.trim(), "[]", "{ps:?}");
}

/// `cargo run --target x86_64-unknown-hermit`, ended when dropped.
struct Run(Child);

impl Run {
    fn start(arguments: &[&str], environment: &[(&str, String)]) -> Self {
        // What `cargo up` does by itself, plain cargo cannot.
        let setup = run(&mut cargo(&["image", "setup"]));
        assert!(setup.success, "{}", setup.stderr);
        let mut command = cargo(&["run", "--quiet", "--target", "x86_64-unknown-hermit"]);
        command.args(arguments).envs(environment.iter().cloned());
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cargo starts"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            signal("TERM", u64::from(self.0.id()));
            let _ = self.0.wait();
        }
    }
}

#[test]
fn one_image_is_the_whole_application() {
    let ports = [("PORT", free_port()), ("RESULT_PORT", free_port())];
    let environment = ports.map(|(name, port)| (name, port.to_string()));
    let _run = Run::start(&[], &environment);
    let vote_url = format!("http://127.0.0.1:{}/", ports[0].1);
    let scores_url = format!("http://127.0.0.1:{}/api/scores", ports[1].1);
    let accepted =
        wait_for(BOOT_LIMIT, || Some(vote(&vote_url, "b", None)).filter(|answer| answer.status == 200));
    let cookie =
        accepted.expect("it boots and takes a vote").header("set-cookie").expect("a cookie").to_owned();
    let cookie = cookie.split(';').next().expect("a pair");
    assert_eq!(vote(&vote_url, "a", Some(cookie)).status, 200);
    let changed = || curl(&scores_url, &[]).body.contains(r#""a":1,"b":0"#).then_some(());
    assert!(wait_for(COUNTED_WITHIN, changed).is_some(), "{}", curl(&scores_url, &[]).body);
}

#[test]
fn one_service_boots_alone() {
    let port = free_port();
    let _run = Run::start(&["--package", "vote-service"], &[("PORT", port.to_string())]);
    let url = format!("http://127.0.0.1:{port}/");
    let page = wait_for(BOOT_LIMIT, || Some(curl(&url, &[])).filter(|page| page.status == 200));
    assert!(page.expect("it boots").body.contains("Cats vs Dogs!"));
    assert_eq!(vote(&url, "a", None).status, 503, "there is no store");
}

#[test]
fn a_guest_that_cannot_start_fails_and_says_why() {
    let mut run = Run::start(
        &["--package", "vote-service"],
        &[("LOG", "loud".to_owned()), ("PORT", free_port().to_string())],
    );
    let mut text = String::new();
    run.0.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    run.0.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
    assert!(!run.0.wait().expect("it ends").success());
    assert!(text.contains("LOG") && text.contains("loud"), "{text}");
}

#[test]
fn images_keep_to_their_sizes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let outcome = run(cargo(&["image", "build"]).current_dir(folder));
    assert!(outcome.success, "{}", outcome.stderr);
    let images = manifest::read(&Workspace::find().expect("a workspace")).expect("a list of images");
    for name in images.keys() {
        let file = format!("/{name}.img");
        assert!(outcome.stdout.lines().any(|line| line.ends_with(&file)), "{name}\n{}", outcome.stdout);
    }
}

/// Interrupts come on the program's stack and overwrite what is below its pointer, in what is called the red zone.
#[test]
fn no_program_keeps_anything_below_its_stack_pointer() {
    let workspace = Workspace::find().expect("a workspace");
    let objdump = Toolchain::find(&workspace).expect("a toolchain").llvm_tool("llvm-objdump");
    let names: Vec<String> = manifest::read(&workspace).expect("a list of images").into_keys().collect();
    for Image { name, program, .. } in image::build(&workspace, &names).expect("images") {
        let assembly =
            run(Command::new(&objdump).args(["--disassemble", "--no-show-raw-insn"]).arg(program)).stdout;
        assert!(assembly.contains("hlt"), "{name}: a program that can sleep");
        // Such as `-0x8(%rsp)`; with an index register behind it, the sum need not be below.
        let is_below = |line: &&str| {
            let before = line.split_once("(%rsp)").map_or("", |(before, _)| before);
            before.rsplit([' ', '\t', ',']).next().is_some_and(|offset| offset.starts_with('-'))
        };
        assert_eq!(assembly.lines().find(is_below), None, "{name}");
    }
}
