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
mod isolation;
mod kernel_settings;
mod kubeconfig;
mod kubectl;
mod kubelet;
mod network;
mod operations;
mod overlay;
mod places;
mod proxy;
mod requirements;
mod services;
mod volumes;
mod waiting;
mod workloads;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use overlay::{OVERLAYS, Overlay};

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
    trials.push(isolated("harness::containerd_runs_the_image_that_holds_pods", None));
    for overlay in OVERLAYS {
        let name = format!("{}::operators_lose_no_acknowledged_vote", overlay.name);
        trials.push(isolated(&name, Some(overlay)));
    }
    trials
}

/// A test in namespaces of its own. It is ignored where something is missing; what, is said in a line of its own.
fn isolated(name: &str, overlay: Option<Overlay>) -> Trial {
    let lacking = requirements::lacking(overlay);
    if lacking.is_empty() {
        let run = move || isolation::run(overlay).map_err(|error| Failed::from(format!("{error:#}")));
        return Trial::test(name, run);
    }
    let missing = format!("missing: {}; programs are looked for in KUBE_BIN and PATH", lacking.join(", "));
    eprintln!("{name} is ignored: {missing}");
    let said = format!("{name} ({} things are missing, see above)", lacking.len());
    Trial::test(said, move || Err(Failed::from(missing))).with_ignored_flag(true)
}
