//! What speaks RESP in tests: servers of both makes on ports of their own, and connections byte by byte.
//!
//! Judges nothing: the tests do.

mod connection;
mod server;

pub use connection::{Connection, reply_bytes, request};
pub use server::{Server, redis, redis_on, store, store_of};
