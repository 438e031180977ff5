//! The format of capture files: libpcap's classic format, which Wireshark and tcpdump read.
//!
//! The caller writes the file. Read draft-ietf-opsawg-pcap.

use std::time::Duration;

/// Most bytes of a capture; later frames are left out of it.
pub const CAPTURE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Length of the file's header.
pub const FILE_HEADER_BYTES: usize = 24;
/// Length of what precedes each frame.
pub const RECORD_HEADER_BYTES: usize = 16;

/// Microsecond timestamps, version 2.4, whole frames, Ethernet.
const FILE_HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x0004_0000, 1];

/// What a capture file begins with.
pub fn file_header() -> [u8; FILE_HEADER_BYTES] {
    words(FILE_HEADER)
}

/// What precedes a frame that was seen at this time: since 1970, or since the start of a simulation.
pub fn record_header(at: Duration, frame: &[u8]) -> [u8; RECORD_HEADER_BYTES] {
    let length = frame.len() as u32;
    words([at.as_secs() as u32, at.subsec_micros(), length, length])
}

fn words<const WORDS: usize, const BYTES: usize>(words: [u32; WORDS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (place, word) in bytes.chunks_exact_mut(size_of::<u32>()).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
