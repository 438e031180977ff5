//! The chunked transfer coding of received bodies (RFC 9112 section 7.1).
//!
//! It is strict and bounded: extensions and trailers must be well-formed, and are dropped.

use alloc::vec::Vec;

use super::Refusal;
use super::limits::{CHUNK_LINE_BYTES_MAX, CHUNK_OVERHEAD_BYTES_MAX, TRAILER_BYTES_MAX};

/// Decodes one body, in pieces of any size.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    body_bytes_max: usize,
    /// The size read so far, then the bytes of the chunk still to come.
    left: usize,
    /// Bytes of the current size line.
    line_bytes: usize,
    /// Bytes of the trailer section.
    trailer_bytes: usize,
    /// All bytes that are not body.
    overhead_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    Size,
    /// After at least one digit.
    Digits,
    /// Blanks after the size: an extension must follow.
    Blank,
    /// After `;`: the extension's name must follow.
    ExtensionStart,
    ExtensionName,
    /// Blanks after a name or a value.
    ExtensionBlank,
    /// After `=`: the extension's value must follow.
    ValueStart,
    Value,
    Quoted,
    /// After a backslash within quotes.
    Escaped,
    QuotedEnd,
    /// After the CR of a size line.
    SizeFeed,
    Data,
    /// After a chunk's data.
    DataReturn,
    DataFeed,
    /// At the start of a trailer line.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerFeed,
    /// After the CR of the empty line that ends the body.
    LastFeed,
    Done,
}

/// How far a call of [`ChunkedDecoder::decode`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that belong to the body's coding; all of them, unless it is complete.
    pub used: usize,
    /// The body has ended.
    pub complete: bool,
}

impl ChunkedDecoder {
    /// A decoder for a body of at most `body_bytes_max` bytes.
    pub const fn new(body_bytes_max: usize) -> Self {
        Self {
            state: State::Size,
            body_bytes_max,
            left: 0,
            line_bytes: 0,
            trailer_bytes: 0,
            overhead_bytes: 0,
        }
    }

    /// Reads on at `input`, which must not contain what an earlier call used, and appends to `body`.
    ///
    /// # Errors
    /// The rule or the limit that the coding breaks; nothing can be decoded after that.
    pub fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<Progress, Refusal> {
        let mut used = 0;
        while self.state != State::Done && used < input.len() {
            if self.state == State::Data {
                used += self.take_data(&input[used..], body);
            } else {
                self.count(body.len())?;
                self.state = self.step(input[used])?;
                used += 1;
            }
        }
        Ok(Progress { used, complete: self.state == State::Done })
    }

    fn take_data(&mut self, input: &[u8], body: &mut Vec<u8>) -> usize {
        let count = self.left.min(input.len());
        body.extend_from_slice(&input[..count]);
        self.left -= count;
        if self.left == 0 {
            self.state = State::DataReturn;
        }
        count
    }

    /// Counts a byte that is not body against its limits, and the chunk just announced against the body's.
    fn count(&mut self, body_bytes: usize) -> Result<(), Refusal> {
        self.overhead_bytes += 1;
        if self.overhead_bytes > CHUNK_OVERHEAD_BYTES_MAX || self.left > self.body_bytes_max - body_bytes {
            return Err(Refusal::BodyTooLarge);
        }
        match self.state {
            State::Trailer | State::TrailerName | State::TrailerValue | State::TrailerFeed => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX { Err(Refusal::TrailerTooLarge) } else { Ok(()) }
            }
            State::DataReturn | State::DataFeed => {
                self.line_bytes = 0;
                Ok(())
            }
            _ => {
                self.line_bytes += 1;
                if self.line_bytes > CHUNK_LINE_BYTES_MAX { Err(Refusal::ChunkLineTooLong) } else { Ok(()) }
            }
        }
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        let next = match (self.state, byte) {
            (State::Size | State::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                return self.add_digit(byte);
            }
            (State::SizeFeed, b'\n') => self.after_size(),
            (State::DataReturn, b'\r') => State::DataFeed,
            (State::DataFeed, b'\n') => State::Size,
            (State::LastFeed, b'\n') => State::Done,
            (state, byte) => {
                after_extension(state, byte).or_else(|| after_trailer(state, byte)).ok_or(Refusal::Chunk)?
            }
        };
        Ok(next)
    }

    fn add_digit(&mut self, byte: u8) -> Result<State, Refusal> {
        let digit = char::from(byte).to_digit(16).ok_or(Refusal::Chunk)?;
        let size = self.left.checked_mul(16).ok_or(Refusal::BodyTooLarge)?;
        self.left = size + digit as usize;
        Ok(State::Digits)
    }

    fn after_size(&self) -> State {
        if self.left == 0 { State::Trailer } else { State::Data }
    }
}

