//! Log files of instances: bounded, with one printable line after the other, each with the time at which it arrived.
//! It prints nothing; see `commands/logs`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use image_build::vm::serial_line::QUESTION;

/// Longest log file, in bytes; when it is full it becomes the older one, of which there is one.
pub const LOG_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Longest line that is kept whole, in bytes; a longer one is cut into several.
pub const LINE_BYTES_MAX: u64 = 4096;

/// What a guest has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// A line for the log.
    Line(&'a str),
    /// It wants to know the time.
    Question,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it says, free of control characters.
    pub text: String,
}

/// A log being written. If the disk does not accept lines, they are lost, and the log says so when there is room.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    /// The file and its length; none until it can be written.
    file: Option<(File, u64)>,
    bytes_max: u64,
    /// Lines that the disk has not taken.
    lost: u64,
}

/// Where the full log goes.
pub fn older(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

impl LogWriter {
    /// Continues the log at a path, or begins it, with the first line.
    pub fn new(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, file: None, bytes_max, lost: 0 }
    }

    /// Copies everything from a guest's output until it ends; calls `hear` with it at once.
    ///
    /// # Errors
    /// When the output cannot be read. A full disk loses lines, but does not stop the guest.
    pub fn copy(&mut self, source: impl Read, mut hear: impl FnMut(Said<'_>)) -> io::Result<()> {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        loop {
            line.clear();
            if source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if line == QUESTION {
                hear(Said::Question);
                continue;
            }
            let text = printable(&line);
            if !text.is_empty() {
                hear(Said::Line(&text));
                let _ = self.write(&Line { at_ms: now_ms(), text });
            }
        }
    }

    /// Adds one line.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = format!("{} {}\n", line.at_ms, line.text);
        if self.lost > 0 {
            // What was written of a line that did not fit ends there.
            text =
                format!("\n{} {} lines are missing here: the disk was full\n{text}", line.at_ms, self.lost);
        }
        let written = self.append(text.as_bytes());
        self.lost = if written.is_ok() { 0 } else { self.lost + 1 };
        written
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        let is_full = |(_, used): &(File, u64)| *used > 0 && *used + length > self.bytes_max;
        if self.file.as_ref().is_some_and(is_full) {
            self.file = None;
            fs::rename(&self.path, older(&self.path))?;
        }
        let (file, used) = match &mut self.file {
            Some(file) => file,
            none => {
                let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
                let used = file.metadata()?.len();
                none.insert((file, used))
            }
        };
        *used += length;
        file.write_all(bytes)
    }
}

/// The text of a line without its end, and without what would move a terminal's cursor or change its
/// colours: a guest is not to write on the reader's screen as it likes.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            // A control sequence (ECMA-48, 5.4) ends with a character from @ to ~.
            '\u{1b}' => {
                if chars.as_str().starts_with('[') {
                    chars.next();
                    chars.by_ref().find(|c| ('@'..='~').contains(c));
                }
            }
            '\t' => clean.push(' '),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A log being read, also while it is written.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    partial: String,
}

impl LogReader {
    /// A reader from the oldest line on.
    pub fn from_start(path: PathBuf) -> Self {
        let file = File::open(older(&path)).or_else(|_| File::open(&path)).ok().map(BufReader::new);
        Self { path, file, partial: String::new() }
    }

    /// The lines that have come since the last call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        loop {
            // In this order: once there is a newer file, nothing is added to the one read so far.
            let newer = self.newer()?;
            self.read_file(&mut lines)?;
            let Some(newer) = newer else { return Ok(lines) };
            self.file = Some(BufReader::new(newer));
            self.partial.clear();
        }
    }

    fn read_file(&mut self, lines: &mut Vec<Line>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        // A full line may come while one reads: what has no end yet is kept for the next time.
        while file.read_line(&mut self.partial)? > 0 {
            if self.partial.ends_with('\n') {
                lines.extend(parse(self.partial.trim_end()));
                self.partial.clear();
            }
        }
        Ok(())
    }

    /// The file that is written now, when it is another than the one being read.
    fn newer(&self) -> io::Result<Option<File>> {
        let Ok(newer) = File::open(&self.path) else { return Ok(None) };
        let same = match &self.file {
            None => false,
            Some(file) => file.get_ref().metadata()?.ino() == newer.metadata()?.ino(),
        };
        Ok((!same).then_some(newer))
    }
}

