//! How a node stops without breaking anybody's request: first it says so, then it takes no more connections
//! and ends those that it has, each after the request under way.
//!
//! Reads no clock and closes nothing: it says how far the shutdown has come. Who is connected is in the
//! connection table, which tells services; the runtime closes the ports. Orders come from the platform, or as requests
//! that name a secret ([`StopToken`]) where a machine hears nothing else.

use core::time::Duration;

use wire::Instant;

use crate::secret::Secret;

/// The scheme of a request's `Authorization` (RFC 6750 section 2.1), which case does not matter for.
const SCHEME: &str = "Bearer ";

/// How long a node that was told to stop goes on taking connections, while `/readyz` says that it stops and
/// every answer is the last one of its connection. Balancers and clients that ask again have gone by then.
pub const NOTICE: Duration = Duration::from_millis(500);
/// How long requests under way may take once no more are taken.
pub const DRAIN_MAX: Duration = Duration::from_secs(3);
/// How long who waits for the end of that may take to receive the answer.
pub const REPORT_MAX: Duration = Duration::from_millis(500);

/// How far a node is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ShutdownPhase {
    /// It goes on.
    #[default]
    Open,
    /// It still takes connections, and says that it is going to stop.
    Announced,
    /// It takes no more connections, and ends each once nothing is under way on it.
    Draining,
    /// Nothing is under way any more, and who waits for that is told.
    Drained,
    /// The time to drain is over while something is under way, and who waits is told.
    Overdue,
}

/// One node's shutdown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shutdown {
    phase: ShutdownPhase,
    /// When the next phase begins by itself.
    due: Option<Instant>,
    /// Whether somebody waits until it has drained.
    is_awaited: bool,
    is_over: bool,
}

impl Shutdown {
    /// The order to stop. With a `notice`, connections are taken for that long; without one, until the next
    /// order. A further order always goes on to the next phase; the third ends everything.
    pub fn order(&mut self, notice: Option<Duration>, now: Instant) {
        match self.phase {
            ShutdownPhase::Open => {
                self.phase = ShutdownPhase::Announced;
                self.due = notice.map(|notice| now + notice);
            }
            ShutdownPhase::Announced => self.drain(now),
            _ => self.is_over = true,
        }
    }

    /// The order to stop of somebody who waits until the node has drained. However often it comes, it shortens
    /// nothing; it only ends the wait for a further order.
    pub fn order_and_wait(&mut self, now: Instant) {
        self.is_awaited = true;
        if self.due.is_none() {
            self.order(Some(NOTICE), now);
        }
    }

    /// How far it had come when it was last looked at.
    pub fn phase(&self) -> ShutdownPhase {
        self.phase
    }

    /// How far it has come by now.
    pub fn advance(&mut self, now: Instant) -> ShutdownPhase {
        if self.due.is_some_and(|due| due <= now) {
            match self.phase {
                ShutdownPhase::Open | ShutdownPhase::Announced => self.drain(now),
                ShutdownPhase::Draining if self.is_awaited => self.report(ShutdownPhase::Overdue, now),
                _ => self.is_over = true,
            }
        }
        self.phase
    }

    /// Notes that nothing is under way any more, and whether nobody is connected either.
    pub fn note_drained(&mut self, is_alone: bool, now: Instant) {
        if is_alone {
            self.is_over |= self.phase >= ShutdownPhase::Draining;
        } else if self.is_awaited && self.phase == ShutdownPhase::Draining {
            self.report(ShutdownPhase::Drained, now);
        }
    }

    /// Whether the order has come.
    pub fn is_under_way(&self) -> bool {
        self.phase != ShutdownPhase::Open
    }

    /// Whether the node is to end now.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// When [`Shutdown::advance`] has something to say.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    fn drain(&mut self, now: Instant) {
        self.phase = ShutdownPhase::Draining;
        self.due = Some(now + DRAIN_MAX);
    }

    fn report(&mut self, phase: ShutdownPhase, now: Instant) {
        self.phase = phase;
        self.due = Some(now + REPORT_MAX);
    }
}

/// The secret that a request to stop has to name; without one, there are no such requests.
#[derive(Clone, Debug, Default)]
pub struct StopToken(Option<Secret>);

impl StopToken {
    /// The token of this secret, if there is one.
    pub fn new(secret: Option<Secret>) -> Self {
        Self(secret)
    }

