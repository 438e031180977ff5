//! The client side of PostgreSQL's protocol 3.0: what is sent ([`write`]), what comes back ([`parse_message`]), and
//! the proof of a password ([`scram`], [`password`]).
//!
//! Read <https://www.postgresql.org/docs/15/protocol.html> first. Knows no statement and keeps no state of a
//! connection; values go both ways as text. No TLS.

mod message;
pub mod password;
mod row;
pub mod scram;
mod server_error;
pub mod url;
pub mod write;

pub use message::{Authentication, Message, MessageError, parse_message};
pub use row::{Row, Rows};
pub use server_error::ServerError;

/// Longest message a client takes, its type and length included; an input buffer must hold at least as much.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Most columns of a row.
pub const COLUMNS_MAX: usize = 64;
