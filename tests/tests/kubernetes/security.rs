//! What pods may do, and where secrets are.

use serde_json::{Value, json};

use crate::rendered::{Manifests, RESTRICTED, overlay, overlays};
use crate::restricted::violations;
use crate::workload::ELSEWHERE;

/// Settings that only a Secret may hold.
const SECRETS: [&str; 4] = ["REDIS_URL", "RESULTS_URL", "REQUIREPASS", "STOP_TOKEN"];
/// The Secret that people make themselves where the data are managed elsewhere.
const ADDRESSES: &str = "addresses";
const LEVEL: &str = "pod-security.kubernetes.io/enforce";
const WARNED: &str = "pod-security.kubernetes.io/warn";

fn label<'a>(manifests: &'a Manifests, label: &str) -> &'a Value {
    let namespace = manifests.find("Namespace", "voting-app").expect("a namespace");
    &namespace["metadata"]["labels"][label]
}

#[test]
fn pods_are_restricted_where_their_namespace_demands_it() {
    for (name, manifests) in overlays() {
        let expected = match name.as_str() {
            "urunc" => "baseline",
            "kubevirt" => "privileged",
            _ => "restricted",
        };
        assert_eq!(label(manifests, LEVEL), expected, "{name}");
        // The API warns of a Deployment whose pods it would take, if this level is another.
        let warned = label(manifests, WARNED).as_str();
        assert_eq!(warned, Some(expected).filter(|level| *level != "privileged"), "{name}");
        assert_eq!(RESTRICTED.contains(&name.as_str()), expected == "restricted", "{name}");
    }
    for name in RESTRICTED {
        for workload in overlay(name).workloads() {
            assert_eq!(violations(workload.spec()), [""; 0], "{name}: {}", workload.name());
            let context = &workload.spec()["securityContext"];
            assert_eq!((&context["runAsUser"], &context["fsGroup"]), (&json!(65534), &json!(65534)));
            assert_eq!(workload.container()["securityContext"]["readOnlyRootFilesystem"], true);
        }
    }
}

#[test]
fn what_is_not_restricted_is_found() {
    let vote = overlay("containers").workload("vote").spec();
    let with = |pointer: &str, value: Value| {
        let mut pod = vote.clone();
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        pod.pointer_mut(parent).expect("it is there")[field] = value;
        violations(&pod)
    };
    assert_eq!(with("/hostNetwork", json!(true)), ["hostNetwork"]);
    assert_eq!(with("/volumes", json!([{"name": "a", "hostPath": {"path": "/"}}])), ["hostPath"]);
    assert_eq!(with("/securityContext/runAsNonRoot", Value::Null), ["runAsNonRoot"]);
    assert_eq!(with("/securityContext/runAsUser", json!(0)), ["runAsUser"]);
    assert_eq!(with("/securityContext/seccompProfile", json!({"type": "Unconfined"})), ["seccompProfile"]);
    let own = "/containers/0/securityContext";
    assert_eq!(with(&format!("{own}/privileged"), json!(true)), ["privileged"]);
    assert_eq!(with(&format!("{own}/allowPrivilegeEscalation"), Value::Null), ["allowPrivilegeEscalation"]);
    assert_eq!(with(&format!("{own}/capabilities"), json!({})), ["capabilities.drop"]);
    let added = json!({"drop": ["ALL"], "add": ["NET_ADMIN"]});
    assert_eq!(with(&format!("{own}/capabilities"), added), ["capabilities.add"]);
    assert_eq!(with("/containers/0/ports/0/hostPort", json!(80)), ["hostPort"]);
}

#[test]
fn no_pod_gets_a_token_of_the_cluster_or_names_of_its_services() {
    for (name, manifests) in overlays() {
        for workload in manifests.workloads().into_iter().filter(|workload| !workload.is_machine()) {
            let pod = workload.spec();
            // The service `worker` would set WORKER_PORT, which is a setting of ours.
            assert_eq!(pod["enableServiceLinks"], false, "{name}: {}", workload.name());
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}: {}", workload.name());
        }
    }
}

#[test]
fn secrets_are_in_secrets_alone() {
    for (name, manifests) in overlays() {
        for map in manifests.of_kind("ConfigMap") {
            let data = map["data"].as_object().expect("data");
            assert!(data.keys().all(|key| !SECRETS.contains(&key.as_str())), "{name}: {map}");
        }
        for workload in manifests.workloads() {
            for secret in SECRETS {
                let value = workload.settings().get(secret).copied().unwrap_or(ELSEWHERE);
                // A machine of KubeVirt gets no Secret; what is written there has no password.
                let is_open = workload.is_machine() && !value.contains('@');
                // Kubernetes lets no header of a hook come from a Secret.
                let is_open = is_open || (workload.is_urunc() && secret == "STOP_TOKEN");
                assert!(value == ELSEWHERE || is_open, "{name}: {}: {secret}={value}", workload.name());
            }
        }
    }
}

#[test]
fn only_who_writes_or_shows_results_knows_where_they_are() {
    for (name, manifests) in overlays() {
        for workload in manifests.workloads().into_iter().filter(|workload| !workload.is_machine()) {
            let knows = |setting| workload.settings().contains_key(setting);
            let service = workload.service();
            assert_eq!(knows("RESULTS_URL"), ["worker", "result"].contains(&service), "{name}: {service}");
            assert_eq!(knows("REDIS_URL"), service != "store", "{name}: {service}");
        }
    }
}

#[test]
fn what_pods_take_from_secrets_and_maps_is_there() {
    for (name, manifests) in overlays() {
        let is_managed = manifests.find("StatefulSet", "store").is_none();
        for workload in manifests.workloads().into_iter().filter(|workload| !workload.is_machine()) {
            for entry in workload.container()["env"].as_array().expect("settings") {
                let wanted = &entry["valueFrom"]["secretKeyRef"];
                let Some(secret) = wanted["name"].as_str() else { continue };
                let Some(found) = manifests.find("Secret", secret) else {
                    assert!(is_managed && secret == ADDRESSES, "{name}: there is no Secret {secret}");
                    assert_ne!(wanted["optional"], true, "{name}: nobody would miss {wanted}");
                    continue;
                };
                let key = wanted["key"].as_str().expect("a key");
                assert!(wanted["optional"] == true || !found["data"][key].is_null(), "{name}: {wanted}");
            }
            for entry in workload.container()["envFrom"].as_array().into_iter().flatten() {
                let map = entry["configMapRef"]["name"].as_str().expect("a name");
                assert!(manifests.find("ConfigMap", map).is_some(), "{name}: there is no ConfigMap {map}");
            }
        }
    }
}
