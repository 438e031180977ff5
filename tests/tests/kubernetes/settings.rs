//! Settings and images are those that the services have.

use std::fs;
use std::path::Path;

use cluster::application::{Application, Service};
use image_build::vm::run::SETTINGS;

use crate::rendered::overlays;
use crate::workload::Workload;

/// What programs and runners understand beside.
const OTHERS: [&str; 5] = ["DATA", "DATA_SIZE", "ACCEL", "MEMORY_MIB", "LOG_FORMAT"];
const IMAGES: [&str; 4] = ["vote-service", "result-service", "worker", "store-service"];

/// The application as `cargo up` knows it.
fn described() -> Application {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../voting-app.toml");
    let text = fs::read_to_string(path).expect("the description");
    Application::parse("voting-app.toml", &text, &IMAGES).expect("it is described")
}

fn for_each_workload(mut look: impl FnMut(&str, Workload<'_>)) {
    for (name, manifests) in overlays() {
        manifests.workloads().into_iter().for_each(|workload| look(name, workload));
    }
}

#[test]
fn every_setting_is_one_that_services_know() {
    for_each_workload(|overlay, workload| {
        for (setting, _) in workload.settings() {
            let is_known = SETTINGS.contains(&setting) || OTHERS.contains(&setting);
            assert!(is_known, "{overlay}: {}: {setting}", workload.name());
        }
    });
    for (overlay, manifests) in overlays() {
        for map in manifests.of_kind("ConfigMap") {
            let unknown =
                map["data"].as_object().expect("data").keys().find(|key| !SETTINGS.contains(&key.as_str()));
            assert_eq!(unknown, None, "{overlay}");
        }
    }
}

#[test]
fn images_and_ports_are_those_of_the_description() {
    let application = described();
    for_each_workload(|overlay, workload| {
        let Service { image, ports, expose, health, .. } = &application.services[workload.service()];
        let image =
            format!("voting-app/{}:{}", image.as_deref().expect("an image"), env!("CARGO_PKG_VERSION"));
        assert_eq!(workload.image(), image, "{overlay}");
        let mut wanted: Vec<u64> =
            expose.iter().copied().chain(ports.iter().map(|port| port.guest)).map(u64::from).collect();
        let mut found: Vec<u64> = workload.ports().into_values().collect();
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted, "{overlay}: {}", workload.name());
        assert_eq!(workload.ports()["health"], u64::from(health.port), "{overlay}: {}", workload.name());
        let moved = workload.settings().get("HEALTH_PORT").map(|port| port.parse().expect("a port"));
        let is_moved = ["vote", "result"].contains(&workload.service());
        assert_eq!(moved, is_moved.then_some(health.port), "{overlay}: {}", workload.name());
    });
}

/// A worker's processing list has its name, so two must not share it.
#[test]
fn each_worker_has_a_name_of_its_own() {
    for (name, manifests) in overlays() {
        for worker in manifests.workloads().iter().filter(|found| found.service() == "worker") {
            if worker.is_machine() {
                assert_eq!(worker.settings()["INSTANCE"], worker.name(), "{name}");
                assert_eq!(
                    worker.0["kind"], "VirtualMachine",
                    "{name}: those of a set would share their settings"
                );
                continue;
            }
            let entries = worker.container()["env"].as_array().expect("settings");
            let instance = entries.iter().find(|entry| entry["name"] == "INSTANCE").expect("a name");
            assert_eq!(instance["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name", "{name}");
        }
    }
}
