//! The client side of PostgreSQL's protocol 3.0: sent messages ([`write`]), received messages ([`parse_message`]),
//! and the proof of a password ([`scram`], [`password`]).
//!
//! Read <https://www.postgresql.org/docs/15/protocol.html> first. It knows no statement, and keeps no state of a
//! connection. Values are text in both directions. There is no TLS.

mod limits;
mod message;
pub mod password;
mod row;
mod rows;
pub mod scram;
mod server_error;
pub mod url;
pub mod write;

pub use limits::{COLUMNS_MAX, MESSAGE_BYTES_MAX};
pub use message::{Authentication, Message, MessageError, parse_message};
pub use row::Row;
pub use rows::Rows;
pub use server_error::ServerError;
