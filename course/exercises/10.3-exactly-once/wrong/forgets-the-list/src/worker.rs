//! Does not look at its start what an earlier life has taken.

use crate::store::{Change, Killed, Store};

/// A life of the worker.
pub fn work(store: &mut Store) -> Result<(), Killed> {
    while let Some(vote) = store.take()? {
        let counts = store.result(vote.voter)?;
        let is_newer = counts.is_none_or(|(_, sequence)| vote.sequence > sequence);
        let changes = [Change::Remove(vote), Change::SetResult(vote.voter, vote.choice, vote.sequence)];
        store.transaction(if is_newer { &changes } else { &changes[..1] })?;
    }
    Ok(())
}
