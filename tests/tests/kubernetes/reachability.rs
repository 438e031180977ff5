//! Who may open a connection to whom, as network policies say together.
//!
//! Reference: Kubernetes' API `networking.k8s.io/v1`, NetworkPolicy. Policies add up; a pod that none selects for a
//! direction is free in it. Address blocks are not understood, as no policy here has one.

use serde_json::{Value, json};

use crate::selector::selects;
use crate::workload::Workload;

/// The namespace that the policies are in.
const NAMESPACE: &str = "voting-app";

/// One end of a connection.
#[derive(Clone, Copy)]
pub enum Peer<'a> {
    /// Pods of ours.
    Workload(Workload<'a>),
    /// Pods with these labels in another namespace.
    Foreign { namespace: &'a str, labels: &'a Value },
    /// An address outside of the cluster.
    Outside,
}

/// A port of the end that listens, with its name if it has one.
#[derive(Clone, Copy)]
pub struct Port<'a> {
    pub name: &'a str,
    pub number: u64,
    pub protocol: &'a str,
}

/// Whether the policies let `from` reach this port of `to`.
pub fn is_allowed(policies: &[&Value], from: Peer<'_>, to: Peer<'_>, port: Port<'_>) -> bool {
    let leaves = is_open(policies, from, "Egress", |rule| matches(rule, "to", to, port));
    leaves && is_open(policies, to, "Ingress", |rule| matches(rule, "from", from, port))
}

/// Whether the policies about `this` end of a connection let it pass in a direction.
fn is_open(
    policies: &[&Value],
    this: Peer<'_>,
    direction: &str,
    is_matched: impl Fn(&Value) -> bool,
) -> bool {
    let Peer::Workload(workload) = this else { return true };
    let is_about = |policy: &&&Value| {
        let directions = policy["spec"]["policyTypes"].as_array().expect("directions");
        directions.iter().any(|found| found == direction)
            && selects(&policy["spec"]["podSelector"], workload.labels())
    };
    let about: Vec<&Value> = policies.iter().filter(is_about).copied().collect();
    let rules =
        |policy: &&Value| policy["spec"][direction.to_lowercase()].as_array().cloned().unwrap_or_default();
    about.is_empty() || about.iter().flat_map(rules).any(|rule| is_matched(&rule))
}

fn matches(rule: &Value, side: &str, peer: Peer<'_>, port: Port<'_>) -> bool {
    let is_any = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
    (is_any(&rule[side]) || all(&rule[side]).iter().any(|wanted| is_peer(wanted, peer)))
        && (is_any(&rule["ports"]) || all(&rule["ports"]).iter().any(|wanted| is_port(wanted, port)))
}

fn is_peer(wanted: &Value, peer: Peer<'_>) -> bool {
    assert!(wanted["ipBlock"].is_null(), "address blocks are not understood: {wanted}");
    let (namespace, labels) = match peer {
        Peer::Outside => return false,
        Peer::Workload(workload) => (NAMESPACE, workload.labels()),
        Peer::Foreign { namespace, labels } => (namespace, labels),
    };
    let is_namespace = match &wanted["namespaceSelector"] {
        Value::Null => namespace == NAMESPACE,
        selector => selects(selector, &json!({"kubernetes.io/metadata.name": namespace})),
    };
    is_namespace && selects(&wanted["podSelector"], labels)
}

fn is_port(wanted: &Value, port: Port<'_>) -> bool {
    let is_protocol = wanted["protocol"].as_str().unwrap_or("TCP") == port.protocol;
    is_protocol && (wanted["port"] == port.name || wanted["port"] == port.number)
}
