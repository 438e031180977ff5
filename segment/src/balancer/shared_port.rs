//! A published port and the instances behind it, as the balancer is started with them.

use std::net::TcpListener;

use crate::host::Address;

/// A port that the instances of a service share.
#[derive(Debug)]
pub struct SharedPort {
    /// Name of the service.
    pub service: String,
    /// Where clients come.
    pub listener: TcpListener,
    /// The instances' names, and where each is reached.
    pub instances: Vec<(String, Address)>,
}
