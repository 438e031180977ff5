//! Where the API is and who asks: the file that each client of the API gets.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::certificates::{Certificates, Identity};
use crate::network::NODE;

/// The API's port.
pub const API_PORT: u16 = 6443;

/// Its address.
pub fn api_url() -> String {
    format!("https://{NODE}:{API_PORT}")
}

/// The content: YAML, of which JSON is a part.
pub fn content(authority: &Path, who: &Identity) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "cluster",
            "cluster": { "server": api_url(), "certificate-authority": authority },
        }],
        "users": [{
            "name": "user",
            "user": { "client-certificate": who.certificate, "client-key": who.key },
        }],
        "contexts": [{ "name": "context", "context": { "cluster": "cluster", "user": "user" } }],
        "current-context": "context",
    })
}

/// Writes one.
///
/// # Errors
/// When there is no room.
pub fn write(folder: &Path, name: &str, certificates: &Certificates, who: &Identity) -> Result<PathBuf> {
    let path = folder.join(format!("{name}.kubeconfig"));
    let text = content(&certificates.authority, who).to_string();
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}
