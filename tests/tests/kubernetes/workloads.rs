//! What every pod and every machine has: probes, limits, a budget of disruptions, time to drain.

use serde_json::{Value, json};

use crate::rendered::{Manifests, overlay, overlays};
use crate::selector::selects;
use crate::workload::Workload;

/// What a service takes to stop: 0.5 s of notice, 3 s to drain, and 0.5 s to tell who waits for that
/// (docs/operating.md, "Stopping").
const DRAIN_S: u64 = 4;
const MIB: u64 = 1 << 20;

/// The number of the port that a probe asks, and the path.
fn asked<'a>(workload: Workload<'a>, probe: &str) -> (u64, &'a str) {
    let get = &workload.probed()[probe]["httpGet"];
    let port = &get["port"];
    let number = port.as_u64().unwrap_or_else(|| workload.ports()[port.as_str().expect("a port")]);
    (number, get["path"].as_str().expect("a path"))
}

fn autoscaler<'a>(manifests: &'a Manifests, name: &str) -> Option<&'a Value> {
    manifests.find("HorizontalPodAutoscaler", name)
}

fn bytes(quantity: &Value) -> u64 {
    let text = quantity.as_str().expect("a quantity").strip_suffix("Mi").expect("in MiB");
    text.parse::<u64>().expect("a number") * MIB
}

/// How many disruptions a budget allows when all are there.
fn allowed(budget: &Value, replicas: u64) -> u64 {
    let least = &budget["spec"]["minAvailable"];
    let share = |text: &str| {
        let percent: u64 = text.strip_suffix('%').expect("a share").parse().expect("a number");
        (replicas * percent).div_ceil(100)
    };
    replicas - least.as_u64().unwrap_or_else(|| share(least.as_str().expect("a share")))
}

