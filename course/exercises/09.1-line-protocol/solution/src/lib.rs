//! A session of a line protocol: whole lines are answered, however the bytes arrive.
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
    /// What has come of a line whose end has not.
    line: Vec<u8>,
    /// More has come of it than may be kept.
    is_too_long: bool,
}

impl Session {
    /// Takes a piece of what the client has sent, and adds to `output` what it gets.
    pub fn receive(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        for byte in piece {
            match byte {
                b'\n' => self.end_line(output),
                _ if self.line.len() < LINE_BYTES_MAX => self.line.push(*byte),
                _ => self.is_too_long = true,
            }
        }
    }

    /// Answers the line that has just ended, and begins the next one in the same storage.
    fn end_line(&mut self, output: &mut Vec<u8>) {
        let mut line = core::mem::take(&mut self.line);
        if core::mem::take(&mut self.is_too_long) {
            output.extend_from_slice(b"ERROR line too long\n");
        } else {
            self.answer(&line, output);
        }
        line.clear();
        self.line = line;
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
