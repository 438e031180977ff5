//! What a segment is started with.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::link::Cable;
use super::published_port::PublishedPort;
use crate::layout::Layout;

/// Everything that a segment is started with.
pub struct Setup {
    /// Who is on it.
    pub layout: Layout,
    /// Ports of the host, and which station's they stand for.
    pub published_ports: Vec<PublishedPort>,
    /// Servers outside, by the port of the gateway that stands for them.
    pub outgoing: Vec<(u16, SocketAddr)>,
    /// Where its sockets go.
    pub folder: PathBuf,
    /// How frames come from machines and go to them.
    pub cable: Cable,
    /// Where frames are captured.
    pub capture: Option<File>,
}
