//! Does not compile: a value of another type.
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
    let available = 16 * size;
    Some(Layout { available, used: 0, bytes: 0 })
}
