//! Inline requests: a line of words, as typed into `nc`.
//!
//! Quoting follows Redis (`sdssplitargs`). Words are copied; this is not a hot path.

use alloc::vec::Vec;

use super::Span;
use crate::hex;

/// A quote is not closed, or is followed by something other than a blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnbalancedQuotes;

/// Splits `line` into words: their bytes go to `words`, their places to `spans`.
pub(super) fn split(line: &[u8], words: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<(), UnbalancedQuotes> {
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let start = words.len();
        rest = take_word(rest, words)?.trim_ascii_start();
        spans.push(Span::new(start, words.len()));
    }
    Ok(())
}

/// Appends the first word of `rest` to `words` and gives what follows it.
fn take_word<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] => return Ok(rest),
            [byte, ..] if byte.is_ascii_whitespace() => return Ok(rest),
            [quote @ (b'"' | b'\''), quoted @ ..] => {
                let after = take_quoted(*quote, quoted, words)?;
                return match after {
                    [byte, ..] if !byte.is_ascii_whitespace() => Err(UnbalancedQuotes),
                    _ => Ok(after),
                };
            }
            [byte, after @ ..] => {
                words.push(*byte);
                rest = after;
            }
        }
    }
}

/// Appends what is in quotes and gives what follows the closing one.
fn take_quoted<'a>(quote: u8, mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(UnbalancedQuotes),
            [byte, after @ ..] if *byte == quote => return Ok(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => (b'\'', after),
            [b'\\', after @ ..] if quote == b'"' && !after.is_empty() => unescape(after),
            [byte, after @ ..] => (*byte, after),
        };
        words.push(byte);
        rest = after;
    }
}

/// The byte meant by what follows a backslash (at least one byte) and what follows that.
fn unescape(escaped: &[u8]) -> (u8, &[u8]) {
    if let [b'x', high, low, after @ ..] = escaped
        && let (Some(high), Some(low)) = (hex::digit(*high), hex::digit(*low))
    {
        return (high << 4 | low, after);
    }
    let byte = match escaped[0] {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    };
    (byte, &escaped[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        split(line, &mut bytes, &mut spans)?;
        Ok(super::super::Args::new(&bytes, &spans).iter().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn words_and_quotes_are_split_as_redis_does() {
        let expect = |line: &[u8], expected: &[&[u8]]| {
            assert_eq!(words(line).expect("balanced"), expected, "{line:?}");
        };
        expect(b"  SET k\tv ", &[b"SET", b"k", b"v"]);
        expect(b"", &[]);
        expect(b"a \"\" ''", &[b"a", b"", b""]);
        expect(br#"a "x y\n\x41\"\q" 'p\'q\n'"#, &[b"a", b"x y\nA\"q", b"p'q\\n"]);
        expect(br#"pre"fix" "\xzz""#, &[b"prefix", b"xzz"]);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [&b"a \"b"[..], b"a 'b", b"\"a\"b", b"'a'b", b"\"\\\""] {
            assert_eq!(words(line), Err(UnbalancedQuotes), "{line:?}");
        }
    }
}