fn parse(line: &str) -> Option<Line> {
    let (at, text) = line.split_once(' ')?;
    Some(Line { at_ms: at.parse().ok()?, text: text.to_owned() })
}

/// The last lines of a log, at most `count`.
pub fn last_lines(path: &Path, count: usize) -> Vec<Line> {
    let mut lines = LogReader::from_start(path.to_owned()).read().unwrap_or_default();
    lines.drain(..lines.len().saturating_sub(count));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vote-1.log");
        (folder, path)
    }

    #[test]
    fn output_becomes_printable_lines_with_their_time() {
        let (_folder, path) = folder();
        let mut log = LogWriter::new(path.clone(), LOG_BYTES_MAX);
        let before = now_ms();
        let mut seen = Vec::new();
        let mut questions = 0;
        let output = b"one\r\n\x05\n\r\n\x1b[1;31mred\x1b[0m \xff\x07\tx\n\x05\n\x1b[2Jlast without \x05end";
        log.copy(&output[..], |said| match said {
            Said::Line(line) => seen.push(line.to_owned()),
            Said::Question => questions += 1,
        })
        .expect("readable");
        let lines = LogReader::from_start(path).read().expect("readable");
        assert_eq!(texts(&lines), seen);
        assert_eq!(seen, ["one", "red \u{fffd} x", "last without end"]);
        assert_eq!(questions, 2);
        assert!(lines.iter().all(|line| (before..=now_ms()).contains(&line.at_ms)));
    }

    #[test]
    fn endless_lines_are_cut() {
        let (_folder, path) = folder();
        let mut log = LogWriter::new(path.clone(), LOG_BYTES_MAX);
        log.copy(vec![b'x'; 10_000].as_slice(), |_| {}).expect("readable");
        let lengths: Vec<usize> = last_lines(&path, 9).iter().map(|line| line.text.len()).collect();
        assert_eq!(lengths, [4096, 4096, 1808]);
    }

    #[test]
    fn a_full_log_begins_anew_and_readers_miss_nothing() {
        let (_folder, path) = folder();
        let mut log = LogWriter::new(path.clone(), 64);
        let mut reader = LogReader::from_start(path.clone());
        let mut seen = Vec::new();
        for number in 0..40 {
            log.write(&Line { at_ms: 1, text: format!("line {number}") }).expect("room");
            if number % 3 == 0 {
                seen.extend(reader.read().expect("readable"));
            }
        }
        seen.extend(reader.read().expect("readable"));
        let expected: Vec<String> = (0..40).map(|number| format!("line {number}")).collect();
        assert_eq!(texts(&seen), expected);
        assert!(fs::metadata(&path).expect("a log").len() <= 64);
        assert!(fs::metadata(older(&path)).expect("an older log").len() <= 64);
        assert_eq!(texts(&last_lines(&path, 2)), ["line 38", "line 39"]);
    }

    #[test]
    fn lines_that_the_disk_does_not_take_are_counted_and_told() {
        let (folder, path) = folder();
        let line = |text: &str| Line { at_ms: 1, text: text.to_owned() };
        let mut log = LogWriter::new(path.clone(), LOG_BYTES_MAX);
        // A folder in the file's place refuses to be written, as a full disk does.
        fs::create_dir(&path).expect("a folder");
        assert!(log.write(&line("lost")).is_err() && log.write(&line("lost, too")).is_err());
        fs::remove_dir(&path).expect("it is empty");
        log.write(&line("kept")).expect("room");
        let lines = LogReader::from_start(path).read().expect("readable");
        assert_eq!(texts(&lines), ["2 lines are missing here: the disk was full", "kept"]);
        drop(folder);
    }

    #[test]
    fn a_log_that_begins_after_its_reader_is_read() {
        let (_folder, path) = folder();
        let mut reader = LogReader::from_start(path.clone());
        assert!(reader.read().expect("nothing").is_empty());
        let mut log = LogWriter::new(path, LOG_BYTES_MAX);
        log.write(&Line { at_ms: 1, text: "first".to_owned() }).expect("room");
        assert_eq!(texts(&reader.read().expect("readable")), ["first"]);
    }
}
