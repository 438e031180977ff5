//! The kubelet: one node, in the control group of the test, with nothing evicted for what else the machine does.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::certificates::{Certificates, NODE_NAME};
use crate::network::NODE;
use crate::places::{KUBELET, SOCKET};
use crate::requirements::Programs;

/// The domain of Services.
pub const DOMAIN: &str = "cluster.local";

/// Its configuration: YAML, of which JSON is a part.
pub fn configuration(state: &Path, cgroup: &str, certificates: &Certificates) -> Value {
    let Certificates { authority, kubelet, .. } = certificates;
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": authority },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": kubelet.certificate,
        "tlsPrivateKeyFile": kubelet.key,
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        // Version 1 of cgroups is refused from Kubernetes 1.35 on, unless it is asked for.
        "failCgroupV1": false,
        "failSwapOn": false,
        // A kubelet without CAP_SYS_RESOURCE may not lower it.
        "oomScoreAdj": 0,
        "clusterDomain": DOMAIN,
        "clusterDNS": [NODE],
        "resolvConf": state.join("resolv.conf"),
        "volumePluginDir": state.join("volume-plugins"),
        // A disk that others have filled is no reason to delete images, or to move pods.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "imagefs.available": "0%",
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
        },
    })
}

/// The command that starts it.
///
/// # Errors
/// When there is no room for its files.
pub fn command(
    programs: &Programs,
    state: &Path,
    kubeconfig: &Path,
    configuration: &Value,
) -> Result<Command> {
    let path = state.join("kubelet.json");
    fs::write(&path, configuration.to_string()).context("no room for the kubelet's configuration")?;
    let resolver = format!("nameserver {NODE}\n");
    fs::write(state.join("resolv.conf"), resolver).context("no room for a file")?;
    let mut command = programs.command("kubelet");
    command.arg(format!("--config={}", path.display()));
    command.arg(format!("--kubeconfig={}", kubeconfig.display()));
    command.arg(format!("--root-dir={KUBELET}"));
    command.arg(format!("--hostname-override={NODE_NAME}"));
    command.arg(format!("--node-ip={NODE}"));
    Ok(command)
}
