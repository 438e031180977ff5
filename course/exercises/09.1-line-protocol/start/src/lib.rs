//! Exercise 9.1: a session of a line protocol. Edit `Session` and `Session::receive`; leave `answer` as it is.
//!
//! A client sends lines, each ended by `\n` (a `\r` before it does not count), and gets one line for each:
//!
//! ```text
//! ADD 3      -> OK
//! TOTAL      -> 3
//! WHAT       -> ERROR unknown command
//! ```
//!
//! A line of more than 64 bytes is answered `ERROR line too long`, once, and nothing of it is carried out.
//!
//! The session names no socket: bytes come in, bytes go out. But it is told what arrived in pieces, and TCP cuts
//! them where it likes: in the middle of a line, or with five lines in one. The session below works only while every
//! piece is one whole line.
#![no_std]
extern crate alloc;

use alloc::format;
use alloc::vec::Vec;

/// Most bytes of a line, without its `\n`.
pub const LINE_BYTES_MAX: usize = 64;

/// One client's session.
#[derive(Debug, Default)]
pub struct Session {
    total: u64,
}

impl Session {
    /// Takes a piece of what the client has sent, and adds to `output` what it gets.
    pub fn receive(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        let line = piece.strip_suffix(b"\n").unwrap_or(piece);
        self.answer(line, output);
    }

    /// Carries out one whole line.
    fn answer(&mut self, line: &[u8], output: &mut Vec<u8>) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let number =
            line.strip_prefix(b"ADD ").and_then(|text| str::from_utf8(text).ok()?.parse::<u64>().ok());
        match (line, number) {
            (b"TOTAL", _) => output.extend_from_slice(format!("{}\n", self.total).as_bytes()),
            (_, Some(number)) => {
                self.total = self.total.saturating_add(number);
                output.extend_from_slice(b"OK\n");
            }
            _ => output.extend_from_slice(b"ERROR unknown command\n"),
        }
    }
}
