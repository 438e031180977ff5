//! Asks for the last descriptor of a queue that has none.
#![no_std]

/// Where the areas of a queue lie, in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the available ring begins.
    pub available: usize,
    /// Where the used ring begins.
    pub used: usize,
    /// How long all of it is.
    pub bytes: usize,
}

/// The layout of a queue of so many descriptors; none for a size that no queue has.
pub fn layout(size: u16) -> Option<Layout> {
    let last = usize::from(size - 1);
    let available = 16 * (last + 1);
    let used = (available + 6 + 2 * (last + 1)).next_multiple_of(4);
    Some(Layout { available, used, bytes: used + 6 + 8 * (last + 1) })
}
