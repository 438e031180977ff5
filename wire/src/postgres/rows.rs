//! All rows of a result, read from their messages one at a time.

use super::message::{Message, parse_message};
use super::row::Row;

/// All rows of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows<'a> {
    /// DataRow messages, one behind the other.
    messages: &'a [u8],
}

impl<'a> Rows<'a> {
    /// The rows in `messages`, each of them as the server sent it.
    pub fn new(messages: &'a [u8]) -> Self {
        Self { messages }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let Ok(Some((Message::Row(row), length))) = parse_message(self.messages) else { return None };
        self.messages = &self.messages[length..];
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_and_null_is_none() {
        let body = b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0";
        let row = Row::parse(body, 3).expect("a row");
        assert_eq!([0, 1, 2, 3].map(|index| row.column(index)), [Some(&b"ab"[..]), None, Some(b""), None]);
        assert_eq!(Row::parse(body, 2), None, "too many");
        for end in 0..body.len() {
            assert_eq!(Row::parse(&body[..end], 3), None, "{end}");
        }
        assert_eq!(Row::parse(b"\0\x01\xff\xff\xff\xfe", 3), None, "a length below none");
        assert_eq!(Row::parse(b"\0\0x", 3), None, "more than it says");
    }
}
