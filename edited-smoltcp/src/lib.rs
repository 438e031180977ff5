//! smoltcp with header prediction: the ordinary segments of a connection take a short way, and all others smoltcp's
//! own; and with a way to say where a connection's numbers begin.
//!
//! No copy of smoltcp stands here. The build script edits the copy that cargo has fetched and verified, in one place:
//! `prediction` and `first_number` are modules of its TCP sockets. Why this is so, and what smoltcp would need to do
//! the same itself, docs/upstream/smoltcp-header-prediction.md says.

// smoltcp's own tests are not compiled.
#![cfg(not(test))]
#![no_std]
// smoltcp's code is judged by smoltcp's own lints.
#![allow(warnings, clippy::all, missing_docs)]

include!(concat!(env!("OUT_DIR"), "/smoltcp/lib.rs"));

// They are compiled as modules of `socket::tcp`; here they stand for rustfmt.
#[cfg(any())]
mod first_number;
#[cfg(any())]
mod prediction;
