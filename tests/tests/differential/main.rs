//! The store against a real redis-server: the same commands, the same replies.
//!
//! `cargo run -p tests --bin differential` plays any number of random streams.

mod blocking;
mod pipelines;
mod protocol;
mod streams;

use tests::redis::{Server, redis, store};

/// Plays a scene on both servers and expects it to go alike; what happened on the store.
fn alike<T: PartialEq + std::fmt::Debug>(scene: impl Fn(&Server) -> T) -> T {
    let (right, ours) = (scene(&redis(&["--databases", "1"])), scene(&store(&[])));
    assert_eq!(ours, right, "the store, and redis-server");
    ours
}
