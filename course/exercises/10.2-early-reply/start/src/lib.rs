//! Exercise 10.2: a store that acknowledges early.
//!
//! `store.rs` is the store: edit it. `disk.rs` is a disk that can lose its power, and `world.rs` the clients, the time
//! and the power cuts, all of them decided by a seed: leave these as they are.
//!
//! 1. `cargo run -- --seeds 1000` runs seeds until one of them shows a loss. Write its number into `answer.toml`.
//! 2. `cargo run -- --seed N` says what happened in that seed. Understand it before you mend anything.
//! 3. Mend the store: no client must be told what a power cut can still undo. But do not wait for the disk once for
//!    every command: it is slow, and there are eight clients.

pub mod disk;
pub mod random;
pub mod store;
pub mod world;
