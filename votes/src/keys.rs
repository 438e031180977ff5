//! The store's keys.

use alloc::vec::Vec;

/// List: entries that wait to be counted. Vote services append, workers take from the front.
pub const QUEUE: &[u8] = b"votes";
/// List: what was on the queue and is no vote.
pub const REJECTED: &[u8] = b"votes:rejected";
/// Counter: where tickets come from, which order votes.
pub const TICKETS: &[u8] = b"votes:ticket";
/// Hash: epochs, and the sequences at which they begin.
pub const EPOCHS: &[u8] = b"votes:epochs";
/// The field of [`EPOCHS`] that says that there were older ones.
pub const PRUNED: &[u8] = b"pruned";
/// Hash: workers, and a count of each that grows while it runs.
pub const WORKERS: &[u8] = b"votes:workers";
/// Hashes: the voters of each option, and the sequence of the vote that counts. A voter is in one of them.
pub const RESULTS: [&[u8]; 2] = [b"results:a", b"results:b"];

/// What the name of a worker follows in the key of its [`processing`] list.
pub const PROCESSING: &[u8] = b"votes:processing:";

/// List: entries that the worker with this name has taken and not yet counted.
pub fn processing(worker: &[u8]) -> Vec<u8> {
    [PROCESSING, worker].concat()
}
