//! Replies as a client reads them: slices of the input, without copies and allocations.
//!
//! The scan is flat: it counts nesting instead of recursing. It is stateless: a partial reply is scanned again when
//! more of it has arrived, which takes one step per value, not per byte.

use core::fmt;

use super::number::parse_integer;
use super::{REPLY_BYTES_MAX, REPLY_DEPTH_MAX, REPLY_ITEMS_MAX};

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `+`: a status such as `OK`.
    Simple(&'a [u8]),
    /// `-`: an error, with its code as the first word.
    Error(&'a [u8]),
    /// `:`.
    Integer(i64),
    /// `$`: a string of bytes.
    Bulk(&'a [u8]),
    /// The same, but too large to be taken in: who reads the stream has skipped it.
    Oversized,
    /// `$-1` or `*-1`.
    Null,
    /// `*`: its elements in order.
    Array(Items<'a>),
}

/// The elements of an array reply, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Items<'a> {
    /// The elements, known to be complete and well formed.
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (reply, length) = parse_reply(self.bytes).ok()??;
        self.bytes = &self.bytes[length..];
        Some(reply)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}

/// Bytes that are no reply this client takes; the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A value starts with a byte that names no RESP2 type.
    Kind(u8),
    /// A line's end, a number, or the end of a bulk string is malformed.
    Malformed,
    /// Longer than [`REPLY_BYTES_MAX`].
    TooLong,
    /// Arrays nested deeper than [`REPLY_DEPTH_MAX`].
    TooDeep,
    /// More elements than [`REPLY_ITEMS_MAX`].
    TooMany,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(byte) => {
                write!(
                    f,
                    "a reply starts with byte {byte:#04x}, not one of + - : $ *: is this a RESP2 server?"
                )
            }
            Self::Malformed => f.write_str("a reply is malformed: is this a RESP2 server?"),
            Self::TooLong => write!(f, "a reply is longer than {REPLY_BYTES_MAX} bytes: ask for less"),
            Self::TooDeep => write!(f, "a reply nests arrays more than {REPLY_DEPTH_MAX} deep"),
            Self::TooMany => write!(f, "a reply has more than {REPLY_ITEMS_MAX} elements: ask for fewer"),
        }
    }
}

impl core::error::Error for ReplyError {}

/// The first reply in `input` and its length in bytes, to be consumed; `None` while it is incomplete.
///
/// # Errors
/// When the bytes are no RESP2 or beyond the limits; close the connection.
pub fn parse_reply(input: &[u8]) -> Result<Option<(Reply<'_>, usize)>, ReplyError> {
    let Some((first, end)) = scan_value(input)? else { return Ok(None) };
    let left = match first {
        Value::Array(left) => left,
        Value::Whole(reply) => return Ok(Some((reply, end))),
    };
    let Some(length) = array_end(input, end, left)? else { return Ok(None) };
    Ok(Some((Reply::Array(Items { bytes: &input[end..length], left }), length)))
}

/// One value; of an array the header only.
enum Value<'a> {
    Whole(Reply<'a>),
    Array(usize),
}

/// Where the `count` elements that begin at `start` end.
fn array_end(input: &[u8], start: usize, count: usize) -> Result<Option<usize>, ReplyError> {
    let mut open = [0; REPLY_DEPTH_MAX];
    open[0] = count;
    let mut depth = 1;
    let mut total = count;
    let mut at = start;
    while depth > 0 {
        let Some(left) = open[depth - 1].checked_sub(1) else {
            depth -= 1;
            continue;
        };
        open[depth - 1] = left;
        let Some((value, length)) = scan_value(&input[at..])? else { return within(at, input) };
        at += length;
        if let Value::Array(count) = value {
            total += count;
            if total > REPLY_ITEMS_MAX {
                return Err(ReplyError::TooMany);
            }
            *open.get_mut(depth).ok_or(ReplyError::TooDeep)? = count;
            depth += 1;
        }
    }
    if at > REPLY_BYTES_MAX { Err(ReplyError::TooLong) } else { Ok(Some(at)) }
}

/// Incomplete, which is an error once there is more than a whole reply may have.
fn within<T>(at: usize, input: &[u8]) -> Result<Option<T>, ReplyError> {
    if at.max(input.len()) > REPLY_BYTES_MAX { Err(ReplyError::TooLong) } else { Ok(None) }
}

