//! People who vote while something happens.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tests::client::wait_for;
use tests::crash::voters::Voters;

/// So many votes are counted before anything happens.
const VOTES_BEFORE: u64 = 40;
const COUNTED_WITHIN: Duration = Duration::from_secs(30);

/// Ends the voting when this test fails in the middle of it.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets people vote, and does what is to be done once some votes have been counted. Returns when everybody has been
/// acknowledged.
pub fn vote_through(
    address: SocketAddrV4,
    scores: impl Fn() -> Option<(u64, u64)>,
    happens: impl FnOnce(),
) -> Voters {
    let mut voters = Voters::new(1);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let voting = scope.spawn(|| voters.vote(address, &is_over));
        let _ending = Ending(&is_over);
        let counted = wait_for(COUNTED_WITHIN, || scores().filter(|(a, b)| a + b >= VOTES_BEFORE));
        assert!(
            counted.is_some(),
            "{VOTES_BEFORE} votes are not counted within {COUNTED_WITHIN:?}: {:?}",
            scores()
        );
        happens();
        voting.join().expect("no voter panics").expect("everybody is acknowledged");
    });
    voters
}
