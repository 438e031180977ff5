//! The fields of KubeVirt (API `kubevirt.io/v1`) and of Prometheus' operator (`monitoring.coreos.com/v1`) that are used
//! here, each with its type: their schemas are in no package, so this list is ours.
//!
//! It finds what is misspelt or of another type; it does not know what those projects demand beside.

use serde_json::Value;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Flag,
    /// An object without fields, which stands for its presence.
    Empty,
}

use Type::{Empty, Flag, Number, Text};

type Fields = &'static [(&'static str, Type)];

const KINDS: [(&str, &str, &[Fields]); 3] = [
    ("kubevirt.io/v1", "VirtualMachine", &[METADATA, &[("spec.runStrategy", Text)], MACHINE]),
    (
        "kubevirt.io/v1",
        "VirtualMachineInstanceReplicaSet",
        &[METADATA, &[("spec.replicas", Number), ("spec.selector.matchLabels.*", Text)], MACHINE],
    ),
    ("monitoring.coreos.com/v1", "ServiceMonitor", &[METADATA, MONITOR]),
];

const METADATA: Fields = &[
    ("apiVersion", Text),
    ("kind", Text),
    ("metadata.name", Text),
    ("metadata.namespace", Text),
    ("metadata.labels.*", Text),
];

const MACHINE: Fields = &[
    ("spec.template.metadata.labels.*", Text),
    ("spec.template.spec.domain.firmware.kernelBoot.container.image", Text),
    ("spec.template.spec.domain.firmware.kernelBoot.container.kernelPath", Text),
    ("spec.template.spec.domain.firmware.kernelBoot.kernelArgs", Text),
    ("spec.template.spec.domain.memory.guest", Text),
    ("spec.template.spec.domain.resources.requests.*", Text),
    ("spec.template.spec.domain.devices.autoattachGraphicsDevice", Flag),
    ("spec.template.spec.domain.devices.autoattachMemBalloon", Flag),
    ("spec.template.spec.domain.devices.logSerialConsole", Flag),
    ("spec.template.spec.domain.devices.rng", Empty),
    ("spec.template.spec.domain.devices.disks[].name", Text),
    ("spec.template.spec.domain.devices.disks[].disk.bus", Text),
    ("spec.template.spec.domain.devices.interfaces[].name", Text),
    ("spec.template.spec.domain.devices.interfaces[].masquerade", Empty),
    ("spec.template.spec.domain.devices.interfaces[].ports[].name", Text),
    ("spec.template.spec.domain.devices.interfaces[].ports[].port", Number),
    ("spec.template.spec.networks[].name", Text),
    ("spec.template.spec.networks[].pod", Empty),
    ("spec.template.spec.volumes[].name", Text),
    ("spec.template.spec.volumes[].persistentVolumeClaim.claimName", Text),
    ("spec.template.spec.terminationGracePeriodSeconds", Number),
    ("spec.template.spec.readinessProbe.httpGet.path", Text),
    ("spec.template.spec.readinessProbe.httpGet.port", Number),
    ("spec.template.spec.readinessProbe.periodSeconds", Number),
    ("spec.template.spec.readinessProbe.timeoutSeconds", Number),
    ("spec.template.spec.livenessProbe.httpGet.path", Text),
    ("spec.template.spec.livenessProbe.httpGet.port", Number),
    ("spec.template.spec.livenessProbe.initialDelaySeconds", Number),
    ("spec.template.spec.livenessProbe.periodSeconds", Number),
    ("spec.template.spec.livenessProbe.timeoutSeconds", Number),
    ("spec.template.spec.topologySpreadConstraints[].topologyKey", Text),
    ("spec.template.spec.topologySpreadConstraints[].maxSkew", Number),
    ("spec.template.spec.topologySpreadConstraints[].whenUnsatisfiable", Text),
    ("spec.template.spec.topologySpreadConstraints[].labelSelector.matchLabels.*", Text),
    ("spec.template.spec.topologySpreadConstraints[].matchLabelKeys[]", Text),
];

const MONITOR: Fields = &[
    ("spec.selector.matchLabels.*", Text),
    ("spec.endpoints[].port", Text),
    ("spec.endpoints[].path", Text),
    ("spec.endpoints[].interval", Text),
    ("spec.endpoints[].relabelings[].sourceLabels[]", Text),
    ("spec.endpoints[].relabelings[].targetLabel", Text),
];

/// What in a document is not listed, or of another type; or that its kind is not.
pub fn faults(document: &Value) -> Vec<String> {
    let is_meant =
        |kind: &&(&str, &str, &[Fields])| document["apiVersion"] == kind.0 && document["kind"] == kind.1;
    let Some((_, _, fields)) = KINDS.iter().find(is_meant) else {
        return vec![format!("{} {} is not listed", document["apiVersion"], document["kind"])];
    };
    let mut leaves = Vec::new();
    collect(document, &mut Vec::new(), &mut leaves);
    let is_wrong = |(path, value): &(Vec<String>, &Value)| {
        let listed = fields.iter().flat_map(|fields| fields.iter()).find(|(listed, _)| is_path(listed, path));
        listed.is_none_or(|(_, wanted)| type_of(value) != Some(*wanted))
    };
    let wrong = leaves.into_iter().filter(is_wrong);
    wrong.map(|(path, value)| format!("{}: {value}", path.join("."))).collect()
}

/// All values that have none in them, each with the names that lead to it.
fn collect<'a>(value: &'a Value, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, &'a Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                path.push(name.clone());
                collect(value, path, leaves);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let name = path.last_mut().expect("a list has a name");
            name.push_str("[]");
            items.iter().for_each(|item| collect(item, path, leaves));
            let name = path.last_mut().expect("a list has a name");
            name.truncate(name.len() - "[]".len());
        }
        leaf => leaves.push((path.clone(), leaf)),
    }
}

fn is_path(listed: &str, path: &[String]) -> bool {
    let listed: Vec<&str> = listed.split('.').collect();
    listed.len() == path.len()
        && listed.iter().zip(path).all(|(listed, name)| *listed == "*" || listed == name)
}

fn type_of(value: &Value) -> Option<Type> {
    match value {
        Value::String(_) => Some(Text),
        Value::Number(_) => Some(Number),
        Value::Bool(_) => Some(Flag),
        Value::Object(fields) if fields.is_empty() => Some(Empty),
        _ => None,
    }
}
