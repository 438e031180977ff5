//! What a running balancer says of itself: one JSON line to everybody who connects to its socket.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mio::net::UnixListener;
use serde::{Deserialize, Serialize};

use crate::host::{self, Folder};

/// Name of the socket, in the application's folder.
const NAME: &str = "balancer.sock";
/// How long the report is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How one shared port is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortReport {
    /// Name of the service.
    pub service: String,
    /// The address that its instances share.
    pub address: SocketAddr,
    /// The instances.
    pub instances: Vec<InstanceReport>,
    /// How often another instance got what one had not answered.
    pub repeated: u64,
    /// Clients that were sent away, because no instance took their connection.
    pub refused: u64,
    /// Requests that were lost with their instance, and could not be repeated.
    pub lost: u64,
}

/// What one instance has had of a shared port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceReport {
    /// Its name.
    pub instance: String,
    /// Connections that are open.
    pub open: usize,
    /// All connections that it has been given.
    pub connections: u64,
}

/// Asks the balancer of this folder; none when there is no balancer.
///
/// # Errors
/// When it does not answer.
pub fn ask(folder: &Path) -> Result<Option<Vec<PortReport>>> {
    let Ok(mut stream) = host::connect(&folder.join(NAME)) else { return Ok(None) };
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut text = String::new();
    stream.read_to_string(&mut text).context("the balancer does not answer")?;
    serde_json::from_str(&text).context("the balancer is of another version").map(Some)
}

/// Makes the socket; one that an earlier run has left is replaced.
pub fn listen(folder: &Folder) -> io::Result<UnixListener> {
    remove(folder);
    UnixListener::bind(folder.socket(NAME))
}

/// Removes the socket.
pub fn remove(folder: &Folder) {
    // Most of the time there is none.
    let _ = std::fs::remove_file(folder.socket(NAME));
}

/// Answers all who have connected.
pub fn answer(listener: &UnixListener, reports: impl Fn() -> Vec<PortReport>) {
    while let Ok((mut stream, _)) = listener.accept() {
        let text = serde_json::to_string(&reports()).unwrap_or_default();
        // It fits the socket's buffer; who has gone needs none.
        let _ = stream.write_all(text.as_bytes());
    }
}
