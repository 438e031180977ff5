//! The memory that allocations and trees use.

/// What an entry of 40 bytes takes in a tree, beyond the first.
pub(super) const TREE_ENTRY_BYTES: usize = 104;
/// What the first one takes.
const TREE_BYTES: usize = 480;

/// The memory that an allocation of this size uses: the guest's allocator adds 16 bytes to each block, and
/// blocks of 32 bytes and multiples.
pub(super) const fn allocation_bytes(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 16).next_multiple_of(32) }
}

/// The most memory of a tree with this number of entries of at most 40 bytes. Its nodes hold up to 11 entries and,
/// except for the root, are always at least half full.
pub(super) const fn tree_bytes(entries: usize) -> usize {
    if entries == 0 { 0 } else { TREE_BYTES + entries * TREE_ENTRY_BYTES }
}