    /// Whether requests can stop the node at all.
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Whether an `Authorization` names it; how long that takes says nothing of the secret.
    pub fn allows(&self, authorization: Option<&[u8]>) -> bool {
        let (Some(secret), Some(value)) = (&self.0, authorization) else { return false };
        let Some((scheme, given)) = value.split_at_checked(SCHEME.len()) else { return false };
        scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) && secret.is(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_announced_then_drains_and_ends_without_connections() {
        let start = Instant::from_millis(1_000);
        let mut shutdown = Shutdown::default();
        shutdown.note_drained(true, start);
        assert_eq!((shutdown.advance(start), shutdown.is_over()), (ShutdownPhase::Open, false));
        shutdown.order(Some(NOTICE), start);
        shutdown.note_drained(true, start);
        assert_eq!((shutdown.advance(start), shutdown.is_over()), (ShutdownPhase::Announced, false));
        let drains = start + NOTICE;
        assert_eq!(shutdown.next_deadline(), Some(drains));
        assert_eq!((shutdown.advance(drains), shutdown.is_over()), (ShutdownPhase::Draining, false));
        shutdown.note_drained(false, drains);
        assert!(!shutdown.is_over(), "somebody is connected");
        shutdown.note_drained(true, drains);
        assert!(shutdown.is_over());
    }

    #[test]
    fn draining_has_a_limit() {
        let start = Instant::ZERO;
        let mut shutdown = Shutdown::default();
        shutdown.order(None, start);
        assert_eq!(shutdown.next_deadline(), None, "the next order is waited for");
        shutdown.order(None, start);
        assert_eq!(shutdown.advance(start), ShutdownPhase::Draining);
        assert!(!shutdown.is_over());
        shutdown.advance(start + DRAIN_MAX);
        assert!(shutdown.is_over());
    }

    #[test]
    fn who_waits_is_told_before_the_end_and_orders_only_once() {
        let announced = |shutdown: &mut Shutdown, at| {
            shutdown.order_and_wait(at);
            (shutdown.phase(), shutdown.next_deadline())
        };
        let mut shutdown = Shutdown::default();
        let drains = Instant::ZERO + NOTICE;
        for at in [Instant::ZERO, Instant::from_millis(100)] {
            assert_eq!(announced(&mut shutdown, at), (ShutdownPhase::Announced, Some(drains)));
        }
        shutdown.advance(drains);
        let limit = drains + DRAIN_MAX;
        assert_eq!(announced(&mut shutdown, drains), (ShutdownPhase::Draining, Some(limit)));
        let mut in_time = shutdown;
        in_time.note_drained(false, drains);
        assert_eq!((in_time.phase(), in_time.is_over()), (ShutdownPhase::Drained, false));
        assert_eq!((shutdown.advance(limit), shutdown.is_over()), (ShutdownPhase::Overdue, false));
        for (mut shutdown, end) in [(in_time, drains + REPORT_MAX), (shutdown, limit + REPORT_MAX)] {
            assert_eq!(shutdown.next_deadline(), Some(end));
            shutdown.advance(end);
            assert!(shutdown.is_over());
        }
    }

    #[test]
    fn who_waits_ends_the_wait_for_a_further_order() {
        let mut shutdown = Shutdown::default();
        shutdown.order(None, Instant::ZERO);
        shutdown.order_and_wait(Instant::ZERO);
        assert_eq!(shutdown.phase(), ShutdownPhase::Draining);
    }

    #[test]
    fn only_the_whole_token_stops_a_node() {
        let token = |value: &str| StopToken::new(Secret::new(value.as_bytes()));
        let allows = |value: &str, given: &str| token(value).allows(Some(given.as_bytes()));
        assert!(allows("abc", "Bearer abc") && allows("abc", "bearer abc"));
        for wrong in ["", "abc", "Bearer", "Bearer ", "Bearer ab", "Bearer abcd", "Bearer  abc", "Basic abc "]
        {
            assert!(!allows("abc", wrong), "{wrong:?}");
        }
        assert!(!allows("", "Bearer "), "without a token, nobody may");
        assert!(!token("abc").allows(None));
    }

    #[test]
    fn a_third_stop_ends_at_once() {
        let mut shutdown = Shutdown::default();
        (0..3).for_each(|_| shutdown.order(Some(NOTICE), Instant::ZERO));
        assert!(shutdown.is_over());
    }
}
