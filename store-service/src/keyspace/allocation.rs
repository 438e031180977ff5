//! The memory that allocations and trees use.

/// What an entry of 40 bytes takes in a tree, beyond the first.
pub(super) const TREE_ENTRY_BYTES: usize = 104;
/// What the first one takes.
const TREE_BYTES: usize = 480;

/// What an allocation of so many bytes takes: the guest's allocator has 16 bytes of its own in each block, and
/// blocks of 32 bytes and multiples.
pub(super) const fn allocation_bytes(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 16).next_multiple_of(32) }
}

/// What a tree takes of so many entries of at most 40 bytes, at most: but for the root its nodes, of up to 11
/// entries, are never less than half full.
pub(super) const fn tree_bytes(entries: usize) -> usize {
    if entries == 0 { 0 } else { TREE_BYTES + entries * TREE_ENTRY_BYTES }
}
