//! The store's replies one by one; values too large to be taken in are skipped as they arrive.
//!
//! Knows nothing of commands. RESP2: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use core::fmt;

use votes::PAYLOAD_BYTES_MAX;
use wire::Buffer;
use wire::resp::{Reply, parse_reply};

/// Longest first line of a bulk string: `$`, a 64-bit number, CRLF.
const BULK_HEADER_BYTES_MAX: usize = TRANSACTION_OF_ONE.len() + 24;
/// How the results of a transaction of one command begin.
const TRANSACTION_OF_ONE: &[u8] = b"*1\r\n";

/// One reply.
#[derive(Debug)]
pub enum Received<'a> {
    /// All of it.
    Reply(Reply<'a>),
    /// A bulk string of more than [`PAYLOAD_BYTES_MAX`] bytes, which is not kept; also when it is all that a
    /// transaction gave.
    Oversized,
}

/// The connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What answers is not RESP.
    NotResp,
    /// A reply that has no room.
    TooLarge,
    /// A reply that the command it belongs to never has, or that no command asked for.
    Unexpected,
    /// No reply in time.
    Silent,
    /// The commands of one cycle do not fit into the output.
    OutputFull,
}

impl Fault {
    /// The same as [`Display`](fmt::Display) says.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotResp => "what answers is not RESP: is it the port of a Redis?",
            Self::TooLarge => {
                "a reply is larger than is taken: has votes:epochs or votes:workers fields that are not ours?"
            }
            Self::Unexpected => "a reply does not belong to its command: is it a Redis?",
            Self::Silent => "the store is silent: connected, but its replies are overdue",
            Self::OutputFull => "the output has no room for one batch",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for Fault {}

/// Takes replies from the input.
#[derive(Debug, Default)]
pub struct Receiver {
    /// Bytes of an oversized value that are still to come.
    skip: usize,
}

impl Receiver {
    /// Hands every whole reply to `deliver`.
    ///
    /// # Errors
    /// [`Fault::NotResp`], [`Fault::TooLarge`], or what `deliver` returns.
    pub fn take(
        &mut self,
        input: &mut Buffer,
        mut deliver: impl FnMut(Received<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            let skipped = self.skip.min(input.len());
            input.consume(skipped);
            self.skip -= skipped;
            if input.is_empty() {
                return Ok(());
            }
            if let Some(length) = oversized(input.as_slice()) {
                self.skip = length;
                deliver(Received::Oversized)?;
                continue;
            }
            let Some((reply, length)) = parse_reply(input.as_slice()).map_err(|_| Fault::NotResp)? else {
                return if input.space() == 0 { Err(Fault::TooLarge) } else { Ok(()) };
            };
            deliver(Received::Reply(reply))?;
            input.consume(length);
        }
    }
}

/// The whole length of the bulk string that starts here, alone or as all that a transaction gave, when it is
/// too large.
fn oversized(input: &[u8]) -> Option<usize> {
    let head = &input[..input.len().min(BULK_HEADER_BYTES_MAX)];
    let inner = head.strip_prefix(TRANSACTION_OF_ONE).unwrap_or(head);
    let line = inner.strip_prefix(b"$")?;
    let digits = &line[..line.iter().position(|byte| *byte == b'\r')?];
    let length: usize = core::str::from_utf8(digits).ok()?.parse().ok()?;
    let framing = head.len() - inner.len() + 1 + digits.len() + 2 + 2;
    (length > PAYLOAD_BYTES_MAX).then(|| length.saturating_add(framing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// What is delivered when `stream` arrives in pieces of `piece` bytes.
    fn deliveries(stream: &[u8], piece: usize) -> Result<Vec<String>, Fault> {
        let (mut receiver, mut input, mut seen) = (Receiver::default(), Buffer::new(64 * 1024), Vec::new());
        for bytes in stream.chunks(piece) {
            input.write(bytes).expect("taken at once");
            receiver.take(&mut input, |received| {
                seen.push(format!("{received:?}"));
                Ok(())
            })?;
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
        let whole = deliveries(&stream, 60_000).expect("RESP");
        assert_eq!(whole.len(), 7);
        assert_eq!((&whole[1][..], &whole[2][..]), ("Oversized", "Oversized"));
        for piece in [1, 2, 3, 4096] {
            assert_eq!(deliveries(&stream, piece), Ok(whole.clone()), "in pieces of {piece}");
        }
    }

    #[test]
    fn the_largest_payload_is_not_skipped() {
        let mut stream = format!("${PAYLOAD_BYTES_MAX}\r\n").into_bytes();
        stream.extend(core::iter::repeat_n(b'x', PAYLOAD_BYTES_MAX));
        stream.extend(b"\r\n");
        let seen = deliveries(&stream, 1000).expect("RESP");
        assert_eq!(seen.len(), 1);
        assert_ne!(seen[0], "Oversized");
    }

    #[test]
    fn another_protocol_is_a_fault() {
        assert_eq!(deliveries(b"HTTP/1.1 400 Bad Request\r\n", 64), Err(Fault::NotResp));
    }
}
