//! Words of a line: split and freed of their quotes, and written.

use alloc::vec::Vec;

/// What a backslash keeps from its meaning between double quotes.
const ESCAPED: &[u8] = b"\"\\$`";

/// The words of a line that are left.
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// Puts the next word into `word`; whether there was one.
    pub fn next(&mut self, word: &mut Vec<u8>) -> bool {
        word.clear();
        let (mut is_there, mut quote) = (false, None);
        while let Some(byte) = self.take() {
            match (byte, quote) {
                (_, Some(open)) if byte == open => quote = None,
                (_, Some(b'\'')) => word.push(byte),
                (b'\\', _) => self.escape(word, quote.is_some()),
                (b' ' | b'\t' | b'\n', None) if is_there => break,
                (b' ' | b'\t' | b'\n', None) => continue,
                (b'"' | b'\'', None) if is_closed(byte, self.rest) => quote = Some(byte),
                _ => word.push(byte),
            }
            is_there = true;
        }
        is_there
    }

    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// What follows a backslash: itself where it had a meaning; a line end means nothing.
    fn escape(&mut self, word: &mut Vec<u8>, is_quoted: bool) {
        let next = self.take();
        if next.is_none_or(|byte| is_quoted && byte != b'\n' && !ESCAPED.contains(&byte)) {
            word.push(b'\\');
        }
        word.extend(next.filter(|byte| *byte != b'\n'));
    }
}

/// Whether this quote comes again, without a backslash that would keep it from ending anything.
fn is_closed(quote: u8, text: &[u8]) -> bool {
    let mut is_escaped = false;
    text.iter().any(|byte| {
        let ends = *byte == quote && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped && quote == b'"';
        ends
    })
}

/// What comes before the first of these bytes, and what behind it.
pub fn split_once(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    let mut parts = text.splitn(2, |byte| *byte == at);
    (parts.next().unwrap_or_default(), parts.next())
}

/// A line that is written word by word. Backslashes keep from its meaning what would have one, quotes a line end.
pub struct Line(pub Vec<u8>);

impl Line {
    /// Appends a word.
    pub fn word(&mut self, word: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b' ');
        }
        if word.is_empty() {
            self.0.extend_from_slice(b"''");
        }
        self.append(word);
    }

    /// Appends to the last word.
    pub fn append(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                b'\n' => self.0.extend_from_slice(b"'\n'"),
                b' ' | b'\t' | b'\'' | b'"' | b'\\' | b'#' => self.0.extend_from_slice(&[b'\\', *byte]),
                _ => self.0.push(*byte),
            }
        }
    }
}
