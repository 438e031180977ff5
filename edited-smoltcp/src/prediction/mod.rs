//! Header prediction: what is ordinary in a connection is done at once, and the rest is left to smoltcp.
//!
//! Nearly every segment of a connection is the next one in order, acknowledges something, and changes nothing else;
//! what is sent is the next part of what waits, or an acknowledgement. smoltcp reads each header field by field into
//! a description, and compares that with every case of RFC 9293. Here all fields that must be ordinary are compared
//! with what is expected, which is known beforehand (Van Jacobson's "header prediction"). If one differs, nothing has
//! been changed, and the segment goes the long way.
//!
//! What this does to a socket is what smoltcp's `process` and `dispatch` would do, word by word;
//! `tests/differential.rs` compares the two.
#![warn(missing_docs)]
#![deny(unsafe_code)]

mod frame;
mod handshake;
mod receive;
mod send;

pub use frame::{Outgoing, Route, Segment};
pub use handshake::Syn;
pub use send::Egress;
