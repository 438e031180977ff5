//! Bytes of what is shipped for the vote service, as they are and after gzip.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::site::Site;
use crate::record::{Measure, Metric, Sample};

/// One sample.
///
/// # Errors
/// When a file cannot be read.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let (mut bytes, mut compressed) = (0, 0);
    for path in site.substrate.shipped() {
        bytes += std::fs::metadata(&path).with_context(|| format!("no {}", path.display()))?.len();
        compressed += compressed_bytes(&path)?;
    }
    if bytes == 0 {
        return Ok(Vec::new());
    }
    let metrics = [(Metric::Bytes, bytes as f64), (Metric::CompressedBytes, compressed as f64)];
    Ok(vec![site.sample(Measure::Size, metrics)])
}

fn compressed_bytes(path: &Path) -> Result<u64> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut encoder = GzEncoder::new(Counter(0), Compression::best());
    io::copy(&mut file, &mut encoder).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(encoder.finish()?.0)
}

/// Counts what is written to it.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
