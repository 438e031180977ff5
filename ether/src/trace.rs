//! A trace of the wire: a hash of every frame with its time, and on request the frames themselves.
//!
//! The recording is a capture file; see `capture`.

use crate::capture::{self, CAPTURE_BYTES_MAX};
use wire::Instant;

/// FNV-1a, 64 bits (RFC 9923).
const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;
const HASH_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash and the recording of a simulation.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    frames: u64,
    recording: Option<Vec<u8>>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: HASH_START, frames: 0, recording: None }
    }
}

impl Trace {
    /// Of every frame sent so far, its sender and its time.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many frames were sent.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Records frames from now on.
    pub fn record(&mut self) {
        self.recording = Some(capture::file_header().to_vec());
    }

    /// The capture file so far; empty when nothing is recorded.
    pub fn recording(&self) -> &[u8] {
        self.recording.as_deref().unwrap_or_default()
    }

    /// A frame was sent.
    pub fn sent(&mut self, at: Instant, from: usize, frame: &[u8]) {
        self.frames += 1;
        self.add(&at.as_micros().to_le_bytes());
        self.add(&(from as u64).to_le_bytes());
        self.add(frame);
        let Some(recording) = &mut self.recording else { return };
        if recording.len() + frame.len() > CAPTURE_BYTES_MAX {
            return;
        }
        recording.extend(capture::record_header(std::time::Duration::from_micros(at.as_micros()), frame));
        recording.extend(frame);
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(HASH_PRIME);
        }
    }
}
