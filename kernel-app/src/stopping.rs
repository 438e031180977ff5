//! How a node stops without breaking anybody's request: first it says so, then it takes no more connections
//! and ends those that it has, each after the request under way.
//!
//! Reads no clock and closes nothing: it says how far the stopping has come. Who is connected is in the
//! connection table, which tells services; the runtime closes the ports.

use core::time::Duration;

use wire::Instant;

/// How long a node that was told to stop goes on taking connections, while `/readyz` says that it stops and
/// every answer is the last one of its connection. Balancers and clients that ask again have gone by then.
pub const NOTICE: Duration = Duration::from_millis(500);
/// How long requests under way may take once no more are taken.
pub const DRAIN_MAX: Duration = Duration::from_secs(3);

/// How far a node is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stage {
    /// It goes on.
    #[default]
    Open,
    /// It still takes connections, and says that it is going to stop.
    Announced,
    /// It takes no more connections, and ends each once nothing is under way on it.
    Draining,
}

/// One node's stopping.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopping {
    stage: Stage,
    /// When the next stage begins by itself.
    due: Option<Instant>,
    is_over: bool,
}

impl Stopping {
    /// The order to stop. With a `notice`, connections are taken for that long; without one, until the next
    /// order. A further order always goes on to the next stage; the third ends everything.
    pub fn order(&mut self, notice: Option<Duration>, now: Instant) {
        match self.stage {
            Stage::Open => {
                self.stage = Stage::Announced;
                self.due = notice.map(|notice| now + notice);
            }
            Stage::Announced => self.drain(now),
            Stage::Draining => self.is_over = true,
        }
    }

    /// How far it has come by now.
    pub fn advance(&mut self, now: Instant) -> Stage {
        if self.due.is_some_and(|due| due <= now) {
            match self.stage {
                Stage::Open | Stage::Announced => self.drain(now),
                Stage::Draining => self.is_over = true,
            }
        }
        self.stage
    }

    /// Notes that nobody is connected any more.
    pub fn note_drained(&mut self) {
        self.is_over |= self.stage == Stage::Draining;
    }

    /// Whether the order has come.
    pub fn is_under_way(&self) -> bool {
        self.stage != Stage::Open
    }

    /// Whether the node is to end now.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// When [`Stopping::advance`] has something to say.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    fn drain(&mut self, now: Instant) {
        self.stage = Stage::Draining;
        self.due = Some(now + DRAIN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_announced_drains_and_ends_when_nobody_is_left() {
        let start = Instant::from_millis(1_000);
        let mut stopping = Stopping::default();
        stopping.note_drained();
        assert_eq!((stopping.advance(start), stopping.is_over()), (Stage::Open, false));
        stopping.order(Some(NOTICE), start);
        stopping.note_drained();
        assert_eq!((stopping.advance(start), stopping.is_over()), (Stage::Announced, false));
        let drains = start + NOTICE;
        assert_eq!(stopping.next_deadline(), Some(drains));
        assert_eq!((stopping.advance(drains), stopping.is_over()), (Stage::Draining, false));
        stopping.note_drained();
        assert!(stopping.is_over());
    }

    #[test]
    fn draining_has_a_limit() {
        let start = Instant::ZERO;
        let mut stopping = Stopping::default();
        stopping.order(None, start);
        assert_eq!(stopping.next_deadline(), None, "the next order is waited for");
        stopping.order(None, start);
        assert_eq!(stopping.advance(start), Stage::Draining);
        assert!(!stopping.is_over());
        stopping.advance(start + DRAIN_MAX);
        assert!(stopping.is_over());
    }

    #[test]
    fn a_third_order_ends_at_once() {
        let mut stopping = Stopping::default();
        (0..3).for_each(|_| stopping.order(Some(NOTICE), Instant::ZERO));
        assert!(stopping.is_over());
    }
}
