//! The pipes of a node: pairs of connections between two services of one image.
//!
//! `through_memory` moves their bytes.

use alloc::vec::Vec;

use crate::connections::ConnectionId;
use wire::Instant;

/// All pipes of a node.
#[derive(Debug, Default)]
pub(super) struct Pipes {
    pub(super) pipes: Vec<Pipe>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pipe {
    pub ends: [ConnectionId; 2],
    /// Set when one end has closed.
    pub drain_until: Option<Instant>,
}

impl Pipes {
    pub fn is_empty(&self) -> bool {
        self.pipes.is_empty()
    }

    /// When the first of the closing pipes must be gone.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.pipes.iter().filter_map(|pipe| pipe.drain_until).min()
    }
}
