//! Applications of stand-in processes: what starts when, and what is left when something goes wrong.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;

use crate::application::Application;
use crate::log::file::last_lines;
use crate::network::ports::Ports;
use crate::plan::draft::tests::platform;
use crate::plan::{Choices, Draft};
use crate::plan::{Instance, Plan};
use crate::state::HealthAddress;
use crate::state::access::Access;
use crate::state::event::Event;
use crate::state::run_dir::RunDir;
use crate::state::run_dir::tests::temporary;
use crate::supervisor::lifecycle::{Connections, MakeCommand, run};
use crate::supervisor::message::Message;
use crate::supervisor::probe::{self, ProbeResult};
use image_build::vm::machine::Platform;

/// Two services, of which the second waits for the first.
pub(super) const TWO: &str = r#"
    name = "test"
    networks = { n = {} }
    [services.store]
    image = "store"
    memory = "16MiB"
    networks = ["n"]
    expose = [80]
    health = { port = 80, timeout_s = 1 }
    [services.web]
    image = "web"
    memory = "16MiB"
    networks = ["n"]
    expose = [80]
    depends_on = { store = "healthy" }
    health = { port = 80, timeout_s = 20 }
"#;

/// Listens at a port that is released right after a machine's command is made.
pub(super) fn listen(address: SocketAddr) -> TcpListener {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(_) if Instant::now() < end => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A stand-in for a machine: a process that sleeps, and a server in this process that answers for it.
fn sleeping(answer: &'static str) -> impl Fn(&Plan, &Instance, &Ports) -> Result<Command> {
    move |_, instance, ports| {
        let address = ports.address(&instance.name, 80).expect("a port");
        thread::spawn(move || {
            for mut stream in listen(address).incoming().flatten() {
                let _ = io::Read::read(&mut stream, &mut [0; 512]);
                let _ = io::Write::write_all(&mut stream, answer.as_bytes());
            }
        });
        Ok(shell("echo hello; exec head -c 2 >/dev/null"))
    }
}

/// The same, with a server that goes on when the machine is started again.
fn answering_once_bound(answer: &'static str) -> impl Fn(&Plan, &Instance, &Ports) -> Result<Command> {
    let (known, first) = (std::cell::RefCell::new(Vec::new()), sleeping(answer));
    move |plan, instance, ports| {
        if known.borrow().contains(&instance.name) {
            return Ok(shell("echo hello; exec head -c 2 >/dev/null"));
        }
        known.borrow_mut().push(instance.name.clone());
        first(plan, instance, ports)
    }
}

pub(super) fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Runs an application; `react` sees every event and may send messages. Gives all events.
fn run_with(
    run_dir: &RunDir,
    command: MakeCommand<'_>,
    react: impl FnMut(&Event, &Sender<Message>),
) -> Vec<Event> {
    run_as(TWO, run_dir, command, react)
}

/// The same of another description.
fn run_as(
    description: &str,
    run_dir: &RunDir,
    command: MakeCommand<'_>,
    react: impl FnMut(&Event, &Sender<Message>),
) -> Vec<Event> {
    run_on(platform(), description, run_dir, command, react)
}

/// The same on another platform.
pub(super) fn run_on(
    platform: Platform,
    description: &str,
    run_dir: &RunDir,
    command: MakeCommand<'_>,
    mut react: impl FnMut(&Event, &Sender<Message>),
) -> Vec<Event> {
    let application = Application::parse("t.toml", description, &["store", "web"]).expect("a description");
    let draft = Draft::new(application, &Choices::default()).expect("a plan");
    let plan = draft.complete(platform, BTreeMap::new());
    let (outbox, inbox) = mpsc::channel();
    let sender = outbox.clone();
    let mut events = Vec::new();
    let mut tell = |event: Event| {
        react(&event, &sender);
        events.push(event);
    };
    run(run_dir, plan, Connections { command, inbox, outbox, tell: &mut tell });
    events
}

/// The instances that the state file names.
pub(super) fn instances(run_dir: &RunDir) -> Vec<crate::state::InstanceState> {
    run_dir.read_state().expect("readable").expect("a state").instances
}

#[test]
fn machines_start_in_order_and_all_end_when_told_to() {
    let (_folder, run_dir) = temporary();
    let mut processes = Vec::new();
    let events = run_with(&run_dir, &sleeping("HTTP/1.1 200 OK\r\n\r\n"), |event, outbox| match event {
        Event::Started { instance } if instance == "web-1" => {
            assert!(instances(&run_dir)[0].healthy_after_ms.is_some(), "the store is healthy first");
        }
        Event::Up { .. } => {
            processes = instances(&run_dir).into_iter().map(|instance| instance.process).collect();
            outbox.send(Message::Leave).expect("it listens");
        }
        Event::Left => outbox.send(Message::Stop("enough")).expect("it listens"),
        _ => {}
    });
    assert_eq!(events.last(), Some(&Event::Stopped));
    assert!(events.contains(&Event::Left));
    assert_eq!(processes.len(), 2);
    assert!(processes.iter().all(|process| !process.runs()));
    assert!(run_dir.read_state().expect("readable").is_none());
    let hello = last_lines(&run_dir.log_path("web-1"), 1);
    assert_eq!(hello[0].text, "hello");
}

#[test]
fn instances_of_a_service_share_its_port_and_one_that_has_ended_gets_no_more() {
    let (_folder, run_dir) = temporary();
    let address = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
    let port = address.port();
    let description = format!(
        r#"
        name = "test"
        [services.web]
        image = "web"
        memory = "16MiB"
        replicas = 2
        ports = ["{port}:80"]
        health = {{ port = 80 }}
        "#
    );
    let shared = HealthAddress { address: Access::Tcp(address), path: "/".to_owned() };
    let get = || assert_eq!(probe::ask(&shared, Duration::from_secs(10)), ProbeResult::Healthy);
    let shares = || -> Vec<u64> {
        let report =
            segment::balancer::ask(run_dir.path()).expect("an answer").expect("a balancer").remove(0);
        report.instances.iter().map(|instance| instance.connections).collect()
    };
    let answering = sleeping("HTTP/1.1 200 OK\r\n\r\n");
    let events = run_as(&description, &run_dir, &answering, |event, outbox| match event {
        Event::Up { .. } => {
            let both = instances(&run_dir);
            assert!(both.iter().all(|it| it.endpoint == format!("http://{address}") && it.published));
            (0..4).for_each(|_| get());
            assert_eq!(shares(), [2, 2]);
            both[0].process.open().expect("it runs").kill();
        }
        Event::Ended { .. } => {
            (0..4).for_each(|_| get());
            assert_eq!(shares(), [2, 6]);
            outbox.send(Message::Stop("enough")).expect("it listens");
        }
        _ => {}
    });
    assert_eq!(events.last(), Some(&Event::Stopped));
    assert_eq!(segment::balancer::ask(run_dir.path()).expect("nobody"), None);
}

#[test]
fn a_machine_that_is_never_healthy_stops_everything_with_the_reason() {
    let (_folder, run_dir) = temporary();
    let mut processes = Vec::new();
    let answer = "HTTP/1.1 503 No\r\nContent-Length: 8\r\n\r\nno queue";
    let events = run_with(&run_dir, &sleeping(answer), |event, _| {
        if matches!(event, Event::Waiting { .. }) {
            processes = instances(&run_dir).into_iter().map(|instance| instance.process).collect();
        }
    });
    let Some(Event::Failed { message, log }) = events.last() else { panic!("{events:?}") };
    assert!(message.starts_with("store-1 was not healthy within 1 s (503 no queue)"), "{message}");
    assert_eq!(log, &["hello"]);
    assert!(!events.contains(&Event::Started { instance: "web-1".to_owned() }));
    assert!(!processes.is_empty() && processes.iter().all(|process| !process.runs()));
    assert!(run_dir.read_state().expect("readable").is_none());
}

#[test]
fn a_machine_that_dies_at_boot_shows_its_last_log_lines() {
    let (_folder, run_dir) = temporary();
    let dying = |_: &Plan, _: &Instance, _: &Ports| Ok(shell("echo panic: no memory >&2; exit 1"));
    let events = run_with(&run_dir, &dying, |_, _| {});
    let Some(Event::Failed { message, log }) = events.last() else { panic!("{events:?}") };
    assert!(message.starts_with("store-1 failed "), "{message}");
    assert!(message.ends_with("it ended with an error: panic: no memory"), "{message}");
    assert_eq!(log, &["panic: no memory"]);
}

#[test]
fn a_machine_that_idles_after_a_panic_is_stopped_with_its_message() {
    let (_folder, run_dir) = temporary();
    let idling = |_: &Plan, _: &Instance, _: &Ports| Ok(shell("echo 'PANIC: no route'; exec sleep 600"));
    let events = run_with(&run_dir, &idling, |_, _| {});
    let Some(Event::Failed { message, .. }) = events.last() else { panic!("{events:?}") };
    assert!(message.starts_with("store-1 failed ") && message.ends_with(": PANIC: no route"), "{message}");
}

#[test]
fn a_command_that_cannot_be_started_is_named() {
    let (_folder, run_dir) = temporary();
    let missing = |_: &Plan, _: &Instance, _: &Ports| Ok(Command::new("/no/such/emulator"));
    let events = run_with(&run_dir, &missing, |_, _| {});
    let Some(Event::Failed { message, .. }) = events.last() else { panic!("{events:?}") };
    assert!(message.contains("store-1 cannot be started: No such file"), "{message}");
    assert!(run_dir.read_state().expect("readable").is_none());
}

#[test]
fn a_stop_during_the_start_stops_the_started_machines() {
    let (_folder, run_dir) = temporary();
    let mut process = None;
    let events = run_with(&run_dir, &sleeping("HTTP/1.1 404 No\r\n\r\n"), |event, outbox| {
        if matches!(event, Event::Waiting { .. }) && process.is_none() {
            process = Some(instances(&run_dir)[0].process.clone());
            outbox.send(Message::Stop("interrupted")).expect("it listens");
        }
    });
    let stopped = Event::Failed { message: "interrupted".to_owned(), log: Vec::new() };
    assert_eq!(events.last(), Some(&stopped));
    assert!(!process.expect("it was started").runs());
}

#[test]
fn a_machine_that_ends_later_is_noted_and_the_others_go_on() {
    let (_folder, run_dir) = temporary();
    let events = run_with(&run_dir, &sleeping("HTTP/1.1 200 OK\r\n\r\n"), |event, outbox| match event {
        Event::Up { .. } => instances(&run_dir)[0].process.open().expect("it runs").kill(),
        Event::Ended { instance, how } => {
            assert_eq!((instance.as_str(), how.as_str()), ("store-1", "QEMU was killed by signal 9"));
            assert!(instances(&run_dir)[1].process.runs());
            outbox.send(Message::Stop("enough")).expect("it listens");
        }
        _ => {}
    });
    assert_eq!(events.last(), Some(&Event::Stopped));
}

/// The store is started again when it fails, twice in a row at most.
fn with_restarts() -> String {
    TWO.replace("timeout_s = 1 }", "timeout_s = 20 }\n    restart = \"on-failure:2\"")
}

#[test]
fn a_machine_that_fails_is_started_again_as_it_was() {
    let (_folder, run_dir) = temporary();
    let mut first = None;
    let answering = answering_once_bound("HTTP/1.1 200 OK\r\n\r\n");
    let events = run_as(&with_restarts(), &run_dir, &answering, |event, outbox| match event {
        Event::Up { .. } => {
            let store = instances(&run_dir).remove(0);
            store.process.open().expect("it runs").kill();
            first = Some(store);
        }
        Event::Restarting { instance, after_ms, attempt } => {
            assert_eq!((instance.as_str(), *after_ms, *attempt), ("store-1", 250, 1));
        }
        Event::Healthy { instance, .. } if instance == "store-1" && first.is_some() => {
            outbox.send(Message::Stop("enough")).expect("it listens");
        }
        Event::Ended { .. } => assert_eq!(instances(&run_dir).len(), 2),
        _ => {}
    });
    assert_eq!(events.last(), Some(&Event::Stopped));
    let starts = events.iter().filter(|event| matches!(event, Event::Started { .. })).count();
    assert_eq!(starts, 3, "{events:?}");
    let log = last_lines(&run_dir.log_path("store-1"), 9);
    let log: Vec<&str> = log.iter().map(|line| line.text.as_str()).collect();
    let note =
        "Z WARN  store-1 supervisor: QEMU was killed by signal 9; starting it again in 0.25 s (attempt 1)";
    assert!(matches!(log[..], ["hello", said, "hello"] if said.ends_with(note)), "{log:?}");
}

#[test]
fn a_machine_that_keeps_failing_is_given_up_and_the_others_go_on() {
    let (_folder, run_dir) = temporary();
    let is_up = std::cell::Cell::new(false);
    let first = answering_once_bound("HTTP/1.1 200 OK\r\n\r\n");
    let command = |plan: &Plan, instance: &Instance, ports: &Ports| {
        if is_up.get() { Ok(shell("echo 'PANIC: again'; exit 1")) } else { first(plan, instance, ports) }
    };
    let mut ended = 0;
    let events = run_as(&with_restarts(), &run_dir, &command, |event, outbox| match event {
        Event::Up { .. } => {
            is_up.set(true);
            instances(&run_dir)[0].process.open().expect("it runs").kill();
        }
        Event::Ended { .. } => {
            ended += 1;
            if ended == 3 {
                outbox.send(Message::Stop("enough")).expect("it listens");
            }
        }
        _ => {}
    });
    let told: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Ended { how, .. } => Some(how.as_str()),
            Event::Restarting { .. } => Some("restarting"),
            _ => None,
        })
        .collect();
    let again = "PANIC: again";
    assert_eq!(told, ["QEMU was killed by signal 9", "restarting", again, "restarting", again]);
}

