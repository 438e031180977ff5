//! What a store refuses for, and when to ask it again.
//!
//! A *round* is a login and a sign of life. Its first error tells what is wrong: those that follow are
//! consequences. Sends nothing.

use core::time::Duration;

use crate::client::error::Refusal;
use wire::Entropy;
use wire::Instant;

/// Longest wait before the first further round; half to all of it, by chance.
pub const RETRY_MIN: Duration = Duration::from_millis(500);
/// Longest wait between rounds; they double up to it.
pub const RETRY_MAX: Duration = Duration::from_secs(4);

/// What the store refuses now, and when it is asked again.
#[derive(Debug)]
pub(super) struct Trouble {
    refusal: Option<Refusal>,
    /// The round under way, or what came since the last, had an error.
    noted: bool,
    wait: Duration,
    retry_at: Option<Instant>,
}

impl Trouble {
    /// None so far.
    pub const fn new() -> Self {
        Self { refusal: None, noted: false, wait: RETRY_MIN, retry_at: None }
    }

    /// What is wrong, if anything.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// When the next round is due.
    pub fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// A round begins.
    pub fn begin_round(&mut self) {
        self.noted = false;
        self.retry_at = None;
    }

    /// An error came. Says whether it is news.
    pub fn note(&mut self, refusal: Refusal, now: Instant, entropy: &mut dyn Entropy) -> bool {
        if core::mem::replace(&mut self.noted, true) {
            return false;
        }
        let half_ms = u64::try_from(self.wait.as_millis() / 2).unwrap_or(0);
        self.retry_at = Some(now + Duration::from_millis(half_ms + entropy.next_u64() % (half_ms + 1)));
        self.wait = (self.wait * 2).min(RETRY_MAX);
        self.refusal.replace(refusal) != Some(refusal)
    }

    /// The connection is left because of this; the next one begins a round of its own.
    pub fn leave(&mut self, refusal: Refusal) {
        *self = Self { refusal: Some(refusal), ..Self::new() };
    }

    /// The sign of life at the end of a round came.
    pub fn end_round(&mut self) {
        if !self.noted {
            *self = Self::new();
        }
    }

    /// A command of the owner's was carried out: what was wrong is over, unless it was the login.
    pub fn succeeded(&mut self) {
        if self.refusal.is_some_and(|refusal| !refusal.is_final()) {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chance that always gives the most.
    struct Most;

    impl Entropy for Most {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn rounds_follow_after_growing_waits_until_one_succeeds() {
        let (mut trouble, mut now) = (Trouble::new(), Instant::ZERO);
        for wait_ms in [250, 500, 1000, 2000, 2000] {
            trouble.begin_round();
            trouble.note(Refusal::Loading, now, &mut Most);
            let due = trouble.retry_at().expect("another round");
            assert_eq!(due - now, Duration::from_millis(wait_ms));
            now = due;
        }
        trouble.begin_round();
        trouble.end_round();
        assert_eq!((trouble.refusal(), trouble.retry_at()), (None, None));
        assert!(trouble.note(Refusal::Loading, now, &mut Most));
        assert_eq!(trouble.retry_at(), Some(now + RETRY_MIN / 2));
    }

    #[test]
    fn the_first_error_of_a_round_is_reported_once() {
        let mut trouble = Trouble::new();
        let mut note = |refusal| trouble.note(refusal, Instant::ZERO, &mut Most);
        assert!(note(Refusal::Password));
        assert!(!note(Refusal::PasswordWanted));
        assert_eq!(trouble.refusal(), Some(Refusal::Password));
        trouble.begin_round();
        assert!(!trouble.note(Refusal::Password, Instant::ZERO, &mut Most));
        trouble.succeeded();
        assert_eq!(trouble.refusal(), Some(Refusal::Password), "the login has not succeeded");
        trouble.end_round();
        assert_eq!(trouble.refusal(), Some(Refusal::Password));
    }
}
