//! Takes replies out of a store's stream; strings too large to be taken in are skipped as they arrive.
//!
//! Knows nothing of commands. RESP2: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use wire::Buffer;
use wire::resp::{Reply, ReplyError, parse_reply};

/// Longest beginning of what is skipped: `*1`, `$`, a 64-bit number, with their ends.
const HEAD_BYTES_MAX: usize = TRANSACTION_OF_ONE.len() + 24;
/// How the results of a transaction of one command begin.
const TRANSACTION_OF_ONE: &[u8] = b"*1\r\n";

/// A reader, and what it remembers between two replies.
#[derive(Debug)]
pub(super) struct ReplyReader {
    /// Strings of more bytes are skipped.
    bulk_bytes_max: usize,
    /// Bytes of a skipped string that are still to come.
    skip: usize,
    /// The last reply, if it was a number. Most are, and a number is as much work to read again as to read.
    number: Option<i64>,
}

impl ReplyReader {
    /// A reader that skips nothing.
    pub const fn new() -> Self {
        Self { bulk_bytes_max: usize::MAX, skip: 0, number: None }
    }

    /// Skips strings of more bytes from here on, alone or as all that a transaction gave.
    pub fn set_bulk_max(&mut self, bytes: usize) {
        self.bulk_bytes_max = bytes;
    }

    /// The stream begins anew.
    pub fn restart(&mut self) {
        self.skip = 0;
    }

    /// The length of the reply at the front, once it is whole; of one that is skipped none of it is left.
    ///
    /// # Errors
    /// The bytes are no RESP.
    pub fn receive(&mut self, input: &mut Buffer) -> Result<Option<usize>, ReplyError> {
        let skipped = self.skip.min(input.len());
        input.consume(skipped);
        self.skip -= skipped;
        if input.is_empty() {
            return Ok(None);
        }
        if let Some(length) = self.oversized(input.as_slice()) {
            (self.skip, self.number) = (length, None);
            return Ok(Some(0));
        }
        let Some((reply, length)) = parse_reply(input.as_slice())? else { return Ok(None) };
        self.number = if let Reply::Integer(number) = reply { Some(number) } else { None };
        Ok(Some(length))
    }

    /// The reply that was received last, which takes these bytes.
    pub fn reply<'a>(&self, bytes: &'a [u8]) -> Reply<'a> {
        if let Some(number) = self.number {
            return Reply::Integer(number);
        }
        parse_reply(bytes).ok().flatten().map_or(Reply::Oversized, |(reply, _)| reply)
    }

    /// The whole length of the string that starts here, when it is too large.
    fn oversized(&self, input: &[u8]) -> Option<usize> {
        if self.bulk_bytes_max == usize::MAX {
            return None;
        }
        let head = &input[..input.len().min(HEAD_BYTES_MAX)];
        let inner = head.strip_prefix(TRANSACTION_OF_ONE).unwrap_or(head);
        let line = inner.strip_prefix(b"$")?;
        let digits = &line[..line.iter().position(|byte| *byte == b'\r')?];
        let length: usize = core::str::from_utf8(digits).ok()?.parse().ok()?;
        let framing = head.len() - inner.len() + 1 + digits.len() + 2 + 2;
        (length > self.bulk_bytes_max).then(|| length.saturating_add(framing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    const BULK_MAX: usize = 4_096;

    /// What is read when `stream` arrives in pieces of `piece` bytes.
    fn read(stream: &[u8], piece: usize) -> Result<Vec<String>, ReplyError> {
        let (mut reader, mut input, mut seen) = (ReplyReader::new(), Buffer::new(64 * 1024), Vec::new());
        reader.set_bulk_max(BULK_MAX);
        for bytes in stream.chunks(piece) {
            input.write(bytes).expect("taken at once");
            while let Some(length) = reader.receive(&mut input)? {
                seen.push(format!("{:?}", reader.reply(&input.as_slice()[..length])));
                input.consume(length);
            }
        }
        assert!(input.is_empty());
        Ok(seen)
    }

    #[test]
    fn large_values_are_skipped_however_they_arrive() {
        let mut stream = b"+OK\r\n".to_vec();
        for head in ["$100000\r\n", "*1\r\n$100000\r\n"] {
            stream.extend(head.bytes());
            stream.extend(core::iter::repeat_n(b'+', 100_000));
            stream.extend(b"\r\n");
        }
        stream.extend(b"$2\r\nab\r\n*1\r\n$2\r\nab\r\n$-1\r\n:7\r\n");
        let whole = read(&stream, 60_000).expect("RESP");
        assert_eq!(whole.len(), 7);
        assert_eq!((&whole[1][..], &whole[2][..]), ("Oversized", "Oversized"));
        for piece in [1, 2, 3, 4096] {
            assert_eq!(read(&stream, piece), Ok(whole.clone()), "in pieces of {piece}");
        }
    }

    #[test]
    fn the_largest_value_is_not_skipped() {
        let mut stream = format!("${BULK_MAX}\r\n").into_bytes();
        stream.extend(core::iter::repeat_n(b'x', BULK_MAX));
        stream.extend(b"\r\n");
        let seen = read(&stream, 1000).expect("RESP");
        assert_eq!(seen.len(), 1);
        assert_ne!(seen[0], "Oversized");
    }

    #[test]
    fn another_protocol_is_an_error() {
        assert!(read(b"HTTP/1.1 400 Bad Request\r\n", 64).is_err());
    }
}