/// The value at the start of `input`, within the limits and well formed, and where it ends; none while it is not whole.
fn scan_value(input: &[u8]) -> Result<Option<(Value<'_>, usize)>, ReplyError> {
    let Some(&kind) = input.first() else { return Ok(None) };
    if !matches!(kind, b'+' | b'-' | b':' | b'$' | b'*') {
        return Err(ReplyError::Kind(kind));
    }
    let Some((line, end)) = parse_line(&input[1..])? else { return Ok(None) };
    let end = end + 1;
    let whole = |reply| Ok(Some((Value::Whole(reply), end)));
    match kind {
        b'+' => whole(Reply::Simple(line)),
        b'-' => whole(Reply::Error(line)),
        b':' => whole(Reply::Integer(parse_integer(line).ok_or(ReplyError::Malformed)?)),
        _ => match (kind, parse_count(line)?) {
            (_, None) => whole(Reply::Null),
            (b'$', Some(length)) => scan_bulk(input, end, length),
            (_, Some(count)) if count > REPLY_ITEMS_MAX => Err(ReplyError::TooMany),
            (_, Some(count)) => Ok(Some((Value::Array(count), end))),
        },
    }
}

/// The line at the start of `input` without its CRLF, and its length with it.
fn parse_line(input: &[u8]) -> Result<Option<(&[u8], usize)>, ReplyError> {
    let Some(end) = input.iter().position(|byte| *byte == b'\r') else { return within(0, input) };
    match input.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((&input[..end], end + 2))),
        Some(_) => Err(ReplyError::Malformed),
    }
}

/// A length or count; `None` for `-1`.
fn parse_count(line: &[u8]) -> Result<Option<usize>, ReplyError> {
    match parse_integer(line) {
        Some(-1) => Ok(None),
        Some(count) => usize::try_from(count).map(Some).map_err(|_| ReplyError::Malformed),
        None => Err(ReplyError::Malformed),
    }
}

fn scan_bulk(input: &[u8], start: usize, length: usize) -> Result<Option<(Value<'_>, usize)>, ReplyError> {
    if length > REPLY_BYTES_MAX {
        return Err(ReplyError::TooLong);
    }
    let end = start + length;
    match input.get(end..end + 2) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((Value::Whole(Reply::Bulk(&input[start..end])), end + 2))),
        Some(_) => Err(ReplyError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn whole(input: &[u8]) -> Reply<'_> {
        for cut in 0..input.len() {
            assert_eq!(parse_reply(&input[..cut]), Ok(None), "cut at {cut}");
        }
        let (reply, length) = parse_reply(input).expect("well formed").expect("complete");
        assert_eq!(length, input.len());
        reply
    }

    #[test]
    fn every_kind_is_read_and_every_part_of_it_is_incomplete() {
        assert_eq!(whole(b"+OK\r\n"), Reply::Simple(b"OK"));
        assert_eq!(whole(b"-ERR no\r\n"), Reply::Error(b"ERR no"));
        assert_eq!(whole(b":-12\r\n"), Reply::Integer(-12));
        assert_eq!(whole(b"$4\r\na\r\nb\r\n"), Reply::Bulk(b"a\r\nb"));
        assert_eq!(whole(b"$-1\r\n"), Reply::Null);
        assert_eq!(whole(b"*-1\r\n"), Reply::Null);
    }

    #[test]
    fn arrays_in_arrays_are_walked_in_order() {
        let Reply::Array(items) = whole(b"*4\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n$-1\r\n+QUEUED\r\n") else {
            panic!("an array");
        };
        assert_eq!(items.len(), 4);
        let items: Vec<_> = items.collect();
        assert_eq!(items[0], Reply::Integer(1));
        assert_eq!(items[3], Reply::Simple(b"QUEUED"));
        let Reply::Array(mut inner) = items[1] else { panic!("an array") };
        assert_eq!(inner.next(), Some(Reply::Bulk(b"a")));
        let Some(Reply::Array(mut empty)) = inner.next() else { panic!("an array") };
        assert_eq!((empty.next(), inner.next()), (None, None));
    }

    #[test]
    fn only_the_first_of_several_replies_is_taken() {
        assert_eq!(parse_reply(b":1\r\n:2\r\n"), Ok(Some((Reply::Integer(1), 4))));
    }

    #[test]
    fn nesting_size_and_count_are_bounded() {
        assert_eq!(parse_reply(&b"*1\r\n".repeat(20_000)), Err(ReplyError::TooDeep));
        assert_eq!(parse_reply(b"*9999999\r\n"), Err(ReplyError::TooMany));
        assert_eq!(parse_reply(b"*2\r\n*8000\r\n"), Ok(None));
        assert_eq!(parse_reply(b"$9223372036854775807\r\n"), Err(ReplyError::TooLong));
        assert_eq!(parse_reply(&[b'+'; REPLY_BYTES_MAX + 2]), Err(ReplyError::TooLong));
    }

    #[test]
    fn what_is_not_resp2_is_refused() {
        assert_eq!(parse_reply(b"HTTP/1.1 400"), Err(ReplyError::Kind(b'H')));
        for malformed in [&b"+OK\rx"[..], b":1x\r\n", b":\r\n", b"$-2\r\n", b"*-2\r\n", b"$1\r\nabc"] {
            assert_eq!(parse_reply(malformed), Err(ReplyError::Malformed), "{malformed:?}");
        }
    }
}
