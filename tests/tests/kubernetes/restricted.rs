//! The level `restricted` of Kubernetes' Pod Security Standards, for the fields that pods here could have.

use serde_json::Value;

/// Volumes that a pod may have at this level.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What in a pod is not allowed.
pub fn violations(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut demand = |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    };
    for shared in ["hostNetwork", "hostPID", "hostIPC"] {
        demand(pod[shared].is_null(), shared);
    }
    for volume in list(&pod["volumes"]) {
        let kinds = volume.as_object().expect("a volume").keys().filter(|key| *key != "name");
        kinds.for_each(|kind| demand(VOLUMES.contains(&kind.as_str()), kind));
    }
    let containers = ["containers", "initContainers", "ephemeralContainers"];
    for container in containers.iter().flat_map(|kind| list(&pod[*kind])) {
        let (own, of_pod) = (&container["securityContext"], &pod["securityContext"]);
        let either = |field: &str| if own[field].is_null() { &of_pod[field] } else { &own[field] };
        demand(own["privileged"] != true, "privileged");
        demand(own["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation");
        demand(
            list(&own["capabilities"]["drop"]).iter().any(|dropped| dropped == "ALL"),
            "capabilities.drop",
        );
        let added = list(&own["capabilities"]["add"]);
        demand(added.iter().all(|added| added == "NET_BIND_SERVICE"), "capabilities.add");
        demand(either("runAsNonRoot") == true, "runAsNonRoot");
        demand(either("runAsUser") != 0, "runAsUser");
        let profile = either("seccompProfile")["type"].as_str();
        demand(matches!(profile, Some("RuntimeDefault" | "Localhost")), "seccompProfile");
        demand(list(&container["ports"]).iter().all(|port| port["hostPort"].is_null()), "hostPort");
    }
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
