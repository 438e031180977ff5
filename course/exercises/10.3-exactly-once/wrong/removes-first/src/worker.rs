//! Removes a vote from the processing list before it is counted.

use crate::store::{Change, Killed, Store};

/// A life of the worker.
pub fn work(store: &mut Store) -> Result<(), Killed> {
    loop {
        while let Some(vote) = store.first_taken()? {
            store.transaction(&[Change::Remove(vote)])?;
            let counts = store.result(vote.voter)?;
            if counts.is_none_or(|(_, sequence)| vote.sequence > sequence) {
                store.transaction(&[Change::SetResult(vote.voter, vote.choice, vote.sequence)])?;
            }
        }
        if store.take()?.is_none() {
            return Ok(());
        }
    }
}