/// The state after a byte between a size's digits and its CR LF.
fn after_extension(state: State, byte: u8) -> Option<State> {
    let next = match (state, byte) {
        (State::Digits | State::ExtensionName | State::Value | State::QuotedEnd, b'\r') => State::SizeFeed,
        (
            State::Digits
            | State::Blank
            | State::ExtensionName
            | State::ExtensionBlank
            | State::Value
            | State::QuotedEnd,
            b';',
        ) => State::ExtensionStart,
        (State::Digits | State::Blank, b' ' | b'\t') => State::Blank,
        (State::ExtensionName | State::ExtensionBlank, b'=') => State::ValueStart,
        (State::ExtensionName | State::ExtensionBlank | State::Value | State::QuotedEnd, b' ' | b'\t') => {
            State::ExtensionBlank
        }
        (State::ExtensionStart | State::ValueStart, b' ' | b'\t') => state,
        (State::ExtensionStart | State::ExtensionName, _) if is_token(byte) => State::ExtensionName,
        (State::ValueStart | State::Value, _) if is_token(byte) => State::Value,
        (State::ValueStart, b'"') => State::Quoted,
        (State::Quoted, b'"') => State::QuotedEnd,
        (State::Quoted, b'\\') => State::Escaped,
        (State::Quoted | State::Escaped, _) if is_text(byte) => State::Quoted,
        _ => return None,
    };
    Some(next)
}

/// The state after a byte of the trailer section.
fn after_trailer(state: State, byte: u8) -> Option<State> {
    let next = match (state, byte) {
        (State::Trailer, b'\r') => State::LastFeed,
        (State::Trailer | State::TrailerName, _) if is_token(byte) => State::TrailerName,
        (State::TrailerName, b':') => State::TrailerValue,
        (State::TrailerValue, b'\r') => State::TrailerFeed,
        (State::TrailerValue, _) if is_text(byte) => State::TrailerValue,
        (State::TrailerFeed, b'\n') => State::Trailer,
        _ => return None,
    };
    Some(next)
}

