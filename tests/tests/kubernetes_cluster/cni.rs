//! The network of pods: a bridge, with addresses that the plugin `host-local` gives out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::network::PODS;

/// What it takes.
pub const PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];

/// The description: of version 0.4.0, which all plugins of today read.
pub fn network(state: &Path) -> Value {
    let addresses = json!({
        "type": "host-local",
        "ranges": [[{ "subnet": PODS }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "dataDir": state.join("addresses"),
    });
    let bridge = json!({
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": true,
        // Nothing is behind the node.
        "ipMasq": false,
        "hairpinMode": true,
        "ipam": addresses,
    });
    json!({ "cniVersion": "0.4.0", "name": "pods", "plugins": [bridge] })
}

/// Writes it; the folder that has it.
///
/// # Errors
/// When there is no room.
pub fn write(state: &Path) -> Result<PathBuf> {
    let folder = state.join("cni");
    fs::create_dir_all(&folder).context("no room for a folder")?;
    fs::write(folder.join("10-pods.conflist"), network(state).to_string()).context("no room for a file")?;
    Ok(folder)
}
