//! Tests of the harness itself, which need no Kubernetes: what it writes for the components, and what it reads.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, RCODE, TYPE};

use crate::certificates::Certificates;
use crate::cgroup;
use crate::containerd::{self, Settings};
use crate::dns;
use crate::images::{self, PAUSE};
use crate::kubeconfig;
use crate::kubelet;
use crate::overlay::{Used, used_images};
use crate::requirements;
use crate::services::{self, Services};
use crate::volumes;
use crate::workloads;

/// All of them.
pub fn trials() -> Vec<Trial> {
    let checks: [(&'static str, fn()); 14] = [
        ("containerd_of_each_version_gets_the_pause_image_and_cgroupfs", containerd_configuration),
        ("the_version_of_containerd_is_told_by_its_own_words", containerd_version),
        ("certificates_are_those_of_their_users_and_of_no_others", certificates),
        ("the_kubelet_takes_old_cgroups_and_keeps_images", kubelet_configuration),
        ("images_are_called_as_manifests_call_them", image_names),
        ("an_unknown_image_is_named", unknown_image),
        ("services_have_the_pods_that_are_ready", ready_pods),
        ("names_are_those_of_services_and_of_their_pods", names),
        ("a_volume_is_for_one_claim", volume),
        ("a_workload_is_ready_when_nothing_of_it_is_old_or_left_over", readiness),
        ("autoscalers_ask_for_their_minimum_and_budgets_are_about_running_pods", autoscalers_and_budgets),
        ("a_container_that_was_started_again_is_told_with_its_end", restarts),
        ("what_is_missing_is_named_and_hierarchies_are_found", requirements_and_hierarchies),
        ("groups_of_killed_tests_are_found_and_no_others", abandoned_groups),
    ];
    checks
        .map(|(name, check)| {
            Trial::test(format!("harness::{name}"), move || {
                check();
                Ok(())
            })
        })
        .into()
}

fn containerd_configuration() {
    let settings =
        Settings { networks: "/state/cni".into(), runc: "/kube/runc".into(), snapshotter: "native" };
    for (major, version, pause) in [(1, 2, "sandbox_image"), (2, 3, "sandbox")] {
        let text = settings.configuration(major);
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            format!("version = {version}"),
            format!("{pause} = \"{PAUSE}\""),
            "conf_dir = \"/state/cni\"".to_owned(),
            "BinaryName = \"/kube/runc\"".to_owned(),
            "SystemdCgroup = false".to_owned(),
            "restrict_oom_score_adj = true".to_owned(),
            "snapshotter = \"native\"".to_owned(),
        ];
        for line in expected {
            assert!(lines.contains(&line.as_str()), "{line} is not in\n{text}");
        }
    }
}

fn containerd_version() {
    let printed = [
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", Some(1)),
        (
            "containerd github.com/containerd/containerd v1.7.27 05044ec0a9a75232cad458027ca83437aae3f4da",
            Some(1),
        ),
        (
            "containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4e490e9fbdc236c0e811ccaba3376",
            Some(2),
        ),
        ("command not found", None),
    ];
    for (text, expected) in printed {
        assert_eq!(containerd::major(text), expected, "{text}");
    }
}

/// Asks openssl, where it is: the certificates are read by what others have written.
fn certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Certificates::make(folder.path()).expect("room");
    let read = |path: &Path| fs::read_to_string(path).expect("a file");
    assert!(read(&made.token_public_key).starts_with("-----BEGIN PUBLIC KEY-----"));
    assert!(read(&made.token_key).starts_with("-----BEGIN PRIVATE KEY-----"));
    let config = kubeconfig::content(&made.authority, &made.scheduler);
    assert_eq!(config["users"][0]["user"]["client-key"], json!(made.scheduler.key));
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://10.99.0.1:6443");
    let openssl = |arguments: &[&str], path: &Path| {
        let output = std::process::Command::new("openssl").args(arguments).arg(path).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let authority = made.authority.to_str().expect("UTF-8").to_owned();
    for identity in [&made.api, &made.administrator, &made.node, &made.kubelet] {
        let verified = openssl(&["verify", "-CAfile", &authority], &identity.certificate);
        assert!(verified.is_err() || verified.is_ok_and(|text| text.contains(": OK")), "{identity:?}");
    }
    if let Ok(text) = openssl(&["x509", "-noout", "-text", "-in"], &made.node.certificate) {
        assert!(text.contains("system:nodes") && text.contains("system:node:node"), "{text}");
    }
    if let Ok(text) = openssl(&["x509", "-noout", "-text", "-in"], &made.api.certificate) {
        assert!(text.contains("IP Address:10.97.0.1") && text.contains("kubernetes.default.svc"), "{text}");
    }
}

fn kubelet_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Certificates::make(folder.path()).expect("room");
    let text = kubelet::configuration(Path::new("/state"), "test-1", &made);
    assert_eq!(text["cgroupRoot"], "/test-1");
    assert_eq!(text["failCgroupV1"], false);
    assert_eq!(text["imageGCHighThresholdPercent"], 100);
    assert_eq!(text["authentication"]["anonymous"]["enabled"], false);
    assert_eq!(text["clusterDNS"], json!(["10.99.0.1"]));
}

