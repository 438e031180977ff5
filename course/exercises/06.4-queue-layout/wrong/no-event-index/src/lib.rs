//! Forgets the third field of each ring.
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
    if !size.is_power_of_two() {
        return None;
    }
    let size = usize::from(size);
    let available = 16 * size;
    let used = (available + 4 + 2 * size).next_multiple_of(4);
    Some(Layout { available, used, bytes: used + 4 + 8 * size })
}
