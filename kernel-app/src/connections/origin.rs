//! The origin of a connection: the index of its listener or of its peer.

/// How a connection came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Accepted on the listener with this index in [`Endpoints::listeners`](crate::service::Endpoints::listeners).
    Accepted(usize),
    /// Made to the peer with this index in [`Endpoints::peers`](crate::service::Endpoints::peers).
    Peer(usize),
}