fn image_names() {
    let manifests = "      - image: voting-app/vote-service:0.1.0\n        image: \"registry.example:5000/worker@sha256:1\"\n\
                     image: store-service\n";
    let used = used_images(manifests).expect("known images");
    let names: Vec<(&str, &str)> = used.iter().map(|used| (used.reference.as_str(), used.package)).collect();
    let expected = [
        ("docker.io/library/store-service:latest", "store-service"),
        ("docker.io/voting-app/vote-service:0.1.0", "vote-service"),
        ("registry.example:5000/worker@sha256:1", "worker"),
    ];
    assert_eq!(names, expected);
    let named =
        |name: &str| json!({ "digest": name, "annotations": { "org.opencontainers.image.ref.name": name } });
    let index = json!({ "schemaVersion": 2, "manifests": [named("vote-service"), named("echo")] });
    let renamed = images::renamed(&index, &used);
    let expected = json!([{
        "digest": "vote-service",
        "annotations": { "io.containerd.image.name": "docker.io/voting-app/vote-service:0.1.0" },
    }]);
    assert_eq!(renamed["manifests"], expected);
    assert_eq!(renamed["schemaVersion"], 2);
}

fn unknown_image() {
    let error = used_images("image: busybox:1").expect_err("not ours").to_string();
    assert_eq!(error, "the overlay uses busybox:1, which `cargo image oci` does not make");
    assert!(used_images("kind: Service").is_err());
    let used = Used { reference: "docker.io/a/worker:1".to_owned(), package: "worker" };
    assert_eq!(used_images("image: a/worker:1\nimage: a/worker:1").expect("known"), [used]);
}

