//! The worker: it counts the votes of the queue until none waits. Edit this file.

use crate::store::{Change, Killed, Store};

/// A life of the worker: from its start until nothing waits, or until it is killed.
///
/// # Errors
/// When it was killed; the next life begins with a new call.
pub fn work(store: &mut Store) -> Result<(), Killed> {
    while let Some(vote) = store.pop()? {
        store.transaction(&[Change::SetResult(vote.voter, vote.choice, vote.sequence)])?;
    }
    Ok(())
}
