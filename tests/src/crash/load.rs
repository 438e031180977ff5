//! Voters who vote without a pause while a cluster is disturbed, and what they were acknowledged.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::voters::Voters;
use crate::client::wait_for;

/// What gives the same voters again.
const SEED: u64 = 34;
/// The longest pause of the application is that of a drained node, with a store that boots emulated after it.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(300);

/// Voters at work.
pub struct Load {
    thread: JoinHandle<Result<Voters>>,
    is_over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Load {
    /// Lets them vote at this address.
    pub fn start(address: SocketAddrV4) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&acknowledged));
        let thread = thread::spawn(move || {
            let voted = vote(address, &over, &count);
            voted.inspect_err(|error| eprintln!("the voters have given up: {error:#}"))
        });
        Self { thread, is_over, acknowledged }
    }

    /// Waits until everybody has voted once more.
    ///
    /// # Errors
    /// When nobody is acknowledged any more.
    pub fn wait_for_votes(&self) -> Result<()> {
        let before = self.acknowledged.load(Ordering::Relaxed);
        let has_more = || self.acknowledged.load(Ordering::Relaxed) > before;
        let seen = wait_for(ACKNOWLEDGED_WITHIN, || (has_more() || self.thread.is_finished()).then(has_more));
        let has_more = seen.with_context(|| {
            format!("no further round of votes within {ACKNOWLEDGED_WITHIN:?}: {before} are acknowledged")
        })?;
        ensure!(has_more, "the voters have given up");
        Ok(())
    }

    /// Lets everybody finish.
    ///
    /// # Errors
    /// When somebody was not acknowledged in time.
    pub fn stop(self) -> Result<Voters> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("a voter panicked"))?
    }
}

fn vote(address: SocketAddrV4, is_over: &AtomicBool, acknowledged: &AtomicU64) -> Result<Voters> {
    let mut voters = Voters::new(SEED).patient(ACKNOWLEDGED_WITHIN);
    // A voter who has begun is to be acknowledged.
    let never = AtomicBool::new(false);
    while !is_over.load(Ordering::Relaxed) {
        voters.vote(address, &never)?;
        acknowledged.store(voters.acknowledged, Ordering::Relaxed);
    }
    Ok(voters)
}
