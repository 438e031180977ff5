//! The connection table's view of its node's memory: how much is used, and whether it is short.

use wire::Instant;

/// The memory of a node that has a heap of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapUsage {
    /// Bytes that are given out.
    pub used_bytes: usize,
    /// Bytes that are not.
    pub free_bytes: usize,
}

/// Whether memory is short, and what was done about it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) is_short: fn() -> bool,
    pub(super) usage: Option<fn() -> HeapUsage>,
    pub(super) log_at: Instant,
}

impl Default for Memory {
    /// More than can be used up.
    fn default() -> Self {
        Self { is_short: || false, usage: None, log_at: Instant::ZERO }
    }
}
