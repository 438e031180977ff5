//! Volumes for the claims of the application, as a storage class of a real cluster provides them: folders of the node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::kubectl::Kubectl;

/// Anybody may write: the kubelet does not change who owns a folder of the node.
const RIGHTS: u32 = 0o777;

/// Makes a volume for each claim that has none.
///
/// # Errors
/// When the API refuses, or there is no room.
pub fn provide(kubectl: &Kubectl, namespace: &str, folder: &Path) -> Result<()> {
    let claims = kubectl.get(&["persistentvolumeclaims", "--namespace", namespace])?;
    for claim in claims.iter().filter(|claim| claim["status"]["phase"] != "Bound") {
        let name = claim["metadata"]["name"].as_str().context("a claim has a name")?;
        let place = folder.join(name);
        if place.exists() {
            continue;
        }
        fs::create_dir_all(&place).context("no room for a folder")?;
        fs::set_permissions(&place, fs::Permissions::from_mode(RIGHTS)).context("it is ours")?;
        let file = folder.join(format!("{name}.json"));
        fs::write(&file, volume(claim, &place).to_string()).context("no room for a file")?;
        kubectl.run(&["create", "--filename", file.to_str().context("our own paths are UTF-8")?])?;
    }
    Ok(())
}

/// A volume that only this claim can take.
pub fn volume(claim: &Value, place: &Path) -> Value {
    let (metadata, spec) = (&claim["metadata"], &claim["spec"]);
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": metadata["name"] },
        "spec": {
            "capacity": { "storage": spec["resources"]["requests"]["storage"] },
            "accessModes": spec["accessModes"],
            "storageClassName": spec["storageClassName"].as_str().unwrap_or_default(),
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": { "namespace": metadata["namespace"], "name": metadata["name"] },
            "hostPath": { "path": place, "type": "Directory" },
        },
    })
}
