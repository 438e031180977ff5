//! How full something bounded is: what whoever checks the limits is told.
//!
//! Enforces nothing; each limit is enforced where the thing is kept.

/// How much of something is in use, and how much may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What there is of it, such as `commands that wait for the store`.
    pub what: &'static str,
    /// How much is in use.
    pub used: usize,
    /// How much may be at most.
    pub limit: usize,
}

impl Usage {
    /// So much of `what` out of `limit`.
    pub const fn new(what: &'static str, used: usize, limit: usize) -> Self {
        Self { what, used, limit }
    }

    /// Whether it is more than may be.
    pub const fn is_excessive(&self) -> bool {
        self.used > self.limit
    }
}
