//! Machines of other VMMs than QEMU: programs that stand in for them refuse, die, and are told to stop by requests.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::network::ports::Ports;
use crate::plan::draft::tests::platform;
use crate::plan::{Instance, Plan};
use crate::state::event::Event;
use crate::state::run_dir::RunDir;
use crate::state::run_dir::tests::temporary;
use crate::supervisor::message::Message;
use crate::supervisor::tests::{TWO, instances, listen, run_on, shell};
use image_build::vm::machine::Platform;
use image_build::vm::vmm::Vmm;

fn on(vmm: Vmm) -> Platform {
    Platform { vmm, program: vmm.program().into(), ..platform() }
}

/// What is said when a VMM that runs this script is started.
fn failure(vmm: Vmm, script: &'static str) -> String {
    let (_folder, run_dir) = temporary();
    let dying = move |_: &Plan, _: &Instance, _: &Ports| Ok(shell(script));
    let events = run_on(on(vmm), TWO, &run_dir, &dying, |_, _| {});
    assert_nothing_is_left(&run_dir);
    let Some(Event::Failed { message, .. }) = events.last() else { panic!("{events:?}") };
    let (_, why) = message.split_once("before everything was up: ").expect("it names the start");
    why.to_owned()
}

fn assert_nothing_is_left(run_dir: &RunDir) {
    assert!(run_dir.read_state().expect("readable").is_none());
    let left: Vec<_> = fs::read_dir(run_dir.path()).expect("a folder").flatten().collect();
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let others: Vec<_> =
        left.iter().map(name).filter(|name| name != "lock" && !name.ends_with(".log")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a_vmm_that_refuses_to_start_is_quoted() {
    let firecracker = "echo 'Error: no tap' >&2; exit 1";
    assert_eq!(failure(Vmm::Firecracker, firecracker), "Firecracker ended with status 1: Error: no tap");
    let uhyve = "echo; echo 'Error: no file'; echo 'note: run with `RUST_BACKTRACE=1`'; exit 101";
    assert_eq!(failure(Vmm::Uhyve, uhyve), "uhyve ended with status 101: Error: no file");
    let silent = failure(Vmm::CloudHypervisor, "exit 2");
    assert_eq!(silent, "cloud-hypervisor ended with status 2");
    let off = failure(Vmm::CloudHypervisor, "echo 'no disk'; exit 0");
    assert_eq!(off, "the machine switched off, and cloud-hypervisor does not tell why: no disk");
}

#[test]
fn a_guest_that_says_what_was_wrong_comes_before_its_vmm() {
    let script = "echo 'PANIC: no card'; echo 'vCPU stopped'; exit 1";
    assert_eq!(failure(Vmm::Firecracker, script), "PANIC: no card");
}

#[test]
fn a_vmm_that_cannot_be_started_is_named() {
    let (_folder, run_dir) = temporary();
    let missing = |_: &Plan, _: &Instance, _: &Ports| Ok(std::process::Command::new("/nonexistent/vmm"));
    let events = run_on(on(Vmm::Firecracker), TWO, &run_dir, &missing, |_, _| {});
    let Some(Event::Failed { message, .. }) = events.last() else { panic!("{events:?}") };
    assert!(message.starts_with("store-1 cannot be started: "), "{message}");
    assert_nothing_is_left(&run_dir);
}

/// A machine's health port that answers, and the orders to stop that it has heard.
#[derive(Clone, Default)]
struct Health {
    orders: Arc<Mutex<Vec<(String, String)>>>,
}

impl Health {
    /// Answers at this address; with the second order, a file appears.
    fn serve(&self, address: SocketAddr, stopped: PathBuf) {
        let health = self.clone();
        thread::spawn(move || {
            for mut stream in listen(address).incoming().flatten() {
                let health = health.clone();
                let stopped = stopped.clone();
                // An order comes on a connection that may have been open for a while.
                thread::spawn(move || {
                    let mut bytes = [0; 512];
                    let count = stream.read(&mut bytes).unwrap_or(0);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                    health.hear(&String::from_utf8_lossy(&bytes[..count]), &stopped);
                });
            }
        });
    }

    fn hear(&self, request: &str, stopped: &Path) {
        let Some((path, rest)) =
            request.strip_prefix("POST ").and_then(|rest| rest.split_once(" HTTP/1.1\r\n"))
        else {
            return;
        };
        let token = rest.lines().find_map(|line| line.strip_prefix("Authorization: Bearer "));
        let mut orders = self.orders.lock().expect("no panic");
        orders.push((path.to_owned(), token.unwrap_or_default().to_owned()));
        if orders.len() == 2 {
            fs::write(stopped, "").expect("room");
        }
    }
}

#[test]
fn a_machine_without_serial_input_is_told_to_stop_by_requests_with_its_secret() {
    let one = &TWO[..TWO.find("[services.web]").expect("a second service")];
    let (_folder, run_dir) = temporary();
    let files = tempfile::tempdir().expect("a folder");
    let stopped = files.path().join("stopped");
    let (health, given) = (Health::default(), Mutex::new(Vec::new()));
    let command = |_: &Plan, instance: &Instance, ports: &Ports| {
        given
            .lock()
            .expect("no panic")
            .push(instance.environment.get("STOP_TOKEN").cloned().unwrap_or_default());
        health.serve(ports.address(&instance.name, 80).expect("a port"), stopped.clone());
        // Standard input closed: what is written there reaches nobody.
        Ok(shell(&format!("exec 0<&-; while [ ! -e {} ]; do sleep 0.02; done", stopped.display())))
    };
    let events = run_on(on(Vmm::Firecracker), one, &run_dir, &command, |event, outbox| {
        if matches!(event, Event::Up { .. }) {
            outbox.send(Message::Stop("enough")).expect("it listens");
        }
    });
    assert_eq!(events.last(), Some(&Event::Stopped));
    let given = given.into_inner().expect("no panic");
    assert!(given[0].len() >= 32, "{given:?}");
    let orders = health.orders.lock().expect("no panic").clone();
    assert_eq!(orders, ["/stop/announce", "/stop"].map(|path| (path.to_owned(), given[0].clone())));
}

#[test]
fn a_machine_that_dies_later_is_noted_with_its_last_words() {
    let one = &TWO[..TWO.find("[services.web]").expect("a second service")];
    let (_folder, run_dir) = temporary();
    let health = Health::default();
    let command = |_: &Plan, instance: &Instance, ports: &Ports| {
        health.serve(ports.address(&instance.name, 80).expect("a port"), PathBuf::new());
        Ok(shell("sleep 1; echo 'KVM_RUN failed' >&2; exit 1"))
    };
    let events = run_on(on(Vmm::CloudHypervisor), one, &run_dir, &command, |event, _| {
        if matches!(event, Event::Up { .. }) {
            assert_eq!(instances(&run_dir).len(), 1);
        }
    });
    let how = "cloud-hypervisor ended with status 1: KVM_RUN failed".to_owned();
    assert!(events.contains(&Event::Ended { instance: "store-1".to_owned(), how }), "{events:?}");
    assert_nothing_is_left(&run_dir);
}
