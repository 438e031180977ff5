//! What a guest reads on the command line that its engine writes, and whom it asks for names.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding as _};
use command_line::translate;
use serde_json::Value;

use crate::rendered::{Manifests, overlay, overlays};
use crate::workload::Workload;

/// What urunc 0.8 writes before the arguments of a Hermit guest.
const URUNC: &str = "ip=10.244.1.7/24 gateway=10.244.1.1 --";

/// What Kubernetes makes of `$(NAME)` in an argument.
fn expanded(argument: &str, variables: &BTreeMap<String, String>) -> String {
    let expand = |text: String, (name, value): (&String, &String)| text.replace(&format!("$({name})"), value);
    variables.iter().fold(argument.to_owned(), expand)
}

/// The environment of a pod's container, with an example of each value that comes from elsewhere.
fn variables(manifests: &Manifests, workload: Workload<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for source in workload.container()["envFrom"].as_array().into_iter().flatten() {
        let map = source["configMapRef"]["name"].as_str().expect("a name");
        let data = &manifests.find("ConfigMap", map).expect("a map")["data"];
        let own = |(key, value): (&String, &Value)| (key.clone(), value.as_str().expect("a text").to_owned());
        all.extend(data.as_object().expect("data").iter().map(own));
    }
    for (name, value) in workload.settings() {
        let example = match name {
            "INSTANCE" => "vote-7d4b-x2",
            "REDIS_URL" => "redis://:a%20b@redis.example:6379",
            "RESULTS_URL" => "postgres://u:p@db.example/votes",
            _ => value,
        };
        all.insert(name.to_owned(), example.to_owned());
    }
    all
}

#[test]
fn urunc_s_guests_read_their_settings() {
    let manifests = overlay("urunc");
    for workload in manifests.workloads() {
        let mut variables = variables(manifests, workload);
        if workload.service() != "worker" {
            variables.insert("OPTION_A".to_owned(), "Cats & Dogs".to_owned());
        }
        let annotations = &workload.0["spec"]["template"]["metadata"]["annotations"];
        let binary = annotations["com.urunc.unikernel.binary"].as_str().expect("a path");
        let arguments = workload.container()["args"].as_array().expect("arguments");
        let words = arguments.iter().map(|word| expanded(word.as_str().expect("a text"), &variables));
        let line = format!("{URUNC} {binary} {}", words.collect::<Vec<_>>().join(" "));
        let mut dropped = Vec::new();
        let read = translate(line.as_bytes(), |word| dropped.push(word.to_vec())).expect("a line");
        assert_eq!(dropped, [binary.as_bytes()], "{line}");
        assert!(read.starts_with("env=IP=10.244.1.7/24 env=GATEWAY=10.244.1.1 "), "{read}");
        assert!(!read.contains("$("), "{}: nothing fills {read}", workload.name());
        let settings: Vec<String> = shell_words::split(&read).expect("words");
        for (name, value) in variables {
            // Workers have no page.
            if workload.service() != "worker" || !name.starts_with("OPTION_") {
                let setting = format!("env={name}={value}");
                assert!(settings.contains(&setting), "{}: no {setting} in {read}", workload.name());
            }
        }
    }
}

#[test]
fn urunc_starts_the_file_that_the_image_has() {
    for workload in overlay("urunc").workloads() {
        assert!(workload.is_urunc());
        let annotation = |key: &str| {
            let annotations = &workload.0["spec"]["template"]["metadata"]["annotations"];
            annotations[format!("com.urunc.unikernel.{key}")].as_str().expect("an annotation")
        };
        assert_eq!((annotation("unikernelType"), annotation("hypervisor")), ("hermit", "qemu"));
        assert_eq!(annotation("binary"), kernel(workload));
    }
}

#[test]
fn kubevirt_boots_the_file_that_the_image_has() {
    for workload in overlay("kubevirt").workloads() {
        let boot = &workload.spec()["domain"]["firmware"]["kernelBoot"];
        assert_eq!(boot["container"]["kernelPath"], kernel(workload));
        let line = boot["kernelArgs"].as_str().expect("a line");
        let read =
            translate(line.as_bytes(), |word| panic!("{} is for nobody", String::from_utf8_lossy(word)));
        assert_eq!(read.expect("a line"), line, "{}", workload.name());
    }
}

/// Where `cargo image oci` puts a unikernel.
fn kernel(workload: Workload<'_>) -> String {
    let name = workload.image().split_once('/').and_then(|(_, name)| name.split_once(':')).expect("a tag").0;
    format!("/unikernel/{name}")
}

/// A guest asks DNS for what it is told, without search domains: so the name of the store has to be a whole one.
#[test]
fn the_store_s_address_is_a_whole_name_of_its_service() {
    let mut seen = 0;
    for (name, manifests) in overlays() {
        let secrets = manifests.of_kind("Secret").map(|secret| {
            let encoded = secret["data"]["REDIS_URL"].as_str().expect("an address");
            String::from_utf8(Base64::decode_vec(encoded).expect("base64")).expect("a text")
        });
        let machines = manifests.workloads().into_iter().filter(|workload| workload.is_machine());
        let written =
            machines.filter_map(|machine| machine.settings().get("REDIS_URL").map(|url| (*url).to_owned()));
        for url in secrets.chain(written) {
            assert_eq!(url, "redis://store.voting-app.svc.cluster.local:6379", "{name}");
            assert_eq!(
                manifests.find("Service", "store").expect("a service")["spec"]["ports"][0]["port"],
                6379
            );
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen}");
}
