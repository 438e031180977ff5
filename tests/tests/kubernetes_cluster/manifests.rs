//! Overlays at the API: it takes each without a warning, and the controllers may make its pods.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::kubectl::Kubectl;
use crate::overlay::{NAMESPACE, OVERLAYS_FOLDER};
use crate::waiting::wait_until;

/// The API answers in this time when it takes or removes one.
const APPLIED_WITHIN: Duration = Duration::from_secs(120);
const REMOVED_WITHIN: Duration = Duration::from_secs(180);
const MADE_WITHIN: Duration = Duration::from_secs(60);
/// What watches the application.
const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
/// Kinds of others that overlays use: group, version, plural, kind.
const OTHERS: [(&str, &str, &str, &str); 3] = [
    ("kubevirt.io", "v1", "virtualmachines", "VirtualMachine"),
    ("kubevirt.io", "v1", "virtualmachineinstancereplicasets", "VirtualMachineInstanceReplicaSet"),
    ("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor"),
];
/// The class of pods that urunc starts.
const CLASS: &str = "urunc";

/// Applies an overlay. A warning of the API is an error: it says that something is not as Kubernetes means it.
///
/// # Errors
/// When the API refuses it, or warns.
pub fn apply(kubectl: &Kubectl, folder: &Path) -> Result<()> {
    kubectl
        .run_within(APPLIED_WITHIN, &["apply", "--warnings-as-errors", "--kustomize", text(folder)?])
        .map(drop)
}

/// Removes an overlay, and waits until nothing of it is left.
///
/// # Errors
/// When something stays.
pub fn remove(kubectl: &Kubectl, folder: &Path) -> Result<()> {
    // With its namespace, the rest goes by itself, and kubectl may come late.
    let delete = ["delete", "--ignore-not-found", "--kustomize", text(folder)?];
    kubectl.run_within(REMOVED_WITHIN, &delete)?;
    wait_until("the end of the namespace", REMOVED_WITHIN, || {
        let namespaces = kubectl.get(&["namespaces"])?;
        let is_there = namespaces.iter().any(|namespace| namespace["metadata"]["name"] == NAMESPACE);
        ensure!(!is_there, "{NAMESPACE} is still there");
        Ok(())
    })
}

/// Applies and removes one overlay after the other, each with what watches it.
///
/// # Errors
/// With the first that is refused, or whose pods are.
pub fn apply_each(kubectl: &Kubectl, folder: &Path) -> Result<()> {
    provide_others(kubectl, folder)?;
    for overlay in overlays()? {
        eprintln!("== {}", overlay.display());
        apply(kubectl, &overlay)?;
        apply(kubectl, Path::new(MONITORING))?;
        wait_until("the pods of all workloads", MADE_WITHIN, || check_made(kubectl))?;
        remove(kubectl, &overlay)?;
    }
    Ok(())
}

/// All that there are.
fn overlays() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(OVERLAYS_FOLDER).context("the folder of overlays")?;
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>().context("the folder of overlays")?;
    folders.sort();
    ensure!(!folders.is_empty(), "there is no overlay in {OVERLAYS_FOLDER}");
    Ok(folders)
}

/// Kinds that others define, of any content, and the class that urunc's installation makes.
fn provide_others(kubectl: &Kubectl, folder: &Path) -> Result<()> {
    let class = json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": { "name": CLASS }, "handler": CLASS,
    });
    let items: Vec<Value> = OTHERS.map(definition).into_iter().chain([class]).collect();
    let file = folder.join("others.json");
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    fs::write(&file, list.to_string()).context("no room for a file")?;
    kubectl.run(&["create", "--filename", text(&file)?])?;
    let wait = ["wait", "customresourcedefinitions", "--all", "--for", "condition=Established"];
    kubectl.run(&wait).map(drop)
}

fn definition((group, version, plural, kind): (&str, &str, &str, &str)) -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let version = json!({
        "name": version, "served": true, "storage": true, "schema": { "openAPIV3Schema": schema },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": kind, "plural": plural },
            "versions": [version],
        },
    })
}

/// Whether each workload has its pods. There is no node that they could run on, but the API may refuse them.
fn check_made(kubectl: &Kubectl) -> Result<()> {
    for workload in kubectl.get(&["deployments,statefulsets", "--namespace", NAMESPACE])? {
        let (name, made) = (&workload["metadata"]["name"], workload["status"]["replicas"].as_u64());
        let wanted = workload["spec"]["replicas"].as_u64();
        ensure!(
            made.unwrap_or_default() >= wanted.unwrap_or(1),
            "{name} has {made:?} pods of {wanted:?}: {}",
            workload["status"]["conditions"]
        );
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
