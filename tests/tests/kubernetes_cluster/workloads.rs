//! Whether what the application consists of is there: as many pods as asked for, of the newest form, and ready.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::kubectl::Kubectl;
use crate::overlay::NAMESPACE;

/// What is looked at.
const KINDS: &str = "deployments,statefulsets,horizontalpodautoscalers";
/// What every overlay has.
const EXPECTED: [&str; 4] = ["result", "store", "vote", "worker"];

/// Whether all of it is ready.
///
/// # Errors
/// With the names of those that are not.
pub fn check_all(kubectl: &Kubectl) -> Result<()> {
    let all = kubectl.get(&[KINDS, "--namespace", NAMESPACE])?;
    let (autoscalers, all): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|item| item["kind"] == "HorizontalPodAutoscaler");
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = all.iter().map(name).collect();
    for expected in EXPECTED {
        ensure!(names.iter().any(|name| name == expected), "{expected} is not among {names:?}");
    }
    let unready: Vec<String> = all.iter().filter(|item| !is_ready(item)).map(name).collect();
    ensure!(unready.is_empty(), "not ready: {}", unready.join(", "));
    let few = |autoscaler: &&Value| all.iter().any(|item| is_below(autoscaler, item));
    let few: Vec<String> = autoscalers.iter().filter(few).map(name).collect();
    ensure!(few.is_empty(), "not yet scaled to their minimum: {}", few.join(", "));
    Ok(())
}

/// Whether an autoscaler has still to ask this workload for its minimum. It does that without any metric.
pub fn is_below(autoscaler: &Value, item: &Value) -> bool {
    let target = &autoscaler["spec"]["scaleTargetRef"];
    let is_meant = target["kind"] == item["kind"] && target["name"] == item["metadata"]["name"];
    let minimum = autoscaler["spec"]["minReplicas"].as_u64().unwrap_or(1);
    is_meant && item["spec"]["replicas"].as_u64().is_some_and(|replicas| replicas < minimum)
}

/// Whether a Deployment or StatefulSet has what its specification asks for, and nothing left over.
pub fn is_ready(item: &Value) -> bool {
    let (spec, status) = (&item["spec"], &item["status"]);
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let count = |name: &str| status[name].as_u64().unwrap_or_default();
    let is_seen = status["observedGeneration"].as_u64() >= item["metadata"]["generation"].as_u64();
    is_seen && ["replicas", "readyReplicas", "updatedReplicas"].into_iter().all(|name| count(name) == wanted)
}

/// How many replicas a Deployment is asked for.
///
/// # Errors
/// When it is not there.
pub fn replicas(kubectl: &Kubectl, deployment: &str) -> Result<u64> {
    let all = kubectl.get(&["deployments", "--namespace", NAMESPACE])?;
    let found = all.iter().find(|item| item["metadata"]["name"] == deployment);
    found
        .and_then(|item| item["spec"]["replicas"].as_u64())
        .with_context(|| format!("there is no {deployment}"))
}

/// A pod of a Deployment or StatefulSet, by its name.
///
/// # Errors
/// When it has none that runs.
pub fn pod(kubectl: &Kubectl, workload: &str) -> Result<String> {
    let pods = kubectl.get(&["pods", "--namespace", NAMESPACE])?;
    let begin = format!("{workload}-");
    let is_of = |pod: &&Value| pod["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(&begin));
    match pods
        .iter()
        .filter(is_of)
        .find(|pod| is_running(pod))
        .and_then(|pod| pod["metadata"]["name"].as_str())
    {
        Some(name) => Ok(name.to_owned()),
        None => bail!("{workload} has no pod that runs"),
    }
}

/// Whether a drain has left as many pods as each disruption budget demands. They need not be ready: their store may be
/// away.
///
/// # Errors
/// With the first budget that was not kept.
pub fn check_budgets(kubectl: &Kubectl) -> Result<()> {
    let pods = kubectl.get(&["pods", "--namespace", NAMESPACE])?;
    for budget in kubectl.get(&["poddisruptionbudgets", "--namespace", NAMESPACE])? {
        let (left, wanted) = (protected(&budget, &pods), budget["status"]["desiredHealthy"].as_u64());
        let name = &budget["metadata"]["name"];
        ensure!(left as u64 >= wanted.unwrap_or_default(), "{name} has {left} pods left of {wanted:?}");
    }
    Ok(())
}

/// How many pods run that a budget is about.
pub fn protected(budget: &Value, pods: &[Value]) -> usize {
    let labels = budget["spec"]["selector"]["matchLabels"].as_object();
    let is_meant = |pod: &&Value| {
        let mut wanted = labels.into_iter().flatten();
        wanted.all(|(name, value)| pod["metadata"]["labels"][name] == *value)
    };
    pods.iter().filter(is_meant).filter(|pod| is_running(pod)).count()
}

/// Whether the containers of all pods have run from their start on: none had too little memory, or was killed by a
/// probe.
///
/// # Errors
/// With those that were started again, and how they had ended.
pub fn check_restarts(kubectl: &Kubectl) -> Result<()> {
    let pods = kubectl.get(&["pods", "--namespace", NAMESPACE])?;
    let found: Vec<String> = pods.iter().flat_map(restarts).collect();
    ensure!(found.is_empty(), "containers were started again: {}", found.join(", "));
    Ok(())
}

/// The containers of a pod that were started again.
pub fn restarts(pod: &Value) -> Vec<String> {
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let again = statuses.filter(|status| status["restartCount"].as_u64() > Some(0));
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    again.map(|status| format!("{name} after {}", status["lastState"]["terminated"])).collect()
}

fn is_running(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
}
