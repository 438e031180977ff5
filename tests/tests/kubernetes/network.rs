//! The network policies let exactly those talk that have to.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::reachability::{Peer, Port, is_allowed};
use crate::rendered::{Manifests, overlay, overlays};

/// What others listen on, of which something may be reached.
const OUTSIDE_PORTS: [u64; 4] = [53, 443, 5432, 6379];

fn policies(manifests: &Manifests) -> Vec<&Value> {
    manifests.of_kind("NetworkPolicy").collect()
}

/// All that may talk, as `FROM > TO:PORT`.
fn allowed(manifests: &Manifests, policies: &[&Value]) -> BTreeSet<String> {
    let (prometheus, dns, none) = (json!({}), json!({"k8s-app": "kube-dns"}), json!({}));
    let foreign = |namespace, labels| Peer::Foreign { namespace, labels };
    let workloads = manifests.workloads();
    let ours = || workloads.iter().map(|workload| (workload.service(), Peer::Workload(*workload)));
    let others = [
        ("outside", Peer::Outside),
        ("monitoring", foreign("monitoring", &prometheus)),
        ("dns", foreign("kube-system", &dns)),
        ("another", foreign("another", &none)),
    ];
    let mut found = BTreeSet::new();
    let mut look = |from: (&str, Peer<'_>), to: (&str, Peer<'_>), port: Port<'_>| {
        if is_allowed(policies, from.1, to.1, port) {
            found.insert(format!("{} > {}:{}", from.0, to.0, port.name));
        }
    };
    for from in ours().chain(others) {
        for workload in &workloads {
            for (name, number) in workload.ports() {
                let to = (workload.service(), Peer::Workload(*workload));
                look(from, to, Port { name, number, protocol: "TCP" });
            }
        }
    }
    for from in ours() {
        for to in others {
            for number in OUTSIDE_PORTS {
                look(from, to, Port { name: &number.to_string(), number, protocol: "TCP" });
            }
            look(from, to, Port { name: "53/udp", number: 53, protocol: "UDP" });
        }
    }
    found
}

fn expected(pairs: &[(&[&str], &[&str])]) -> BTreeSet<String> {
    let all =
        pairs.iter().flat_map(|(from, to)| from.iter().flat_map(|from| to.iter().map(move |to| (from, to))));
    all.map(|(from, to)| format!("{from} > {to}")).collect()
}

const OTHERS: [&str; 4] = ["outside", "monitoring", "dns", "another"];
const PAGES: [&str; 2] = ["vote:http", "result:http"];
const NAMES: [&str; 2] = ["dns:53", "dns:53/udp"];

#[test]
fn with_a_store_its_three_clients_reach_it_and_others_reach_the_pages() {
    let expected = expected(&[
        (&["vote", "result", "worker"], &["store:redis"]),
        (&["vote", "result", "worker", "store"], &NAMES),
        (&OTHERS, &PAGES),
        (&["monitoring"], &["vote:health", "result:health", "worker:health", "store:health"]),
    ]);
    for name in ["containers", "runner", "runner-kvm", "kubevirt"] {
        assert_eq!(allowed(overlay(name), &policies(overlay(name))), expected, "{name}");
    }
}

#[test]
fn without_a_store_the_services_reach_what_is_managed_elsewhere() {
    let places = |port| OTHERS.map(|place| format!("{place}:{port}"));
    let (queues, results) = (places(6379), places(5432));
    let expected = expected(&[
        (&["vote", "result", "worker"], &queues.each_ref().map(String::as_str)),
        (&["result", "worker"], &results.each_ref().map(String::as_str)),
        (&["vote", "result", "worker"], &NAMES),
        (&OTHERS, &PAGES),
        (&["monitoring"], &["vote:health", "result:health", "worker:health"]),
    ]);
    for name in ["scale", "urunc"] {
        assert_eq!(allowed(overlay(name), &policies(overlay(name))), expected, "{name}");
    }
}

#[test]
fn each_policy_is_needed() {
    for (name, manifests) in overlays() {
        let all = policies(manifests);
        let before = allowed(manifests, &all);
        for at in 0..all.len() {
            let mut fewer = all.clone();
            let gone = fewer.remove(at);
            // Of those that name what is allowed; without any the rest would be free.
            if gone["metadata"]["name"] != "default-deny" {
                assert_ne!(allowed(manifests, &fewer), before, "{name}: {}", gone["metadata"]["name"]);
            }
        }
        let denied = all.iter().find(|policy| policy["metadata"]["name"] == "default-deny");
        assert!(allowed(manifests, &[denied.expect("a policy")]).is_empty(), "{name}");
        assert!(allowed(manifests, &[]).contains("outside > worker:health"), "{name}");
    }
}
