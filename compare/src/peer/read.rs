//! Reads a peer's description: text in, a checked peer out, or one line with file, key, value and mend.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Error, Result, anyhow, ensure};

use super::Peer;
use super::description::Description;

/// Longest description.
const FILE_BYTES_MAX: usize = 64 * 1024;

impl Peer {
    /// The peer of a description whose files for these programs are there.
    ///
    /// # Errors
    /// For the first thing that is wrong, in one line.
    pub fn read(file: &Path, programs: &[&str]) -> Result<Self> {
        let unreadable = || format!("cannot read {}, the description of a peer", file.display());
        let mut text = String::new();
        let mut limited = File::open(file).with_context(unreadable)?.take(FILE_BYTES_MAX as u64 + 1);
        limited.read_to_string(&mut text).with_context(unreadable)?;
        ensure!(text.len() <= FILE_BYTES_MAX, "{}: keep it under {FILE_BYTES_MAX} bytes", file.display());
        let mut peer = Self::parse(file, &text)?;
        peer.check_files(programs)?;
        // A run that is resumed may begin in another folder.
        peer.file = std::path::absolute(file).with_context(unreadable)?;
        Ok(peer)
    }

    /// The peer of a description, whose files nobody looks at.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let description: Description = toml::from_str(text).map_err(|error| located(file, text, &error))?;
        description.check(file).map_err(|error| anyhow!("{}: {error:#}", file.display()))
    }
}

/// A fault of the format, with its line and, where it does not name it itself, its key.
fn located(file: &Path, text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    let names_key = message.contains("field `");
    let key = line.split_once('=').filter(|_| !names_key).map(|(key, _)| format!("{}: ", key.trim()));
    anyhow!("{}:{number}: {}{message}", file.display(), key.unwrap_or_default())
}