/// A Service with an address, and a headless one of a StatefulSet.
fn example() -> Services {
    let metadata = |name: &str| json!({ "namespace": "voting-app", "name": name });
    let services = json!({ "items": [
        { "metadata": metadata("vote"), "spec": {
            "clusterIP": "10.97.0.9", "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] } },
        { "metadata": metadata("store"), "spec": { "clusterIP": "None", "ports": [{ "port": 6379 }] } },
    ] });
    let slice = |service: &str, ports: Value, endpoints: Value| {
        let labels = json!({ "kubernetes.io/service-name": service });
        let metadata = json!({ "namespace": "voting-app", "name": "x", "labels": labels });
        json!({ "metadata": metadata, "ports": ports, "endpoints": endpoints })
    };
    let vote = json!([
        { "addresses": ["10.98.0.2"], "conditions": { "ready": true } },
        { "addresses": ["10.98.0.3"], "conditions": { "ready": false } },
    ]);
    let store = json!([{ "addresses": ["10.98.0.4"], "conditions": {}, "hostname": "store-0" }]);
    let slices = json!({ "items": [
        slice("vote", json!([{ "name": "http", "port": 8080 }]), vote),
        slice("store", json!([{ "name": "", "port": 6379 }]), store),
        slice("gone", json!([]), json!([])),
    ] });
    services::read(&services, &slices)
}

fn ready_pods() {
    let services = example();
    let service = |name: &str| &services[&("voting-app".to_owned(), name.to_owned())];
    assert_eq!(service("vote").behind("http"), ["10.98.0.2:8080".parse().expect("an address")]);
    assert_eq!(service("vote").ports["http"], 80);
    assert_eq!(service("store").address, None);
    assert_eq!(service("store").behind(""), ["10.98.0.4:6379".parse().expect("an address")]);
    assert_eq!(services.len(), 2);
}

fn names() {
    let services = example();
    let ask = |name: &str, kind: TYPE| {
        let mut packet = Packet::new_query(7);
        let name = Name::new(name).expect("a name").into_owned();
        packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
        let reply = dns::reply(&packet.build_bytes_vec().expect("short"), &services).expect("a reply");
        let reply = Packet::parse(&reply).expect("well formed");
        assert_eq!((reply.id(), reply.questions.len()), (7, 1));
        let address = |answer: &simple_dns::ResourceRecord<'_>| match &answer.rdata {
            simple_dns::rdata::RData::A(record) => Ipv4Addr::from(record.address),
            other => panic!("{other:?}"),
        };
        (reply.rcode(), reply.answers.iter().map(address).collect::<Vec<_>>())
    };
    let found = |address: [u8; 4]| (RCODE::NoError, vec![Ipv4Addr::from(address)]);
    assert_eq!(ask("vote.voting-app.svc.cluster.local", TYPE::A), found([10, 97, 0, 9]));
    assert_eq!(ask("Store.voting-app.svc.cluster.local", TYPE::A), found([10, 98, 0, 4]));
    assert_eq!(ask("store-0.store.voting-app.svc.cluster.local", TYPE::A), found([10, 98, 0, 4]));
    assert_eq!(ask("vote.voting-app.svc.cluster.local", TYPE::AAAA), (RCODE::NoError, Vec::new()));
    for unknown in ["store", "vote.default.svc.cluster.local", "store-1.store.voting-app.svc.cluster.local"] {
        assert_eq!(ask(unknown, TYPE::A), (RCODE::NameError, Vec::new()), "{unknown}");
    }
    assert_eq!(dns::reply(b"no question", &services), None);
}

fn volume() {
    let claim = json!({
        "metadata": { "namespace": "voting-app", "name": "data-store-0" },
        "spec": {
            "accessModes": ["ReadWriteOncePod"],
            "storageClassName": "fast",
            "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    let volume = volumes::volume(&claim, Path::new("/state/volumes/data-store-0"));
    let spec = &volume["spec"];
    assert_eq!(spec["claimRef"], json!({ "namespace": "voting-app", "name": "data-store-0" }));
    assert_eq!(spec["capacity"]["storage"], "1Gi");
    assert_eq!(spec["accessModes"], json!(["ReadWriteOncePod"]));
    assert_eq!(spec["storageClassName"], "fast");
}

fn readiness() {
    let item = |observed: u64, replicas: u64, updated: u64, ready: u64| {
        json!({
            "metadata": { "generation": 2 },
            "spec": { "replicas": 2 },
            "status": {
                "observedGeneration": observed, "replicas": replicas,
                "updatedReplicas": updated, "readyReplicas": ready,
            },
        })
    };
    assert!(workloads::is_ready(&item(2, 2, 2, 2)));
    for unready in [item(1, 2, 2, 2), item(2, 3, 2, 2), item(2, 2, 1, 2), item(2, 2, 2, 1)] {
        assert!(!workloads::is_ready(&unready), "{unready}");
    }
}

fn autoscalers_and_budgets() {
    let target = json!({ "kind": "Deployment", "name": "vote" });
    let autoscaler = json!({ "spec": { "scaleTargetRef": target, "minReplicas": 2 } });
    let vote = |replicas: u64| json!({ "kind": "Deployment", "metadata": { "name": "vote" }, "spec": { "replicas": replicas } });
    assert!(workloads::is_below(&autoscaler, &vote(1)));
    assert!(!workloads::is_below(&autoscaler, &vote(2)));
    let other = json!({ "kind": "StatefulSet", "metadata": { "name": "vote" }, "spec": { "replicas": 1 } });
    assert!(!workloads::is_below(&autoscaler, &other));
    let budget = json!({ "spec": { "selector": { "matchLabels": { "name": "vote" } } } });
    let pod = |name: &str, phase: &str, deleted: Value| {
        json!({
            "metadata": { "labels": { "name": name }, "deletionTimestamp": deleted },
            "status": { "phase": phase },
        })
    };
    let pods = [
        pod("vote", "Running", Value::Null),
        pod("vote", "Pending", Value::Null),
        pod("vote", "Running", json!("2026-01-01T00:00:00Z")),
        pod("worker", "Running", Value::Null),
    ];
    assert_eq!(workloads::protected(&budget, &pods), 1);
}

fn restarts() {
    let pod = |count: u64| {
        let status = json!({
            "restartCount": count,
            "lastState": { "terminated": { "reason": "OOMKilled" } },
        });
        json!({ "metadata": { "name": "vote-1" }, "status": { "containerStatuses": [status] } })
    };
    assert_eq!(workloads::restarts(&pod(0)), [""; 0]);
    assert_eq!(workloads::restarts(&pod(1)), [r#"vote-1 after {"reason":"OOMKilled"}"#]);
    assert_eq!(workloads::restarts(&json!({ "status": {} })), [""; 0]);
}

fn requirements_and_hierarchies() {
    let folder = tempfile::tempdir().expect("a folder");
    for program in ["etcd", "kubelet", "bridge"] {
        fs::write(folder.path().join(program), "").expect("room");
    }
    let folders = [folder.path().to_owned()];
    let (found, missing) = requirements::look(&[&["etcd", "kubelet", "kube-apiserver"]], &folders, &folders);
    assert_eq!(found.len(), 3);
    assert_eq!(found["etcd"], folder.path().join("etcd"));
    assert!(missing.contains(&"kube-apiserver".to_owned()), "{missing:?}");
    assert!(missing.contains(&"the CNI plugin host-local".to_owned()), "{missing:?}");
    let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ntmpfs /sys/fs/cgroup tmpfs ro 0 0\n\
                  cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
    let expected = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    assert_eq!(cgroup::hierarchies(mounts), expected);
}

fn abandoned_groups() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = std::process::id();
    // No process has such an id: the largest is 2 to the power of 22.
    let left = ["voting-app-test-4194305", "voting-app-test-trial-4194305"];
    let others = [format!("voting-app-test-{own}"), "voting-app-test-x".to_owned(), "kubepods".to_owned()];
    for name in left.into_iter().chain(others.iter().map(String::as_str)) {
        fs::create_dir(folder.path().join(name)).expect("room");
    }
    let mut found = cgroup::abandoned(folder.path());
    found.sort();
    assert_eq!(found, left.map(|name| folder.path().join(name)));
}
