//! The layout of a split virtqueue.
#![no_std]

/// An address, a length, flags and the next one.
const DESCRIPTOR_BYTES: usize = 16;
/// Flags, index, and the index at which the other side wants to be told: 2 bytes each.
const RING_FIELDS_BYTES: usize = 6;
/// A descriptor and a length, 4 bytes each.
const USED_ELEMENT_BYTES: usize = 8;
/// The used ring has fields of 4 bytes.
const USED_ALIGN: usize = 4;

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
    let available = DESCRIPTOR_BYTES * size;
    let used = (available + RING_FIELDS_BYTES + 2 * size).next_multiple_of(USED_ALIGN);
    Some(Layout { available, used, bytes: used + RING_FIELDS_BYTES + USED_ELEMENT_BYTES * size })
}
