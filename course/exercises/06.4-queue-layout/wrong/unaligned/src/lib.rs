//! Lets the used ring begin where the available ring ends.
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
    let used = available + 6 + 2 * size;
    Some(Layout { available, used, bytes: used + 6 + 8 * size })
}
