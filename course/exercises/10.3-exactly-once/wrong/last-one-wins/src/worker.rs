//! Loses nothing, but lets whatever comes last count.

use crate::store::{Change, Killed, Store};

/// A life of the worker.
pub fn work(store: &mut Store) -> Result<(), Killed> {
    loop {
        while let Some(vote) = store.first_taken()? {
            store.transaction(&[
                Change::SetResult(vote.voter, vote.choice, vote.sequence),
                Change::Remove(vote),
            ])?;
        }
        if store.take()?.is_none() {
            return Ok(());
        }
    }
}