#[test]
fn a_supervisor_that_cannot_write_its_record_goes_on_and_says_so() {
    let (_folder, run_dir) = temporary();
    let blocked = run_dir.path().join("state.json.next");
    let answering = answering_once_bound("HTTP/1.1 200 OK\r\n\r\n");
    let (mut up, mut troubles) = (false, Vec::new());
    let events = run_as(&with_restarts(), &run_dir, &answering, |event, outbox| match event {
        Event::Up { .. } => {
            up = true;
            // A folder in the file's place refuses to be written, as a full disk does.
            std::fs::create_dir(&blocked).expect("a folder");
            instances(&run_dir)[0].process.open().expect("it runs").kill();
        }
        Event::Healthy { instance, .. } if up && instance == "store-1" => {
            std::fs::remove_dir(&blocked).expect("it is empty");
        }
        Event::Trouble { message } => {
            troubles.push(message.clone());
            if message.contains("written again") {
                assert_eq!(instances(&run_dir)[0].restarts, 1, "it is true again");
                outbox.send(Message::Stop("enough")).expect("it listens");
            }
        }
        _ => {}
    });
    assert_eq!(events.last(), Some(&Event::Stopped));
    assert_eq!(troubles.len(), 2, "{troubles:?}");
    assert!(
        troubles[0].starts_with("cannot write ") && troubles[0].contains("everything goes on"),
        "{troubles:?}"
    );
    let log = last_lines(&run_dir.log_path("web-1"), 1);
    assert!(log[0].text.contains("supervisor: the record of what runs is written again"), "{log:?}");
}

