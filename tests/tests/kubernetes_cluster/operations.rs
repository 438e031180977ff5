//! What operators do with the application while people vote, and what must hold in the end.

use std::io;
use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::http::{ask, get};

use crate::certificates::NODE_NAME;
use crate::cluster::Cluster;
use crate::isolation::{Inside, is_kept};
use crate::manifests;
use crate::overlay::{NAMESPACE, Overlay};
use crate::purpose::Purpose;
use crate::volumes;
use crate::waiting::wait_until;
use crate::workloads::{self, check_all};
use tests::crash::load::Load;

/// Pods are ready within this time, also emulated machines that share two processors.
const READY_WITHIN: Duration = Duration::from_secs(300);
const COUNTED_WITHIN: Duration = Duration::from_secs(120);
/// How long a node is being drained: budgets may forbid that it ever becomes empty.
const DRAIN: Duration = Duration::from_secs(45);
/// The port of pages, in their Services.
const PORT: &str = "http";
/// What a drain says that a budget has stopped.
const BUDGET: &str = "disruption budget";

/// Runs everything in here, and says what failed.
pub fn report(inside: &Inside) -> ExitCode {
    let outcome = Cluster::prepare(inside).and_then(|mut cluster| run(&mut cluster, inside.purpose));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cluster: &mut Cluster, purpose: Purpose) -> Result<()> {
    let outcome = match purpose {
        Purpose::Containers => cluster.start_containers().and_then(|()| cluster.try_container()),
        Purpose::Manifests => cluster.start_control_plane().and_then(|()| cluster.apply_each()),
        Purpose::Operations(overlay) => cluster.start().and_then(|()| operate(cluster, overlay)),
    };
    if outcome.is_err() {
        eprintln!("{}", cluster.describe());
    }
    if is_kept() {
        let fault = outcome.as_ref().map_or_else(|error| format!("{error:#}; "), |()| String::new());
        eprintln!("{fault}the cluster stays until Enter is pressed");
        // Without a terminal it ends at once.
        let _ = io::stdin().read_line(&mut String::new());
    }
    outcome
}

fn operate(cluster: &Cluster, overlay: Overlay) -> Result<()> {
    let folder = &overlay.folder();
    step("apply");
    manifests::apply(&cluster.kubectl, folder)?;
    wait_until_ready(cluster)?;
    let load = Load::start(published(cluster, "vote")?);
    load.wait_for_votes()?;
    disturb(cluster, &load)?;
    let voters = load.stop()?;
    step("count");
    let (expected, result) = (voters.expected(), published(cluster, "result")?);
    wait_until("the scores of all acknowledged votes", COUNTED_WITHIN, || {
        let scores = scores(result)?;
        ensure!(scores == expected, "{scores:?} in place of {expected:?}");
        Ok(())
    })?;
    eprintln!(
        "{} votes of {} voters acknowledged, {} tried again; scores {} and {} as expected",
        voters.acknowledged,
        voters.count(),
        voters.repeated,
        expected.0,
        expected.1
    );
    workloads::check_restarts(&cluster.kubectl)?;
    step("remove");
    manifests::remove(&cluster.kubectl, folder)
}

fn disturb(cluster: &Cluster, load: &Load) -> Result<()> {
    for workload in ["vote", "worker", "store"] {
        step(&format!("kill a pod of {workload}"));
        let pod = workloads::pod(&cluster.kubectl, workload)?;
        let kill = ["delete", "pod", &pod, "--namespace", NAMESPACE, "--now"];
        cluster.kubectl.run_within(READY_WITHIN, &kill)?;
        settle(cluster, load)?;
    }
    step("roll out");
    cluster.kubectl.run(&["rollout", "restart", "deployment/vote", "--namespace", NAMESPACE])?;
    let limit = READY_WITHIN.as_secs();
    let status = ["rollout", "status", "deployment/vote", "--namespace", NAMESPACE];
    let limit = format!("--timeout={limit}s");
    cluster.kubectl.run_within(2 * READY_WITHIN, &[&status[..], &[&limit]].concat())?;
    settle(cluster, load)?;
    let before = workloads::replicas(&cluster.kubectl, "vote")?;
    for replicas in [before + 1, before] {
        step(&format!("scale to {replicas}"));
        let replicas = format!("--replicas={replicas}");
        cluster.kubectl.run(&["scale", "deployment/vote", "--namespace", NAMESPACE, &replicas])?;
        settle(cluster, load)?;
    }
    drain(cluster)?;
    settle(cluster, load)
}

/// Drains the only node: what a budget protects stays, everything else waits until it may come back.
fn drain(cluster: &Cluster) -> Result<()> {
    step("drain");
    let limit = format!("--timeout={}s", DRAIN.as_secs());
    let drain = ["drain", NODE_NAME, "--ignore-daemonsets", "--delete-emptydir-data", &limit];
    let outcome = cluster.kubectl.attempt(2 * DRAIN, &drain);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    ensure!(outcome.success || said.contains(BUDGET), "the drain failed: {said}");
    workloads::check_budgets(&cluster.kubectl)?;
    cluster.kubectl.run(&["uncordon", NODE_NAME]).map(drop)
}

/// Waits until everything is as it should be, and people vote.
fn settle(cluster: &Cluster, load: &Load) -> Result<()> {
    wait_until_ready(cluster)?;
    load.wait_for_votes()
}

fn wait_until_ready(cluster: &Cluster) -> Result<()> {
    wait_until("the application's readiness", READY_WITHIN, || {
        volumes::provide(&cluster.kubectl, NAMESPACE, &cluster.volumes())?;
        check_all(&cluster.kubectl)
    })
}

/// The address of a Service.
fn published(cluster: &Cluster, name: &str) -> Result<SocketAddrV4> {
    let directory = cluster.directory.as_ref().context("the cluster has been started")?;
    wait_until(&format!("the Service {name}"), READY_WITHIN, || {
        let service = directory.service(NAMESPACE, name).context("it is not there")?;
        let number = service.ports.get(PORT).with_context(|| format!("it has no port {PORT}"))?;
        ensure!(!service.behind(PORT).is_empty(), "no pod is ready");
        let address = service.address.context("it has no address")?;
        Ok(SocketAddrV4::new(address, *number))
    })
}

fn scores(result: SocketAddrV4) -> Result<(u64, u64)> {
    let (status, body) = ask(result, &get("/api/scores"))?;
    ensure!(status == 200, "the result page answers {status}");
    let scores: Value = serde_json::from_str(&body).context("scores are JSON")?;
    let count =
        |choice: &str| scores[choice].as_u64().with_context(|| format!("no number of {choice} in {body}"));
    Ok((count("a")?, count("b")?))
}

fn step(what: &str) {
    eprintln!("== {what}");
}
