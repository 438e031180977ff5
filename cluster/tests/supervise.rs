//! The supervisor as a process: whoever ends and however, no machine is left. The machines are stand-ins
//! that never become healthy; booting real images is tested in the package `tests`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use cluster::application::Application;
use cluster::network::tap_obstacle;
use cluster::plan::{Choices, Draft, Image, Net, Plan};
use cluster::state::event::{Event, LEAVE, Order};
use cluster::state::identity::Identity;
use cluster::state::run_dir::RunDir;
use image_build::vm::accelerator::Accelerator;
use image_build::vm::machine::Machine;
use image_build::vm::machine::Platform;
use image_build::vm::vmm::Vmm;

/// How long something may take that takes milliseconds on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(20);

const APPLICATION: &str = r#"
    name = "test"
    [services.web]
    image = "web"
    memory = "16MiB"
    replicas = 2
    expose = [80]
    health = { port = 80 }
"#;

/// A supervisor, and the stand-in for QEMU in a folder of its own.
struct Supervisor {
    process: Child,
    orders: Option<ChildStdin>,
    events: BufReader<std::process::ChildStdout>,
    run_dir: RunDir,
    _folder: tempfile::TempDir,
}

impl Supervisor {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        stand_in(&folder.path().join("qemu-system-x86_64"));
        Self::start_in(folder)
    }

    fn start_in(folder: tempfile::TempDir) -> Self {
        Self::start_plan(folder, plan(Vmm::Qemu, Vmm::Qemu.program().into()))
    }

    fn start_plan(folder: tempfile::TempDir, plan: Plan) -> Self {
        let run_dir = RunDir::open(folder.path().join("run")).expect("a folder");
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a path"));
        let mut process = Command::new(env!("CARGO_BIN_EXE_cluster"))
            .arg("supervise")
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tool runs");
        let mut orders = process.stdin.take().expect("piped");
        let events = BufReader::new(process.stdout.take().expect("piped"));
        let order = Order { run_dir: run_dir.path().to_owned(), targets: None, plan };
        writeln!(orders, "{}", serde_json::to_string(&order).expect("an order")).expect("it listens");
        Self { process, orders: Some(orders), events, run_dir, _folder: folder }
    }

    /// The next event that `is_it` takes for the one waited for.
    fn wait_for(&mut self, is_it: impl Fn(&Event) -> bool) -> Event {
        loop {
            let mut line = String::new();
            self.events.read_line(&mut line).expect("readable");
            let event = serde_json::from_str(&line).expect("an event");
            if is_it(&event) {
                return event;
            }
        }
    }

    /// The machines, once both have been started.
    fn machines(&mut self) -> Vec<Identity> {
        self.wait_for(|event| *event == Event::Started { instance: "web-2".to_owned() });
        self.wait_for(|event| matches!(event, Event::Waiting { .. }));
        let state = self.run_dir.read_state().expect("readable").expect("a state");
        let machines: Vec<Identity> = state.instances.into_iter().map(|instance| instance.process).collect();
        assert!(machines.len() == 2 && machines.iter().all(Identity::runs));
        machines
    }
}

/// A program that takes QEMU's arguments and then only sleeps.
fn stand_in(path: &Path) {
    script(path, "exec sleep 600");
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("made executable");
}

/// What a VMM of this kind, from this program, is to run.
fn plan(vmm: Vmm, program: PathBuf) -> Plan {
    let application = Application::parse("test.toml", APPLICATION, &["web"]).expect("a description");
    let draft = Draft::new(application, &Choices::default()).expect("a plan");
    let platform = Platform {
        vmm,
        program,
        machine: Machine::Q35,
        accelerator: Accelerator::Tcg { mhz: 2000 },
        sandbox: false,
        shares_queues: false,
    };
    let image = Image { path: "web.img".into(), bytes: 1, program: "web".into() };
    draft.complete(platform, BTreeMap::from([("web".to_owned(), image)]))
}

fn assert_ended(machines: &[Identity]) {
    for handle in machines.iter().filter_map(Identity::open) {
        assert!(handle.ended_within(PATIENCE), "{machines:?}");
    }
}

#[test]
fn machines_end_when_the_starter_does() {
    let mut supervisor = Supervisor::start();
    let machines = supervisor.machines();
    supervisor.orders = None;
    let last = supervisor.wait_for(|event| matches!(event, Event::Failed { .. }));
    assert_eq!(last, Event::Failed { message: "interrupted".to_owned(), log: Vec::new() });
    assert!(supervisor.process.wait().expect("its status").success());
    assert!(!machines.iter().any(Identity::runs));
    assert!(supervisor.run_dir.read_state().expect("readable").is_none());
}