#[test]
fn a_record_that_somebody_removes_is_written_again() {
    let (_folder, run_dir) = temporary();
    let stop = |outbox: &Sender<Message>, run_dir: &RunDir| {
        let (outbox, run_dir) = (outbox.clone(), run_dir.clone());
        thread::spawn(move || {
            let end = Instant::now() + Duration::from_secs(20);
            while run_dir.read_state().ok().flatten().is_none() && Instant::now() < end {
                thread::sleep(Duration::from_millis(20));
            }
            let is_there = run_dir.read_state().ok().flatten().is_some();
            outbox.send(Message::Stop("enough")).expect("it listens");
            is_there
        })
    };
    let mut watching = None;
    let events = run_with(&run_dir, &sleeping("HTTP/1.1 200 OK\r\n\r\n"), |event, outbox| {
        if matches!(event, Event::Up { .. }) {
            run_dir.remove_state().expect("it is there");
            watching = Some(stop(outbox, &run_dir));
        }
    });
    assert_eq!(events.last(), Some(&Event::Stopped));
    assert!(watching.expect("it was up").join().expect("no panic"), "nobody has written it again");
}

/// A stand-in whose server takes connections and answers none of them as long as `is_hung`; the machine that is
/// started after that answers again.
fn hanging(
    is_hung: &'static std::sync::atomic::AtomicBool,
) -> impl Fn(&Plan, &Instance, &Ports) -> Result<Command> {
    let known = std::cell::RefCell::new(Vec::new());
    move |_, instance, ports| {
        is_hung.store(false, std::sync::atomic::Ordering::SeqCst);
        let address = ports.address(&instance.name, 80).expect("a port");
        if !known.borrow().contains(&instance.name) {
            known.borrow_mut().push(instance.name.clone());
            let hangs = instance.service == "store";
            thread::spawn(move || {
                let mut held = Vec::new();
                for mut stream in listen(address).incoming().flatten() {
                    if hangs && is_hung.load(std::sync::atomic::Ordering::SeqCst) {
                        held.push(stream);
                        continue;
                    }
                    let _ = io::Read::read(&mut stream, &mut [0; 512]);
                    let _ = io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n");
                }
            });
        }
        Ok(shell("echo hello; exec head -c 2 >/dev/null"))
    }
}

#[test]
fn a_healthy_machine_that_hangs_is_restarted_within_ten_seconds() {
    static IS_HUNG: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    let (_folder, run_dir) = temporary();
    let (mut since, mut noticed) = (None, None);
    let events = run_as(&with_restarts(), &run_dir, &hanging(&IS_HUNG), |event, outbox| match event {
        Event::Up { .. } => {
            IS_HUNG.store(true, std::sync::atomic::Ordering::SeqCst);
            since = Some(Instant::now());
        }
        Event::Started { instance } if since.is_some() => {
            assert_eq!(instance, "store-1");
            noticed = since.map(|since: Instant| since.elapsed());
        }
        Event::Healthy { .. } if noticed.is_some() => {
            outbox.send(Message::Stop("enough")).expect("it listens");
        }
        _ => {}
    });
    let how = "it has not answered for 8 s".to_owned();
    assert!(events.contains(&Event::Ended { instance: "store-1".to_owned(), how }), "{events:?}");
    assert!(noticed.expect("it was started again") < Duration::from_secs(10), "{noticed:?}");
}
