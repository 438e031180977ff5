//! A capture of the segment: every frame that a station or the gateway has sent, including refused ones.
//!
//! Frames are collected and written at the end of each turn, so a crash loses the frames of one turn at most.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use ether::capture::{self, CAPTURE_BYTES_MAX, RECORD_HEADER_BYTES};

/// Bytes that are gathered before they are written.
const GATHER_BYTES: usize = 256 * 1024;

/// A capture file that is being written.
#[derive(Debug)]
pub struct Capture {
    file: Option<BufWriter<File>>,
    bytes: usize,
}

impl Capture {
    /// A capture into an empty file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(file: File) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(GATHER_BYTES, file);
        let header = capture::file_header();
        file.write_all(&header)?;
        file.flush()?;
        Ok(Self { file: Some(file), bytes: header.len() })
    }

    /// Adds a frame; frames that come when [`CAPTURE_BYTES_MAX`] are written are left out.
    pub fn frame(&mut self, frame: &[u8]) {
        let bytes = RECORD_HEADER_BYTES + frame.len();
        if self.bytes + bytes > CAPTURE_BYTES_MAX {
            self.end();
        }
        let Some(file) = &mut self.file else { return };
        self.bytes += bytes;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A full disk shows at the next flush.
        let _ = file.write_all(&capture::record_header(now, frame)).and_then(|()| file.write_all(frame));
    }

    /// Writes what was gathered. A file that takes no more is left as it is: traffic goes on without.
    pub fn flush(&mut self) {
        if self.file.as_mut().is_some_and(|file| file.flush().is_err()) {
            tell("the capture cannot be written any further: is the disk full?");
            self.file = None;
        }
    }

    fn end(&mut self) {
        if self.file.is_some() {
            tell(&format!("the capture ends here: it has {CAPTURE_BYTES_MAX} bytes"));
            self.flush();
            self.file = None;
        }
    }
}

/// Says a line on standard error, which may be on the very disk that is full.
fn tell(words: &str) {
    let _ = writeln!(io::stderr(), "{words}");
}
