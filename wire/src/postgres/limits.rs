//! The limits on what a client accepts from a server.

/// Longest message a client takes, its type and length included; an input buffer must hold at least as much.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Most columns of a row.
pub const COLUMNS_MAX: usize = 64;
