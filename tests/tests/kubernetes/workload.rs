//! What runs a service: pods of a Deployment or a StatefulSet, or machines of KubeVirt.

use std::collections::BTreeMap;

use serde_json::Value;

/// Of KubeVirt.
const MACHINES: [&str; 2] = ["VirtualMachine", "VirtualMachineInstanceReplicaSet"];
const PODS: [&str; 2] = ["Deployment", "StatefulSet"];
/// The word of a kernel's command line that sets something.
const SETTING: &str = "env=";
/// What a setting is that comes from elsewhere, such as a Secret.
pub const ELSEWHERE: &str = "";

/// A document with a template.
#[derive(Clone, Copy)]
pub struct Workload<'a>(pub &'a Value);

impl<'a> Workload<'a> {
    pub fn of(document: &'a Value) -> Option<Self> {
        let kind = document["kind"].as_str()?;
        (MACHINES.contains(&kind) || PODS.contains(&kind)).then_some(Self(document))
    }

    pub fn name(self) -> &'a str {
        self.0["metadata"]["name"].as_str().expect("a name")
    }

    /// The service that it runs: a worker's machine has a number behind it.
    pub fn service(self) -> &'a str {
        self.labels()["app.kubernetes.io/name"].as_str().expect("a label")
    }

    pub fn is_machine(self) -> bool {
        MACHINES.iter().any(|kind| self.0["kind"] == *kind)
    }

    pub fn is_urunc(self) -> bool {
        self.spec()["runtimeClassName"] == "urunc"
    }

    /// The labels of its pods.
    pub fn labels(self) -> &'a Value {
        &self.0["spec"]["template"]["metadata"]["labels"]
    }

    pub fn spec(self) -> &'a Value {
        &self.0["spec"]["template"]["spec"]
    }

    /// The one container of a pod.
    pub fn container(self) -> &'a Value {
        let containers = self.spec()["containers"].as_array().expect("a pod");
        assert_eq!(containers.len(), 1, "{}", self.name());
        &containers[0]
    }

    /// Where probes are: in a pod's container, or in a machine.
    pub fn probed(self) -> &'a Value {
        if self.is_machine() { self.spec() } else { self.container() }
    }

    /// Its ports by their names.
    pub fn ports(self) -> BTreeMap<&'a str, u64> {
        let (ports, number) = if self.is_machine() {
            (&self.spec()["domain"]["devices"]["interfaces"][0]["ports"], "port")
        } else {
            (&self.container()["ports"], "containerPort")
        };
        let port = |port: &'a Value| {
            (port["name"].as_str().expect("a name"), port[number].as_u64().expect("a number"))
        };
        ports.as_array().expect("ports").iter().map(port).collect()
    }

    pub fn image(self) -> &'a str {
        let boot = &self.spec()["domain"]["firmware"]["kernelBoot"]["container"];
        let image = if self.is_machine() { &boot["image"] } else { &self.container()["image"] };
        image.as_str().expect("an image")
    }

    /// The settings that are written for it, with their values, or [`ELSEWHERE`].
    pub fn settings(self) -> BTreeMap<&'a str, &'a str> {
        if self.is_machine() {
            let line = self.spec()["domain"]["firmware"]["kernelBoot"]["kernelArgs"].as_str();
            let words = line.unwrap_or_default().split_whitespace();
            return words
                .map(|word| word.strip_prefix(SETTING).and_then(|word| word.split_once('=')))
                .map(|setting| setting.expect("a setting"))
                .collect();
        }
        let list = self.container()["env"].as_array().map(Vec::as_slice).unwrap_or_default();
        let setting = |entry: &'a Value| {
            (entry["name"].as_str().expect("a name"), entry["value"].as_str().unwrap_or(ELSEWHERE))
        };
        list.iter().map(setting).collect()
    }

    /// How many there are at least.
    pub fn replicas(self, autoscaler: Option<&Value>) -> u64 {
        let least = autoscaler.map_or(&self.0["spec"]["replicas"], |found| &found["spec"]["minReplicas"]);
        least.as_u64().unwrap_or(1)
    }
}
