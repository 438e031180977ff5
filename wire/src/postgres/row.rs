//! Rows of a result, their values as text.
//!
//! Knows no types: a value is its bytes, or none for NULL.

use super::message::{Message, parse_message};

/// A DataRow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Columns, known to be complete: a length of four bytes, then as many bytes.
    columns: &'a [u8],
    count: usize,
}

impl<'a> Row<'a> {
    /// The columns of a message's body, at most so many; none when it is no row.
    pub(super) fn parse(body: &'a [u8], columns_max: usize) -> Option<Self> {
        let (count, columns) = body.split_first_chunk()?;
        let count = usize::from(u16::from_be_bytes(*count));
        let row = Self { columns, count };
        let mut rest = columns;
        for _ in 0..count {
            rest = next(rest)?.1;
        }
        (count <= columns_max && rest.is_empty()).then_some(row)
    }

    /// The value of a column, counted from 0; none for NULL and for a column that there is not.
    pub fn column(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.count {
            return None;
        }
        let mut rest = self.columns;
        for _ in 0..index {
            rest = next(rest)?.1;
        }
        next(rest)?.0
    }
}

/// The value at the start and what follows it; none when it is not complete.
fn next(columns: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = columns.split_first_chunk()?;
    match i32::from_be_bytes(*length) {
        -1 => Some((None, rest)),
        length => {
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Some(value), rest))
        }
    }
}

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