#[test]
fn the_services_of_an_overlay_are_these() {
    for (name, manifests) in overlays() {
        let mut found: Vec<(&str, &str)> = manifests
            .workloads()
            .iter()
            .map(|workload| (workload.0["kind"].as_str().expect("a kind"), workload.name()))
            .collect();
        found.sort_by_key(|(_, name)| *name);
        let three = ["result", "vote", "worker"].map(|name| ("Deployment", name));
        let expected = match name.as_str() {
            "kubevirt" => vec![
                ("VirtualMachineInstanceReplicaSet", "result"),
                ("VirtualMachine", "store"),
                ("VirtualMachineInstanceReplicaSet", "vote"),
                ("VirtualMachine", "worker-1"),
                ("VirtualMachine", "worker-2"),
            ],
            "scale" | "urunc" => three.to_vec(),
            _ => vec![three[0], ("StatefulSet", "store"), three[1], three[2]],
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn probes_ask_the_port_of_health() {
    for (name, manifests) in overlays() {
        for workload in manifests.workloads() {
            let health = workload.ports()["health"];
            assert_eq!(asked(workload, "readinessProbe"), (health, "/readyz"), "{name}: {}", workload.name());
            assert_eq!(asked(workload, "livenessProbe"), (health, "/healthz"), "{name}: {}", workload.name());
            if !workload.is_machine() {
                assert_eq!(asked(workload, "startupProbe"), (health, "/healthz"), "{name}");
            }
        }
    }
}

#[test]
fn memory_is_limited_to_what_is_asked_for_and_holds_the_guest() {
    for (name, manifests) in overlays() {
        for workload in manifests.workloads() {
            let guest_mib = if workload.service() == "store" { 64 } else { 32 };
            if workload.is_machine() {
                let domain = &workload.spec()["domain"];
                assert_eq!(bytes(&domain["memory"]["guest"]), guest_mib * MIB, "{name}: {}", workload.name());
                assert!(domain["resources"]["requests"]["cpu"].is_string(), "{name}");
                continue;
            }
            let resources = &workload.container()["resources"];
            let (asked, limits) = (&resources["requests"], &resources["limits"]);
            assert_eq!(asked["memory"], limits["memory"], "{name}: {}", workload.name());
            assert!(asked["cpu"].is_string() && limits["cpu"].is_null(), "{name}: {}", workload.name());
            // Beside its guest, the runner wants 64 MiB for QEMU: runner/src/machine.rs.
            let beside_mib = if name.starts_with("runner") { 64 } else { 0 };
            assert!(
                bytes(&limits["memory"]) >= (guest_mib + beside_mib) * MIB,
                "{name}: {}",
                workload.name()
            );
        }
    }
}

#[test]
fn one_budget_is_about_each_service_and_lets_nodes_be_drained() {
    for (name, manifests) in overlays() {
        for workload in manifests.workloads() {
            let is_about = |budget: &&Value| selects(&budget["spec"]["selector"], workload.labels());
            let budgets: Vec<&Value> = manifests.of_kind("PodDisruptionBudget").filter(is_about).collect();
            assert_eq!(budgets.len(), 1, "{name}: {}", workload.name());
            let alike =
                manifests.workloads().into_iter().filter(|other| other.service() == workload.service());
            let replicas =
                alike.map(|workload| workload.replicas(autoscaler(manifests, workload.name()))).sum();
            let allowed = allowed(budgets[0], replicas);
            assert!(allowed >= 1, "{name}: {} could never be moved", workload.name());
            assert!(allowed < replicas || workload.service() == "store", "{name}: {}", workload.name());
        }
        for budget in manifests.of_kind("PodDisruptionBudget") {
            let is_meant = |workload: &Workload<'_>| selects(&budget["spec"]["selector"], workload.labels());
            assert!(manifests.workloads().iter().any(is_meant), "{name}: {}", budget["metadata"]["name"]);
        }
    }
}

#[test]
fn selectors_take_the_pods_of_their_own_service_alone() {
    for (name, manifests) in overlays() {
        for workload in manifests.workloads().iter().filter(|found| !found.0["spec"]["selector"].is_null()) {
            for other in manifests.workloads() {
                let is_taken = selects(&workload.0["spec"]["selector"], other.labels());
                assert_eq!(is_taken, workload.name() == other.name(), "{name}: {}", workload.name());
            }
        }
    }
}

#[test]
fn replicas_spread_over_nodes() {
    for (name, manifests) in overlays() {
        for workload in manifests.workloads() {
            let constraints = workload.spec()["topologySpreadConstraints"].as_array().expect("constraints");
            let of_node = constraints.iter().find(|found| found["topologyKey"] == "kubernetes.io/hostname");
            let of_node = of_node.unwrap_or_else(|| panic!("{name}: {}", workload.name()));
            assert!(selects(&of_node["labelSelector"], workload.labels()), "{name}: {}", workload.name());
            // Those of one service are counted, and not all of the application.
            let keys = of_node["matchLabelKeys"].as_array().expect("keys");
            assert!(keys.contains(&"app.kubernetes.io/name".into()), "{name}: {}", workload.name());
        }
    }
}

#[test]
fn vote_and_result_grow_with_their_load_and_nobody_else_sets_their_number() {
    for (name, manifests) in overlays() {
        for service in ["vote", "result"] {
            let autoscaler = autoscaler(manifests, service).expect("an autoscaler");
            let target = &autoscaler["spec"]["scaleTargetRef"];
            let workload = manifests.workload(target["name"].as_str().expect("a name"));
            for field in ["kind", "apiVersion"] {
                assert_eq!(target[field], workload.0[field], "{name}: {service}");
            }
            assert!(workload.0["spec"]["replicas"].is_null(), "{name}: {service}");
            let limits = ["minReplicas", "maxReplicas"].map(|field| autoscaler["spec"][field].as_u64());
            assert!(Some(2) <= limits[0] && limits[0] < limits[1], "{name}: {service}: {limits:?}");
        }
        let workers: u64 = manifests
            .workloads()
            .iter()
            .filter(|workload| workload.service() == "worker")
            .map(|workload| workload.replicas(None))
            .sum();
        assert!(workers >= 2, "{name}");
    }
    let number = |name| overlay(name).workload("worker").replicas(None);
    assert!(number("scale") > number("containers"));
}

#[test]
fn there_is_time_to_leave_the_endpoints_and_to_drain() {
    for (name, manifests) in overlays() {
        for workload in manifests.workloads() {
            let grace_s = workload.spec()["terminationGracePeriodSeconds"].as_u64().expect("a time");
            // A hook that is a request waits as long as the guest drains.
            let before_s = if workload.is_machine() || workload.is_urunc() {
                0
            } else {
                workload.container()["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().expect("a pause")
            };
            assert!(before_s + DRAIN_S < grace_s, "{name}: {}", workload.name());
        }
    }
}

#[test]
fn urunc_s_guests_are_asked_to_drain_on_a_port_that_pods_do_not_reach() {
    for workload in overlay("urunc").workloads() {
        let name = workload.name();
        let hook = &workload.container()["lifecycle"]["preStop"];
        assert!(hook["sleep"].is_null(), "{name}: a hook is one thing");
        assert_eq!(hook["httpGet"]["path"], "/stop/drain", "{name}");
        assert_eq!(hook["httpGet"]["port"], "health", "{name}");
        assert!(workload.ports().contains_key("health"), "{name}");
        let token = workload.settings()["STOP_TOKEN"];
        let header = json!({"name": "Authorization", "value": format!("Bearer {token}")});
        assert_eq!(hook["httpGet"]["httpHeaders"], json!([header]), "{name}");
    }
}

#[test]
fn the_store_keeps_its_data_in_a_volume() {
    for name in ["containers", "runner", "runner-kvm"] {
        let store = overlay(name).workload("store");
        let claim = &store.0["spec"]["volumeClaimTemplates"][0];
        let mount = &store.container()["volumeMounts"][0];
        assert_eq!((&claim["metadata"]["name"], &mount["mountPath"]), (&mount["name"], &"/data".into()));
        // A program has a file there, and a runner's guest a disk whose name the runner chooses.
        let expected = if name == "containers" { "/data/store.img" } else { "/data" };
        assert_eq!(store.settings()["DATA"], expected, "{name}");
        assert_eq!(store.replicas(None), 1);
    }
    let store = overlay("kubevirt").workload("store").spec();
    let (volume, disk) = (&store["volumes"][0], &store["domain"]["devices"]["disks"][0]);
    assert_eq!(volume["name"], disk["name"]);
    let claim = volume["persistentVolumeClaim"]["claimName"].as_str().expect("a claim");
    assert!(overlay("kubevirt").find("PersistentVolumeClaim", claim).is_some());
}

#[test]
fn kvm_is_a_device_that_a_plugin_hands_out() {
    for workload in overlay("runner-kvm").workloads() {
        assert_eq!(workload.container()["resources"]["limits"]["devices.kubevirt.io/kvm"], 1);
        assert_eq!(workload.settings()["ACCEL"], "kvm");
    }
    assert!(overlay("runner").workloads().iter().all(|workload| !workload.settings().contains_key("ACCEL")));
}
