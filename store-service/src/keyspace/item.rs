//! A field of a hash as a record contains it, and its position among others.

use super::page::Length;

/// Where a field belongs among the others of a large hash.
pub(super) type Position = u32;

/// A field as a record has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub position: Position,
    pub field: &'a [u8],
    pub value: &'a [u8],
}

impl<'a> Item<'a> {
    /// What a record says.
    #[inline]
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let (position, rest) = body.split_first_chunk()?;
        let (length, rest) = Length::read(rest)?;
        let (field, value) = rest.split_at_checked(length)?;
        Some(Self { position: Position::from_le_bytes(*position), field, value })
    }

    /// Has a record written that says this.
    pub(super) fn write<R>(self, write: impl FnOnce(&[&[u8]]) -> R) -> R {
        let Self { position, field, value } = self;
        write(&[&position.to_le_bytes(), Length::new(field.len()).as_bytes(), field, value])
    }

    #[inline]
    pub(super) fn is(&self, position: Position, field: &[u8]) -> bool {
        self.position == position && self.field == field
    }
}
