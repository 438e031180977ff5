//! The worker: it counts the votes of the queue until none waits.

use crate::store::{Change, Killed, Store, Vote};

/// A life of the worker: from its start until nothing waits, or until it is killed.
///
/// # Errors
/// When it was killed; the next life begins with a new call.
pub fn work(store: &mut Store) -> Result<(), Killed> {
    loop {
        // What an earlier life has taken comes first: it may have been counted or not, and that is the same.
        while let Some(vote) = store.first_taken()? {
            settle(store, vote)?;
        }
        if store.take()?.is_none() {
            return Ok(());
        }
    }
}

/// Counts a vote if it is newer than what counts, and removes it, both at once.
fn settle(store: &mut Store, vote: Vote) -> Result<(), Killed> {
    let counts = store.result(vote.voter)?;
    let is_newer = counts.is_none_or(|(_, sequence)| vote.sequence > sequence);
    let counted = Change::SetResult(vote.voter, vote.choice, vote.sequence);
    let changes = [Change::Remove(vote), counted];
    store.transaction(if is_newer { &changes } else { &changes[..1] })
}
