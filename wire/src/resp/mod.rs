//! RESP2, the protocol of Redis: server side ([`Framer`], [`write`]) and client side ([`Command`],
//! [`parse_reply`]). [`write_command`] writes what a client sends, and the store's log.
//!
//! Read <https://redis.io/docs/latest/develop/reference/protocol-spec/> first. This module does not know the meaning
//! of commands. It speaks RESP2 only; a store that speaks RESP3 writes that itself. The crate `redis-protocol`, which
//! allocates, recurses without a bound, and starts again on every partial read, is what tests compare this with.

mod args;
mod command;
mod framer;
mod inline;
mod number;
mod ordinary;
mod reply;
pub mod write;

pub use args::{Args, ArgsBuffer, Span};
pub use command::Command;
pub use framer::{Frame, FrameError, Framer};
pub use number::{Digits, parse_integer};
pub use reply::{Items, Reply, ReplyError, parse_reply};
pub use write::write_command;

/// Longest request, framing included; an input buffer must hold at least as much.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// Most arguments of a request, its name included.
pub const ARGS_MAX: usize = 1024;
/// Longest reply a client takes, nested ones included; an input buffer must hold at least as much.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;
/// Most levels of arrays in arrays that a client takes (a reply inside `EXEC`'s has 2).
pub const REPLY_DEPTH_MAX: usize = 8;
/// Most elements of all the arrays of one reply together.
pub const REPLY_ITEMS_MAX: usize = 8 * 1024;
