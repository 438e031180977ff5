//! Ordinary requests, which are whole in their input: read in one pass, with one look at each line.
//!
//! What is not ordinary is no error here. The framer reads it again step by step, and knows what is wrong with it.

use alloc::vec::Vec;

use super::{COMMAND_BYTES_MAX, Span};

/// Most arguments of an ordinary request, so that a count without arguments allocates little.
const ARGS_MAX: usize = 64;
/// Bytes of the longest line here, of a kind, three digits and CRLF, and of the shortest bulk string, an empty one.
const LINE_BYTES: usize = 6;

/// Most bytes of an argument whose length has three digits.
const ARGUMENT_BYTES_MAX: usize = 999;
// So no ordinary request is longer than a request may be.
const _: () =
    assert!(LINE_BYTES + ARGS_MAX * (LINE_BYTES + ARGUMENT_BYTES_MAX + b"\r\n".len()) <= COMMAND_BYTES_MAX);

/// Reads the request at the start of `input`: the number of its arguments, which are the first of `spans`, and its
/// length. `None`: it is not ordinary or not whole, and the spans mean nothing.
#[inline]
pub(super) fn read(input: &[u8], spans: &mut Vec<Span>) -> Option<(usize, usize)> {
    let (count, mut rest) = line(b'*', input)?;
    if count == 0 || count > ARGS_MAX {
        return None;
    }
    if spans.len() < count {
        spans.resize(count, Span::new(0, 0));
    }
    for span in &mut spans[..count] {
        let (length, body) = line(b'$', rest)?;
        let (body, behind) = body.split_at_checked(length)?;
        rest = behind.strip_prefix(b"\r\n")?;
        let end = input.len() - behind.len();
        *span = Span::new(end - body.len(), end);
    }
    Some((count, input.len() - rest.len()))
}

/// The number of a line of this kind, which has up to three digits, and what is behind the line.
#[inline]
fn line(kind: u8, input: &[u8]) -> Option<(usize, &[u8])> {
    let (number, length) = match *input.first_chunk::<LINE_BYTES>()? {
        [first, ones, b'\r', b'\n', ..] if first == kind => (digit(ones)?, 4),
        [first, tens @ b'1'..=b'9', ones, b'\r', b'\n', _] if first == kind => {
            (10 * digit(tens)? + digit(ones)?, 5)
        }
        [first, hundreds @ b'1'..=b'9', tens, ones, b'\r', b'\n'] if first == kind => {
            (100 * digit(hundreds)? + 10 * digit(tens)? + digit(ones)?, 6)
        }
        _ => return None,
    };
    Some((number, &input[length..]))
}

#[inline]
fn digit(byte: u8) -> Option<usize> {
    let digit = byte.wrapping_sub(b'0');
    (digit <= 9).then_some(usize::from(digit))
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::super::{Frame, FrameError, Framer};
    use super::*;

    /// The first request, in words, and its length; `None` while it is incomplete.
    type First = Result<Option<(Vec<String>, usize)>, FrameError>;

    /// What is read at once and what is read by steps.
    fn both(input: &[u8]) -> [First; 2] {
        [Framer::next, Framer::next_by_steps].map(|next| {
            let mut framer = Framer::new();
            let words =
                |frame: Frame<'_>| frame.args.iter().map(|word| word.escape_ascii().to_string()).collect();
            Ok(next(&mut framer, input)?.map(|frame| (words(frame), frame.bytes)))
        })
    }

    #[test]
    fn what_is_read_at_once_is_what_is_read_by_steps() {
        let lengths = [0, 1, 5, 9, 10, 42, 99, 100, 127, 999, 1000];
        let bulks = lengths.map(|length| alloc::format!("${length}\r\n{}\r\n", "v".repeat(length)));
        for count in 0..=9 * bulks.len() {
            let bulks: String = bulks.iter().cycle().take(count).map(String::as_str).collect();
            let request = alloc::format!("*{count}\r\n{bulks}");
            let [at_once, by_steps] = both(request.as_bytes());
            assert_eq!(at_once, by_steps, "{request:.40}");
            assert!(at_once.is_ok_and(|found| found.is_some()), "{request:.40}");
        }
    }

    #[test]
    fn a_request_that_is_cut_or_changed_anywhere_is_the_same_at_once_and_by_steps() {
        let body = "v".repeat(127);
        let request =
            alloc::format!("*4\r\n$4\r\nHSET\r\n$10\r\nkey\r\nvalue\r\n$0\r\n\r\n$127\r\n{body}\r\n*1\r\n");
        let mut bytes = request.into_bytes();
        for at in 0..bytes.len() {
            let [at_once, by_steps] = both(&bytes[..at]);
            assert_eq!(at_once, by_steps, "the first {at} bytes");
            let right = bytes[at];
            for wrong in *b"*$-+019:\r\n\0\xff" {
                bytes[at] = wrong;
                let [at_once, by_steps] = both(&bytes);
                assert_eq!(at_once, by_steps, "{}", bytes.escape_ascii());
            }
            bytes[at] = right;
        }
    }
}
