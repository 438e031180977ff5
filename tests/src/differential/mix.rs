//! The kinds of streams, each for servers that are set up for it.

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// All commands, on servers that ask for no password.
    Open,
    /// The same on servers whose password is `secret`: much is refused.
    Locked,
    /// Hashes that Redis keeps in hash tables.
    LargeHashes,
}

impl Mix {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Locked, Self::LargeHashes];
}
