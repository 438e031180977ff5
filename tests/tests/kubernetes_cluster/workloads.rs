//! Whether what the application consists of is there: as many pods as asked for, of the newest form, and ready.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::kubectl::Kubectl;
use crate::overlay::NAMESPACE;

/// What every overlay has.
const EXPECTED: [&str; 4] = ["result", "store", "vote", "worker"];

/// Whether all of it is ready.
///
/// # Errors
/// With the names of those that are not.
pub fn check_all(kubectl: &Kubectl) -> Result<()> {
    let all = kubectl.get(&["deployments,statefulsets", "--namespace", NAMESPACE])?;
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = all.iter().map(name).collect();
    for expected in EXPECTED {
        ensure!(names.iter().any(|name| name == expected), "{expected} is not among {names:?}");
    }
    let unready: Vec<String> = all.iter().filter(|item| !is_ready(item)).map(name).collect();
    ensure!(unready.is_empty(), "not ready: {}", unready.join(", "));
    Ok(())
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
    let is_running =
        |pod: &&Value| pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null();
    match pods.iter().filter(is_of).find(is_running).and_then(|pod| pod["metadata"]["name"].as_str()) {
        Some(name) => Ok(name.to_owned()),
        None => bail!("{workload} has no pod that runs"),
    }
}

/// Whether each disruption budget is kept.
///
/// # Errors
/// With the first that is not.
pub fn check_budgets(kubectl: &Kubectl) -> Result<()> {
    for budget in kubectl.get(&["poddisruptionbudgets", "--namespace", NAMESPACE])? {
        let status = &budget["status"];
        let count = |name: &str| status[name].as_u64().unwrap_or_default();
        let (healthy, desired) = (count("currentHealthy"), count("desiredHealthy"));
        ensure!(healthy >= desired, "{} has {healthy} of {desired} healthy pods", budget["metadata"]["name"]);
    }
    Ok(())
}