/// Whether a byte may stand in a name (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a byte may stand in a field's value or a quoted string.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=0x7e | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const BODY_BYTES_MAX: usize = 64;

    /// Decodes in pieces of `piece` bytes: the body and what is left of the input, none if it is incomplete.
    fn decode(input: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let mut decoder = ChunkedDecoder::new(BODY_BYTES_MAX);
        let mut body = Vec::new();
        let mut used = 0;
        for part in input.chunks(piece) {
            let progress = decoder.decode(part, &mut body)?;
            used += progress.used;
            if progress.complete {
                return Ok(Some((body, input.len() - used)));
            }
            assert_eq!(progress.used, part.len());
        }
        Ok(None)
    }

    fn decode_all_ways(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let whole = decode(input, input.len().max(1));
        for piece in [1, 2, 3, 7] {
            assert_eq!(decode(input, piece), whole, "in pieces of {piece}: {}", input.escape_ascii());
        }
        whole
    }

    #[test]
    fn bodies_are_decoded_and_what_follows_is_left() {
        let cases: [(&[u8], &[u8], usize); 9] = [
            (b"0\r\n\r\n", b"", 0),
            (b"3\r\nabc\r\n0\r\n\r\nGET", b"abc", 3),
            (b"1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", b"abc", 0),
            (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", 0),
            (b"2;name\r\n\r\n\r\n0;last=\"a\\\";\"\r\n\r\n", b"\r\n", 0),
            (b"1 ; a = b ;c\r\nx\r\n0\r\n\r\n", b"x", 0),
            (b"0\r\nTrailer: value\r\nEmpty:\r\n\r\nrest", b"", 4),
            (b"0\r\nContent-Length: 5\r\n\r\n", b"", 0),
            (b"0000000000000000000000001\r\nx\r\n0\r\n\r\n", b"x", 0),
        ];
        for (input, body, rest) in cases {
            assert_eq!(decode_all_ways(input), Ok(Some((body.to_vec(), rest))), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn every_beginning_of_a_body_is_incomplete() {
        let input = b"3;a=\"b\"\r\nabc\r\n0\r\nName: value\r\n\r\n";
        for end in 0..input.len() {
            assert_eq!(decode_all_ways(&input[..end]), Ok(None), "{}", input[..end].escape_ascii());
        }
    }

    #[test]
    fn malformed_codings_are_refused() {
        let cases: [&[u8]; 33] = [
            b"\r\n\r\n",
            b";a\r\n",
            b" 1\r\nx\r\n",
            b"4 \r\nabcd\r\n",
            b"4\t\r\nabcd\r\n",
            b"+4\r\n",
            b"-1\r\n",
            b"0x4\r\n",
            b"g\r\n",
            b"4_0\r\n",
            b"1\nx\r\n",
            b"1\rx",
            b"1\r\r\n",
            b"1;\r\nx\r\n",
            b"1;;a\r\n",
            b"1;a=\r\n",
            b"1;a\n",
            b"1;a=b\nc\r\n",
            b"1;a=\"b\n\"\r\n",
            b"1;a=\"b\r\n",
            b"1;a \r\n",
            b"1;a\0\r\n",
            b"1\r\nxy\r\n",
            b"1\r\nx\n",
            b"1\r\nx0\r\n",
            b"1\r\nx\r0\r\n",
            b"0\r\n\n",
            b"0\r\n\rx",
            b"0\r\n folded\r\n",
            b"0\r\n: value\r\n",
            b"0\r\nname : value\r\n",
            b"0\r\nname\r\n",
            b"0\r\nname: a\nb\r\n",
        ];
        for input in cases {
            assert_eq!(decode_all_ways(input), Err(Refusal::Chunk), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn sizes_extensions_trailers_and_overhead_are_bounded() {
        let fits = format!("40\r\n{}\r\n0\r\n\r\n", "x".repeat(64));
        assert!(matches!(decode_all_ways(fits.as_bytes()), Ok(Some(_))));
        let long_line = format!("1;{}\r\nx\r\n", "e".repeat(CHUNK_LINE_BYTES_MAX - 4));
        let long_lines = long_line.repeat(BODY_BYTES_MAX);
        let cases = [
            ("41\r\n".into(), Refusal::BodyTooLarge),
            (format!("40\r\n{}\r\n1\r\nx", "x".repeat(64)), Refusal::BodyTooLarge),
            ("ffffffffffffffff\r\n".into(), Refusal::BodyTooLarge),
            ("10000000000000001\r\n".into(), Refusal::BodyTooLarge),
            ("0".repeat(CHUNK_LINE_BYTES_MAX + 1), Refusal::ChunkLineTooLong),
            (format!("1;{}\r\n", "e".repeat(CHUNK_LINE_BYTES_MAX)), Refusal::ChunkLineTooLong),
            (format!("0\r\nname:{}", "v".repeat(TRAILER_BYTES_MAX)), Refusal::TrailerTooLarge),
            (format!("0\r\n{}", "a:\r\n".repeat(TRAILER_BYTES_MAX / 4 + 1)), Refusal::TrailerTooLarge),
            (long_lines, Refusal::BodyTooLarge),
        ];
        for (input, refusal) in cases {
            assert_eq!(decode_all_ways(input.as_bytes()), Err(refusal), "{input}");
        }
    }
}
