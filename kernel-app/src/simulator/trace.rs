//! What was on the wire: a hash of every frame with its time, and on request the frames themselves.
//!
//! The recording is a capture file (libpcap's classic format) that Wireshark and tcpdump read.

use alloc::vec::Vec;

use wire::Instant;

/// Most bytes of a recording; later frames are left out of it.
pub const RECORDING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// FNV-1a, 64 bits (RFC 9923).
const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;
const HASH_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Global header: microsecond timestamps, version 2.4, whole frames, Ethernet.
const CAPTURE_HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x0004_0000, 1];

/// The hash and the recording of a simulation.
#[derive(Debug)]
pub(super) struct Trace {
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
        self.recording = Some(CAPTURE_HEADER.iter().flat_map(|word| word.to_le_bytes()).collect());
    }

    /// The capture file so far; empty when nothing is recorded.
    pub fn recording(&self) -> &[u8] {
        self.recording.as_deref().unwrap_or_default()
    }

    pub fn sent(&mut self, at: Instant, from: usize, frame: &[u8]) {
        self.frames += 1;
        self.add(&at.as_micros().to_le_bytes());
        self.add(&(from as u64).to_le_bytes());
        self.add(frame);
        let Some(recording) = &mut self.recording else { return };
        if recording.len() + frame.len() > RECORDING_BYTES_MAX {
            return;
        }
        let (seconds, micros) = (at.as_micros() / 1_000_000, at.as_micros() % 1_000_000);
        let length = frame.len() as u32;
        for word in [seconds as u32, micros as u32, length, length] {
            recording.extend(word.to_le_bytes());
        }
        recording.extend(frame);
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(HASH_PRIME);
        }
    }
}
