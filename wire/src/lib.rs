//! Wire protocols as sans-IO state machines: bytes and time in, bytes and the next deadline out.
//!
//! It knows no socket, clock or operating system; `kernel-app` moves the bytes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod buffer;
pub mod calendar;
pub mod entropy;
pub mod form;
pub mod hex;
pub mod http;
pub mod postgres;
pub mod resp;
pub mod time;

pub use buffer::Buffer;
pub use entropy::Entropy;
pub use time::Instant;
