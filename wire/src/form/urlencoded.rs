//! `application/x-www-form-urlencoded` (URL standard section 5.1).
//!
//! It is stricter than the standard where that guesses: a `%` needs two digits, and the result must be UTF-8.

use alloc::borrow::Cow;
use alloc::string::String;

use super::error::{Field, FormError};
use crate::hex::percent_decoded;

/// The fields of a body, in order.
pub(super) struct Fields<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: Some(body) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, FormError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (pair, rest) = cut(self.rest?, b'&');
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = cut(pair, b'=');
                let decoded = decode(name).and_then(|name| Some((name, decode(value.unwrap_or_default())?)));
                return Some(decoded.ok_or(FormError::Malformed));
            }
        }
    }
}

/// What stands before the first `separator`, and what follows it.
fn cut(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|byte| *byte == separator) {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    }
}

fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return core::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    let with_blanks = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte });
    String::from_utf8(percent_decoded(with_blanks)?).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    type Case<'a> = (&'a [u8], &'a [(&'a str, &'a str)]);

    fn fields(body: &[u8]) -> Result<Vec<(String, String)>, FormError> {
        let owned = |(name, value): Field<'_>| (name.into_owned(), value.into_owned());
        Fields::new(body).map(|field| field.map(owned)).collect()
    }

    #[test]
    fn pairs_are_split_and_decoded() {
        let cases: [Case<'_>; 7] = [
            (b"", &[]),
            (b"&&", &[]),
            (b"vote=a", &[("vote", "a")]),
            (b"a=1&b=2=3&c&=d", &[("a", "1"), ("b", "2=3"), ("c", ""), ("", "d")]),
            (b"v+o%74e=%c3%A9+%2B%26%3d", &[("v ote", "\u{e9} +&=")]),
            (b"a=\xc3\xa9", &[("a", "\u{e9}")]),
            (b"a=%00", &[("a", "\0")]),
        ];
        for (body, expected) in cases {
            let expected =
                expected.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect();
            assert_eq!(fields(body), Ok(expected), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn half_escapes_and_broken_utf8_are_refused() {
        for body in [&b"a=%"[..], b"a=%4", b"a=%4g", b"%=a", b"a=%ff", b"a=\xff", b"a=%+1", b"ok=1&a=%c3"] {
            assert_eq!(fields(body), Err(FormError::Malformed), "{}", body.escape_ascii());
        }
    }
}
