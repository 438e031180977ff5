//! The application on a real Kubernetes of one node: each overlay of `deploy/kubernetes/overlays` that needs no KVM is
//! applied, voted on, disturbed as operators do it, and removed. No acknowledged vote may be lost or counted twice.
//!
//! The programs of Kubernetes are in no package registry of most systems. They are looked for in the folder `KUBE_BIN`
//! and in `PATH`; where some are missing, the test is reported as ignored, with their names. With `KEEP=1` the cluster
//! stays until Enter is pressed, and the command that reaches it is printed.
//!
//! kube-proxy and CoreDNS are not needed: `proxy.rs` and `dns.rs` do what the application needs of them. Network
//! policies are accepted, but the bridge plugin does not enforce them.

mod certificates;
mod cgroup;
mod checks;
mod cluster;
mod cni;
mod component;
mod containerd;
mod control_plane;
mod dns;
mod images;
mod interrupts;
mod isolation;
mod kernel_settings;
mod kubeconfig;
mod kubectl;
mod kubelet;
mod manifests;
mod network;
mod operations;
mod overlay;
mod places;
mod proxy;
mod purpose;
mod requirements;
mod services;
mod volumes;
mod waiting;
mod workloads;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use purpose::Purpose;

fn main() -> ExitCode {
    if let Some(inside) = isolation::Inside::read() {
        return operations::report(&inside);
    }
    let mut arguments = Arguments::from_args();
    // One cluster after the other: each takes all of a small machine.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let mut trials = checks::trials();
    trials.extend(Purpose::all().map(isolated));
    trials
}

/// A test in namespaces of its own. It is ignored where something is missing; what, is said in a line of its own.
fn isolated(purpose: Purpose) -> Trial {
    let (name, lacking) = (purpose.test(), requirements::lacking(purpose));
    if lacking.is_empty() {
        let run = move || isolation::run(purpose).map_err(|error| Failed::from(format!("{error:#}")));
        return Trial::test(name, run);
    }
    let missing = format!("missing: {}; programs are looked for in KUBE_BIN and PATH", lacking.join(", "));
    eprintln!("{name} is ignored: {missing}");
    let said = format!("{name} ({} things are missing, see above)", lacking.len());
    Trial::test(said, move || Err(Failed::from(missing))).with_ignored_flag(true)
}
