//! What leads to the pods: Services, the Ingress, monitoring.

use std::fs;

use serde_json::Value;

use crate::rendered::{Manifests, deploy, monitoring, overlays};
use crate::selector::has_all;
use crate::workload::Workload;

/// The pods behind a Service.
fn behind<'a>(manifests: &'a Manifests, service: &Value) -> Vec<Workload<'a>> {
    let is_behind = |workload: &Workload<'_>| has_all(&service["spec"]["selector"], workload.labels());
    manifests.workloads().into_iter().filter(is_behind).collect()
}

/// What is at the end of a port of a Service: of each pod behind it, the name and the number.
fn target<'a>(manifests: &'a Manifests, service: &str, port: &str) -> Vec<(&'a str, u64)> {
    let service = manifests.find("Service", service).expect("a service");
    let ports = service["spec"]["ports"].as_array().expect("ports");
    let port = ports.iter().find(|found| found["name"] == port).expect("a port");
    let name = port["targetPort"].as_str().expect("a name");
    behind(manifests, service).iter().map(|pod| (pod.service(), pod.ports()[name])).collect()
}

#[test]
fn each_service_leads_to_the_pods_of_its_name_and_to_ports_that_they_have() {
    for (name, manifests) in overlays() {
        for service in manifests.of_kind("Service") {
            let pods = behind(manifests, service);
            assert!(!pods.is_empty(), "{name}: nothing is behind {}", service["metadata"]["name"]);
            for pod in pods {
                assert_eq!(service["metadata"]["name"], pod.service(), "{name}");
                for port in service["spec"]["ports"].as_array().expect("ports") {
                    let target = port["targetPort"].as_str().expect("a name");
                    assert!(pod.ports().contains_key(target), "{name}: {} has no port {target}", pod.name());
                }
            }
        }
        for pod in manifests.workloads() {
            assert!(manifests.find("Service", pod.service()).is_some(), "{name}: {}", pod.service());
        }
    }
}

#[test]
fn people_reach_the_pages_and_nothing_else() {
    for (name, manifests) in overlays() {
        assert!(target(manifests, "vote", "http").iter().all(|found| *found == ("vote", 8080)), "{name}");
        assert!(target(manifests, "result", "http").iter().all(|found| *found == ("result", 8081)), "{name}");
        let ingress = manifests.find("Ingress", "front-tier").expect("an ingress");
        let rules = ingress["spec"]["rules"].as_array().expect("rules");
        let backend = |rule: &Value| {
            let service = rule["http"]["paths"][0]["backend"]["service"].clone();
            (service["name"].as_str().expect("a name").to_owned(), service["port"]["name"].clone())
        };
        let expected = ["vote", "result"].map(|name| (name.to_owned(), Value::from("http")));
        assert_eq!(rules.iter().map(backend).collect::<Vec<_>>(), expected, "{name}");
        let is_inside =
            |service: &Value| matches!(service["spec"]["type"].as_str(), None | Some("ClusterIP"));
        assert!(manifests.of_kind("Service").all(is_inside), "{name}");
    }
}

#[test]
fn prometheus_finds_the_metrics_of_every_service() {
    let monitor = monitoring().find("ServiceMonitor", "voting-app").expect("a monitor");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!((&endpoint["path"], &endpoint["port"]), (&"/metrics".into(), &"health".into()));
    for (name, manifests) in overlays() {
        for service in manifests.of_kind("Service") {
            let labels = &service["metadata"]["labels"];
            assert!(has_all(&monitor["spec"]["selector"]["matchLabels"], labels), "{name}: {labels}");
            let service = service["metadata"]["name"].as_str().expect("a name");
            assert!(!target(manifests, service, "health").is_empty(), "{name}: {service}");
        }
    }
    let label = |rule: &Value| rule["targetLabel"].as_str().expect("a label").to_owned();
    let labels: Vec<String> = endpoint["relabelings"].as_array().expect("rules").iter().map(label).collect();
    let rules = fs::read_to_string(deploy("rules.yml")).expect("the rules");
    for label in &labels {
        assert!(rules.contains(label), "no rule asks for {label}");
    }
    assert_eq!(labels, ["application", "service", "instance"]);
}

#[test]
fn grafana_gets_the_dashboard_as_it_is() {
    let map = monitoring().find("ConfigMap", "grafana-dashboard").expect("a map");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let dashboard = fs::read_to_string(deploy("grafana-dashboard.json")).expect("the dashboard");
    assert_eq!(map["data"]["grafana-dashboard.json"], dashboard);
}
