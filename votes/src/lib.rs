//! The contract of the application: the data that its services write to the store and read there.
//!
//! ```text
//! vote ──INCR votes:ticket──▶          a number that orders votes: see `sequence`
//! vote ──RPUSH votes──▶                one `Entry` for each vote
//! worker ──BLMOVE votes votes:processing:<worker>──▶
//! worker ──HSET results:a, results:b──▶   each voter's sequence under the option that counts
//! result ──HLEN results:a, results:b──▶   the `Scores`
//! ```
//!
//! [`keys`] has all key names. An entry is JSON, and the original application reads and writes the same:
//! `{"voter_id":"1f2e","vote":"a","id":"00ff","seq":"00000000000000065536"}`.
//!
//! This crate sends nothing: the services cast, count and show votes.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod choice;
mod entry;
pub mod json;
pub mod keys;
mod scores;
pub mod sequence;

pub use choice::Choice;
pub use entry::{Entry, EntryError, EntryJson, PAYLOAD_BYTES_MAX, TEXT_CHARS_MAX};
pub use scores::Scores;
