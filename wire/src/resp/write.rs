//! Writers of replies and requests, directly into a buffer.
//!
//! Each writes a whole value or fails. A failed write may leave a part behind, so a caller that continues after
//! [`Full`] must truncate the buffer to where the value began. No formatting machinery is used, because these
//! functions run for every request. They are not inlined, because their callers are many and images small.

use super::number::{Digits, NumberLine, short_line};
use crate::Buffer;
use crate::buffer::{Full, Room};

/// `+text`: a status such as `OK`. The text must have no line break.
///
/// # Errors
/// When it does not fit.
#[inline(never)]
pub fn simple(out: &mut Buffer, text: &[u8]) -> Result<(), Full> {
    line(out, b'+', text)
}

/// `-text`: an error, with its code as the first word. Line breaks become blanks, as in Redis, so that
/// what a client sent can be quoted.
///
/// # Errors
/// When it does not fit.
pub fn error(out: &mut Buffer, text: &[u8]) -> Result<(), Full> {
    if text.len() + 3 > out.space() {
        return Err(Full { wanted: text.len() + 3, space: out.space() });
    }
    out.write(b"-")?;
    for piece in text.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
        match piece {
            [rest @ .., b'\r' | b'\n'] => {
                out.write(rest)?;
                out.write(b" ")?;
            }
            whole => out.write(whole)?,
        }
    }
    out.write(b"\r\n")
}

/// `:value`.
///
/// # Errors
/// When it does not fit.
#[inline(never)]
pub fn integer(out: &mut Buffer, value: i64) -> Result<(), Full> {
    line(out, b':', Digits::new(value).as_bytes())
}

/// `:value` of a length; beyond `i64::MAX` is beyond any memory.
///
/// # Errors
/// When it does not fit.
pub fn length(out: &mut Buffer, value: usize) -> Result<(), Full> {
    count(out, b':', value)
}

/// `$length` and the bytes.
///
/// # Errors
/// When it does not fit.
#[inline(never)]
pub fn bulk(out: &mut Buffer, bytes: &[u8]) -> Result<(), Full> {
    let mut room = out.reserve(bulk_bytes(bytes.len()))?;
    put_bulk(&mut room, bytes);
    Ok(())
}

/// The absent bulk string, `$-1`.
///
/// # Errors
/// When it does not fit.
#[inline(never)]
pub fn null(out: &mut Buffer) -> Result<(), Full> {
    out.write(b"$-1\r\n")
}

/// The absent array, `*-1`.
///
/// # Errors
/// When it does not fit.
pub fn null_array(out: &mut Buffer) -> Result<(), Full> {
    out.write(b"*-1\r\n")
}

/// `*items`: the header of an array; as many values must follow.
///
/// # Errors
/// When it does not fit.
pub fn array(out: &mut Buffer, items: usize) -> Result<(), Full> {
    count(out, b'*', items)
}

/// How many bytes [`bulk`] writes for a string of `len` bytes.
pub fn bulk_bytes(len: usize) -> usize {
    Digits::count(len) + len + 5
}

/// A request: all of it, or nothing.
///
/// # Errors
/// When it does not fit; wait for the output to drain, nothing was written.
pub fn write_command(out: &mut Buffer, args: &[&[u8]]) -> Result<(), Full> {
    let header = Digits::count(args.len()) + 3;
    let wanted = args.iter().fold(header, |sum, argument| sum + bulk_bytes(argument.len()));
    let mut room = out.reserve(wanted)?;
    put_count(&mut room, b'*', args.len());
    for argument in args {
        put_bulk(&mut room, argument);
    }
    Ok(())
}

#[inline]
fn put_bulk(room: &mut Room<'_>, bytes: &[u8]) {
    put_count(room, b'$', bytes.len());
    room.put(bytes);
    room.put(b"\r\n");
}

/// A line with a count, which has few digits as a rule.
fn put_count(room: &mut Room<'_>, kind: u8, count: usize) {
    match count {
        0..10 => room.put(&[kind, b'0' + count as u8, b'\r', b'\n']),
        10..100 => {
            let [tens, ones] = [count / 10, count % 10].map(|digit| b'0' + digit as u8);
            room.put(&[kind, tens, ones, b'\r', b'\n']);
        }
        _ => match short_line(kind, count) {
            Some((line, len)) => room.put_start(line, len),
            None => room.put(NumberLine::of_len(kind, count).as_bytes()),
        },
    }
}

/// The same, for which there may be no room.
#[inline(never)]
fn count(out: &mut Buffer, kind: u8, count: usize) -> Result<(), Full> {
    match short_line(kind, count) {
        Some((line, len)) => out.write_start(line, len),
        None => out.write(NumberLine::of_len(kind, count).as_bytes()),
    }
}

/// Lines of up to this many bytes are put together before they are appended.
const SHORT_LINE_BYTES: usize = 32;

#[inline(never)]
fn line(out: &mut Buffer, kind: u8, text: &[u8]) -> Result<(), Full> {
    let len = text.len() + 3;
    if len <= SHORT_LINE_BYTES {
        let mut bytes = [kind; SHORT_LINE_BYTES];
        bytes[1..=text.len()].copy_from_slice(text);
        bytes[len - 2] = b'\r';
        bytes[len - 1] = b'\n';
        return out.write(&bytes[..len]);
    }
    out.write(&[kind])?;
    out.write(text)?;
    out.write(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Buffer) -> Result<(), Full>) -> alloc::string::String {
        let mut out = Buffer::new(256);
        write(&mut out).expect("fits");
        alloc::string::String::from_utf8_lossy(out.as_slice()).into_owned()
    }

    #[test]
    fn values_have_redis_spelling() {
        assert_eq!(written(|out| simple(out, b"OK")), "+OK\r\n");
        assert_eq!(written(|out| integer(out, -7)), ":-7\r\n");
        assert_eq!(written(|out| length(out, 70)), ":70\r\n");
        assert_eq!(written(|out| bulk(out, b"a\r\nb")), "$4\r\na\r\nb\r\n");
        assert_eq!(written(|out| bulk(out, b"")), "$0\r\n\r\n");
        assert_eq!(written(null), "$-1\r\n");
        assert_eq!(written(null_array), "*-1\r\n");
        assert_eq!(written(|out| array(out, 12)), "*12\r\n");
        assert_eq!(written(|out| simple(out, &[b'x'; 40])), alloc::format!("+{}\r\n", "x".repeat(40)));
    }

    #[test]
    fn a_quoted_line_break_cannot_forge_a_reply() {
        assert_eq!(written(|out| error(out, b"ERR 'a\r\n+OK'")), "-ERR 'a  +OK'\r\n");
    }

    #[test]
    fn a_request_is_written_whole_or_not_at_all() {
        let command: [&[u8]; 3] = [b"RPUSH", b"votes", b"{}"];
        let whole = written(|out| write_command(out, &command));
        assert_eq!(whole, "*3\r\n$5\r\nRPUSH\r\n$5\r\nvotes\r\n$2\r\n{}\r\n");
        for length in [0, 9, 10, 99, 100, 1_000] {
            let long = alloc::vec![b'x'; length];
            let mut out = Buffer::new(2_000);
            write_command(&mut out, &[&long[..]]).expect("fits");
            let expected = alloc::format!("*1\r\n${length}\r\n{}\r\n", "x".repeat(length));
            assert_eq!(out.as_slice(), expected.as_bytes());
        }
        let mut small = Buffer::new(whole.len() - 1);
        let full = Full { wanted: whole.len(), space: whole.len() - 1 };
        assert_eq!(write_command(&mut small, &command), Err(full));
        assert!(small.is_empty());
    }
}
