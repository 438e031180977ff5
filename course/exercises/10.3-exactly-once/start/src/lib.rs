//! Exercise 10.3: exactly once, under replays. `worker.rs` is a worker: edit it. `store.rs` is the store that it talks
//! to; leave that as it is.
//!
//! Votes wait in the store's queue. The worker takes them, one at a time, and makes each of them the result of its
//! voter. It may be killed between any two commands, or after one whose reply it never sees; then it starts again with
//! nothing but what the store has. The queue does not keep an order that one could rely on, either: a vote may come a
//! second time, and an old one after a newer one. Each vote has a sequence: of two votes of a voter the one with the
//! larger sequence counts.
//!
//! At the end every voter must be counted once, for the vote with the largest sequence, and nothing may wait.

pub mod store;
pub mod worker;
