//! The application under KVM, on each machine that QEMU makes, and under uhyve.
//!
//! Where this machine has no KVM, these tests run in one that has an emulated one: see `image_build::bed`. They take
//! twelve minutes there, so that plain `cargo test` leaves them out.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::time::Duration;

use image_build::bed;
use image_build::tool::workspace::Workspace;
use image_build::vm::install;
use image_build::vm::vmm::Vmm;
use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, kill_process_group};
use tests::client::wait_for;
use tests::command::cargo;
use tests::needs;
use tests::running;
use tests::scenarios;

const MACHINES: [&str; 2] = ["q35", "microvm"];
const UHYVE: &str = "uhyve";
/// All tests together take no longer in a machine with an emulated KVM.
const BED_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Few: an emulated KVM lets each wait for the store.
const CLIENTS: usize = 10;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One application after the other: an emulated KVM is slow.
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials()).exit_code();
    }
    let workspace = Workspace::find().expect("this is a workspace");
    // In the machine with an emulated KVM it cannot be built.
    install::ensure(&workspace, Vmm::Uhyve, None).expect("uhyve");
    if has_kvm(&workspace) {
        return libtest_mimic::run(&arguments, trials()).exit_code();
    }
    run_in_bed()
}

fn trials() -> Vec<Trial> {
    MACHINES.into_iter().flat_map(on).chain(under_uhyve()).collect()
}

/// A test with the options of the machine that it is about.
fn trial(machine: &'static str, name: &str, test: fn(&[&str])) -> Trial {
    Trial::test(format!("{machine}::{name}"), move || {
        test(&options(machine));
        Ok(())
    })
}

fn options(machine: &'static str) -> Vec<&'static str> {
    match machine {
        UHYVE => vec!["--accel", "kvm", "--vmm", UHYVE],
        machine => vec!["--accel", "kvm", "--machine", machine],
    }
}

/// The tests on one machine of QEMU's.
fn on(machine: &'static str) -> [Trial; 3] {
    [
        trial(machine, "the_seed_is_counted_exactly", the_seed),
        trial(machine, "a_killed_store_loses_no_vote", |options| {
            let data = tempfile::tempdir().expect("a folder");
            scenarios::killed_machines_lose_no_vote("kvm-kill", options, &["store-1"], data.path());
        }),
        trial(machine, "a_stop_under_load_loses_no_vote", |options| {
            unwatched(options, |options| scenarios::a_stop_under_load_loses_no_vote("kvm-stop", options));
        }),
    ]
}

/// Those that need no disk.
fn under_uhyve() -> [Trial; 2] {
    [
        trial(UHYVE, "the_seed_is_counted_exactly", the_seed),
        trial(UHYVE, "a_stop_under_load_breaks_no_request", |options| {
            unwatched(options, |options| {
                scenarios::a_stop_under_load_breaks_no_request("kvm-stop", options);
            });
        }),
    ]
}

fn the_seed(options: &[&str]) {
    unwatched(options, |options| scenarios::the_seed_is_counted_exactly("kvm-seed", options, CLIENTS));
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

fn run_in_bed() -> ExitCode {
    needs::everything().unwrap_or_else(|lacking| panic!("{lacking}"));
    let own = env::current_exe().expect("a test has a path");
    let mut command = cargo(&["image", "bed"]);
    command.arg(own).args(env::args_os().skip(1));
    let mut bed = command.process_group(0).spawn().expect("cargo can be started");
    let status = wait_for(BED_LIMIT, || bed.try_wait().expect("the bed is a child of this process"));
    if status.is_none() {
        eprintln!("the machine with an emulated KVM has not ended after {BED_LIMIT:?}: it is stopped");
        let group = Pid::from_raw(bed.id().cast_signed()).expect("a process group");
        kill_process_group(group, Signal::KILL).expect("the group is ours");
    }
    if status.is_some_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
