//! Answers a line that is too long at once, and takes its rest for the next line.
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
    line: Vec<u8>,
}

impl Session {
    /// Takes a piece of what the client has sent, and adds to `output` what it gets.
    pub fn receive(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        for byte in piece {
            if *byte == b'\n' {
                let line = core::mem::take(&mut self.line);
                self.answer(&line, output);
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(*byte);
            } else {
                self.line.clear();
                output.extend_from_slice(b"ERROR line too long\n");
            }
        }
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
