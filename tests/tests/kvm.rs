//! The application under KVM, on each machine that QEMU makes, and under each other VMM that is here.
//!
//! Where this machine has no KVM, these tests run in one that has an emulated one: see `image_build::bed`. They take
//! minutes there, so that plain `cargo test` leaves them out. uhyve is built when it is missing; Firecracker and
//! cloud-hypervisor are in no registry: without them, their tests are ignored, and say so.

use std::env;
use std::fs;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitCode};
use std::time::Duration;

use image_build::bed;
use image_build::tool::workspace::Workspace;
use image_build::vm::install;
use image_build::vm::vmm::{Feature, Vmm};
use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, kill_process_group};
use tests::client::wait_for;
use tests::command::cargo;
use tests::crash::voters::Voters;
use tests::needs;
use tests::running;
use tests::scenarios;

/// What runs the application, with the options that say so.
const MACHINES: [(&str, Vmm, &[&str]); 5] = [
    ("q35", Vmm::Qemu, &["--machine", "q35"]),
    ("microvm", Vmm::Qemu, &["--machine", "microvm"]),
    ("uhyve", Vmm::Uhyve, &["--vmm", "uhyve"]),
    ("firecracker", Vmm::Firecracker, &["--vmm", "firecracker"]),
    ("cloud-hypervisor", Vmm::CloudHypervisor, &["--vmm", "cloud-hypervisor"]),
];
/// A machine with an emulated KVM has one processor, so two of them share the tests out.
const SHARES: [&[&str]; 2] = [&["q35::"], &["--skip", "q35::"]];
/// All tests together take no longer there.
const BED_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Few: an emulated KVM lets each wait for the store.
const CLIENTS: usize = 10;
/// On each connection while the store is killed and comes back: some ten a second are cast there, all together.
const VOTES: usize = 40;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One application after the other: an emulated KVM is slow.
    arguments.test_threads = Some(1);
    let workspace = Workspace::find().expect("this is a workspace");
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(&workspace)).exit_code();
    }
    // In the machine with an emulated KVM it cannot be built.
    install::ensure(&workspace, Vmm::Uhyve, None).expect("uhyve");
    if has_kvm(&workspace) {
        return libtest_mimic::run(&arguments, trials(&workspace)).exit_code();
    }
    let is_all = arguments.filter.is_none() && arguments.skip.is_empty();
    run_in_beds(if is_all { &SHARES } else { &[&[]] })
}

fn trials(workspace: &Workspace) -> Vec<Trial> {
    MACHINES.into_iter().flat_map(|(name, vmm, options)| on(workspace, name, vmm, options)).collect()
}

/// The tests on one machine; those that need a disk where it can have one.
fn on(workspace: &Workspace, name: &str, vmm: Vmm, options: &'static [&str]) -> Vec<Trial> {
    let missing = install::find(workspace, vmm, None).err().map(|_| " (no such program in PATH)");
    let trial = |test_name: &str, test: fn(&[&str])| {
        let named = format!("{name}::{test_name}{}", missing.unwrap_or_default());
        let run = move || {
            test(&[&["--accel", "kvm"], options].concat());
            Ok(())
        };
        Trial::test(named, run).with_ignored_flag(missing.is_some())
    };
    let seed = trial("the_seed_is_counted_exactly", the_seed);
    if vmm.lacks(Feature::Disk).is_some() {
        return vec![seed, trial("a_stop_under_load_breaks_no_request", the_stop_without_a_disk)];
    }
    let mut trials = vec![
        seed,
        trial("a_killed_store_loses_no_vote", the_kill),
        trial("a_stop_under_load_loses_no_vote", the_stop),
    ];
    // KVM itself carries kicks and interrupts then. On MMIO that is the same.
    if name == "q35" {
        trials.push(trial("the_seed_is_counted_exactly_on_the_switch", the_seed_on_the_switch));
    }
    trials
}

fn the_seed(options: &[&str]) {
    unwatched(options, |options| scenarios::the_seed_is_counted_exactly("kvm-seed", options, CLIENTS));
}

fn the_seed_on_the_switch(options: &[&str]) {
    the_seed(&[options, &["--net", "switch"]].concat());
}

fn the_kill(options: &[&str]) {
    let data = tempfile::tempdir().expect("a folder");
    let voters = Voters::new(7).with_votes(VOTES);
    scenarios::killed_machines_lose_no_vote("kvm-kill", options, &["store-1"], data.path(), voters);
}

fn the_stop(options: &[&str]) {
    unwatched(options, |options| scenarios::a_stop_under_load_loses_no_vote("kvm-stop", options));
}

fn the_stop_without_a_disk(options: &[&str]) {
    unwatched(options, |options| {
        scenarios::a_stop_under_load_breaks_no_request("kvm-stop", options);
    });
}

/// With these options, and no machine started again: on a busy one, an emulated KVM can be silent for 8 s.
fn unwatched(options: &[&str], test: impl FnOnce(&[&str])) {
    let description = scenarios::without_restarts();
    let file = description.path().to_str().expect("a path in UTF-8");
    test(&[options, &["--file", file]].concat());
}

/// Whether KVM runs guests here.
fn has_kvm(workspace: &Workspace) -> bool {
    let obstacle = running::probe(workspace).kvm_obstacle;
    assert!(!bed::is_inside() || obstacle.is_none(), "the emulated KVM cannot be used: {obstacle:?}");
    obstacle.is_none()
}

/// Runs these shares of the tests, each in a machine of its own. What the first says is seen at once, the rest after
/// that.
fn run_in_beds(shares: &[&[&str]]) -> ExitCode {
    needs::everything().unwrap_or_else(|lacking| panic!("{lacking}"));
    let folder = tempfile::tempdir().expect("a folder");
    let log = |number: usize| folder.path().join(number.to_string());
    let start = |(number, share): (usize, &&[&str])| {
        let own = env::current_exe().expect("a test has a path");
        let mut bed = cargo(&["image", "bed"]);
        bed.arg(own).args(env::args_os().skip(1)).args(*share).process_group(0);
        if number > 0 {
            let log = File::create(log(number)).expect("room");
            bed.stdout(log.try_clone().expect("a file")).stderr(log);
        }
        bed.spawn().expect("cargo can be started")
    };
    let mut beds: Vec<Child> = shares.iter().enumerate().map(start).collect();
    let passed = beds.iter_mut().map(passes).filter(|passes| *passes).count();
    for number in 1..shares.len() {
        // A guest may write anything.
        println!("{}", String::from_utf8_lossy(&fs::read(log(number)).expect("it was written")));
    }
    if passed == shares.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the tests in a machine pass in time.
fn passes(bed: &mut Child) -> bool {
    let status = wait_for(BED_LIMIT, || bed.try_wait().expect("the bed is a child of this process"));
    if status.is_none() {
        eprintln!("the machine with an emulated KVM has not ended after {BED_LIMIT:?}: it is stopped");
        let group = Pid::from_raw(bed.id().cast_signed()).expect("a process group");
        kill_process_group(group, Signal::KILL).expect("the group is ours");
    }
    status.is_some_and(|status| status.success())
}