#[test]
fn machines_end_when_the_supervisor_is_killed() {
    let mut supervisor = Supervisor::start();
    let machines = supervisor.machines();
    supervisor.process.kill().expect("it runs");
    supervisor.process.wait().expect("its status");
    assert_ended(&machines);
    let left = supervisor.run_dir.read_state().expect("readable").expect("a killed one leaves its state");
    assert!(!left.supervisor.runs());
    assert!(supervisor.run_dir.try_lock().expect("a lock file").is_some(), "the lock is free again");
}

#[test]
fn a_detached_supervisor_outlives_its_starter_and_obeys_sigterm() {
    let mut supervisor = Supervisor::start();
    let machines = supervisor.machines();
    let mut orders = supervisor.orders.take().expect("not taken yet");
    writeln!(orders, "{LEAVE}").expect("it listens");
    drop(orders);
    let state = supervisor.run_dir.read_state().expect("readable").expect("a state");
    let handle = state.supervisor.open().expect("it runs");
    assert!(!handle.ended_within(Duration::from_millis(300)), "the closed pipe is of no account any more");
    assert!(machines.iter().all(Identity::runs));
    handle.terminate();
    assert!(handle.ended_within(PATIENCE));
    supervisor.process.wait().expect("its status");
    assert!(!machines.iter().any(Identity::runs));
}

#[test]
fn a_second_supervisor_of_the_same_folder_is_refused() {
    let mut first = Supervisor::start();
    let machines = first.machines();
    let folder = std::mem::replace(&mut first._folder, tempfile::tempdir().expect("a folder"));
    let mut second = Supervisor::start_in(folder);
    let refusal = second.wait_for(|event| matches!(event, Event::Failed { .. }));
    assert!(matches!(refusal, Event::Failed { message, .. } if message.contains("another `cargo up`")));
    assert!(second.process.wait().expect("its status").success());
    assert!(machines.iter().all(Identity::runs), "the first goes on");
    first.orders = None;
    first.process.wait().expect("its status");
    assert_ended(&machines);
}

/// Firecracker reads its configuration and dies a second later. Interfaces take rights that not every machine gives.
#[test]
fn a_vmm_on_a_tap_that_dies_leaves_neither_configuration_nor_interface() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("firecracker");
    script(
        &program,
        "for word; do file=$word; done\ngrep -o STOP_TOKEN \"$file\"\nstat -c rights=%a \"$file\"\n\
         cut -d: -f1 /proc/net/dev\nsleep 1\necho 'the vCPU is gone' >&2\nexit 1",
    );
    let mut plan = plan(Vmm::Firecracker, program);
    plan.network.net = Net::Tap;
    let mut supervisor = Supervisor::start_plan(folder, plan);
    let failed = supervisor.wait_for(|event| matches!(event, Event::Failed { .. }));
    assert!(supervisor.process.wait().expect("its status").success());
    let Event::Failed { message, log } = failed else { unreachable!("it was waited for") };
    let left = supervisor.run_dir.path().join("net");
    assert!(!left.exists(), "{} is left", left.display());
    if let Some(obstacle) = tap_obstacle() {
        assert!(message.contains("the application's network cannot be started"), "{message}");
        println!("skipped: --net tap {obstacle}");
        return;
    }
    assert!(message.ends_with("Firecracker ended with status 1: the vCPU is gone"), "{message}");
    for said in ["STOP_TOKEN", "rights=600", "station0", "station1"] {
        assert!(log.iter().any(|line| line.trim() == said), "{said}: {log:?}");
    }
    let interfaces = fs::read_to_string("/proc/net/dev").expect("interfaces");
    assert!(!interfaces.contains("station0"), "{interfaces}");
}

#[test]
fn a_machine_that_cannot_start_is_named_and_nothing_is_left() {
    let mut supervisor = Supervisor::start_in(tempfile::tempdir().expect("a folder"));
    // Where QEMU is installed it starts, and ends at once: the image is none.
    let failed = supervisor.wait_for(|event| matches!(event, Event::Failed { .. }));
    assert!(matches!(failed, Event::Failed { message, .. } if message.contains("web-")));
    assert!(supervisor.process.wait().expect("its status").success());
    assert!(supervisor.run_dir.read_state().expect("readable").is_none());
}
