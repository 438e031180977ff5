//! A row of a result, with its values as text.
//!
//! It knows no types: a value is its bytes, or none for NULL.

/// A DataRow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Columns, known to be complete: a length of four bytes, then as many bytes.
    columns: &'a [u8],
    count: usize,
}

impl<'a> Row<'a> {
    /// The columns of a message's body, up to a maximum; none if it is not a row.
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
