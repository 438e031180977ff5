//! The moment at which a clock that shows whole seconds advances, found with few reads.
//!
//! This module reads no clock and never waits: the caller passes what it read, and gets the time of the next read. At
//! first, reads are a tenth of a second apart, or much closer if the search is urgent. Around the next edge, one
//! second later, they bisect the interval that is still unknown.

use core::time::Duration;

use wire::Instant;

/// Time between looks while nothing is known, and in a hurry.
const COARSE: Duration = Duration::from_millis(100);
const FINE: Duration = Duration::from_millis(3);
/// Into how many parts an edge's window is divided, a second later.
const PARTS: u32 = 8;
/// A window of this width is narrow enough, and in a hurry: its middle is right to half of it.
const NARROW: Duration = Duration::from_millis(4);
const NARROW_IN_HASTE: Duration = Duration::from_millis(10);
/// A window of this width serves when looks come too late for a narrower one, as on a busy host: after so many edges
/// that a search needs otherwise, and in a hurry.
const USEFUL: Duration = Duration::from_millis(40);
const EDGES: u32 = 3;
const EDGES_IN_HASTE: u32 = 1;
/// How far before and behind the expected edge a later search looks: more than a counter is off in a minute.
const MARGIN: Duration = Duration::from_millis(40);
const SECOND: Duration = Duration::from_secs(1);
/// How long one search may take; a clock that stands still or leaps is given up.
pub const SEARCH_MAX: Duration = Duration::from_secs(12);

/// An edge that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// When the clock went on, to [`Self::error`].
    pub at: Instant,
    /// By how much that may be wrong.
    pub error: Duration,
    /// What it showed from then on: 0 to 59.
    pub second: u8,
}

/// What a search has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Look again then.
    LookAt(Instant),
    /// It is there.
    Found(Edge),
    /// The clock does not go like a clock.
    GivenUp,
}

/// A search for one edge.
#[derive(Clone, Copy, Debug)]
pub struct EdgeSearch {
    is_urgent: bool,
    started: Option<Instant>,
    /// The last look: its time and the second that was shown.
    last: Option<(Instant, u8)>,
    /// The narrowest window so far.
    window: Option<(Instant, Instant)>,
    /// Edges that have passed.
    edges: u32,
}

impl EdgeSearch {
    /// A search that knows nothing.
    pub const fn new() -> Self {
        Self { is_urgent: false, started: None, last: None, window: None, edges: 0 }
    }

    /// A search that knows nothing and is to be over with the next edge, at the cost of some hundred looks.
    pub const fn urgent() -> Self {
        Self { is_urgent: true, ..Self::new() }
    }

    /// A search that knows of an edge in the past. Its first look is at the returned time.
    pub fn around(edge: Instant, now: Instant) -> (Self, Instant) {
        let seconds = now.since(edge).as_secs() + 2;
        let next = edge + Duration::from_secs(seconds);
        let start = Instant::from_micros(next.as_micros() - (SECOND + MARGIN).as_micros() as u64);
        let window = Some((start, start + 2 * MARGIN));
        (Self { window, ..Self::new() }, start + SECOND)
    }

    /// The clock showed `second` at some time from `before` to `after`.
    pub fn look(&mut self, before: Instant, after: Instant, second: u8) -> Search {
        if before.since(*self.started.get_or_insert(before)) > SEARCH_MAX {
            return Search::GivenUp;
        }
        let last = self.last.replace((before, second));
        if let Some((last, shown)) = last
            && (shown + 1) % 60 == second
        {
            self.edges += 1;
            let width = after.since(last);
            if width <= self.enough() {
                return Search::Found(Edge { at: last + width / 2, error: width / 2, second });
            }
            self.window = match self.window {
                // All looks came too late: the next ones begin sooner.
                Some((start, end)) if width > SECOND / 2 => Some((earlier(start, end.since(start)), end)),
                Some((start, end)) if end.since(start) <= width => self.window,
                _ => Some((last, after)),
            };
        }
        Search::LookAt(self.next_look(after))
    }

    /// How wide a window may be that has the edge.
    fn enough(&self) -> Duration {
        match (self.edges, self.is_urgent) {
            (EDGES_IN_HASTE, true) => NARROW_IN_HASTE,
            (..=EDGES, false) => NARROW,
            _ => USEFUL,
        }
    }

    /// The next of the points that divide the window, a whole number of seconds later.
    fn next_look(&self, now: Instant) -> Instant {
        let Some((start, end)) = self.window else {
            return now + if self.is_urgent { FINE } else { COARSE };
        };
        let part = (end.since(start) / PARTS).max(Duration::from_micros(100));
        // The first look of a round is to show the old second, so that there is something to compare with.
        let start = earlier(start, part);
        let this = start + Duration::from_secs(now.since(start).as_secs());
        let within = (0..PARTS + 3).map(|index| this + part * index).find(|point| *point > now);
        within.unwrap_or(this + SECOND)
    }
}

fn earlier(time: Instant, by: Duration) -> Instant {
    Instant::from_micros(time.as_micros().saturating_sub(by.as_micros() as u64))
}

impl Default for EdgeSearch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at a clock whose edges lie `phase` behind the monotonic clock's, each look late by `late`.
    fn search(mut search: EdgeSearch, mut at: Instant, phase: u64, late: u64) -> (Edge, u32, Instant) {
        for looks in 1.. {
            let before = at + Duration::from_micros(late);
            let shown = (before.as_micros() - phase) / 1_000_000 % 60;
            let after = before + Duration::from_micros(20);
            match search.look(before, after, shown as u8) {
                Search::Found(edge) => return (edge, looks, after),
                Search::LookAt(next) => {
                    assert!(next > before, "it always goes on");
                    at = next.max(after);
                }
                Search::GivenUp => panic!("given up after {looks} looks, phase {phase}"),
            }
        }
        unreachable!("the loop has no end")
    }

    #[test]
    fn an_edge_is_found_in_some_seconds_and_few_looks() {
        for (index, phase) in (0..1_000_000).step_by(7_919).enumerate() {
            let late = index as u64 % 5 * 150;
            let start = Instant::from_micros(3_130_000);
            let (edge, looks, end) = search(EdgeSearch::new(), start, phase, late);
            let off = (edge.at.as_micros() - phase + 500_000) % 1_000_000;
            assert!(off.abs_diff(500_000) <= 2_100, "phase {phase}: {edge:?}");
            assert!(looks <= 60 && end.since(start) < Duration::from_secs(6), "{looks} looks, {end:?}");
        }
    }

    #[test]
    fn a_known_edge_is_found_again_though_the_counter_is_off() {
        for drift in [-30_000i64, -1_000, 0, 1_000, 30_000] {
            let known = Instant::from_micros(5_250_000);
            let now = Instant::from_micros(65_900_000);
            let (begun, first) = EdgeSearch::around(known, now);
            assert!(first > now && first.since(now) <= 2 * SECOND, "{first:?}");
            let phase = 250_000u64.saturating_add_signed(drift);
            let (edge, looks, _) = search(begun, first, phase, 100);
            let off = (edge.at.as_micros() - phase + 500_000) % 1_000_000;
            assert!(off.abs_diff(500_000) <= 2_100 && looks <= 40, "{edge:?} in {looks} looks");
        }
    }

    #[test]
    fn a_clock_that_stands_still_is_given_up() {
        let (mut search, mut now) = (EdgeSearch::new(), Instant::from_micros(1));
        let looks = (1..1_000usize).find(|_| match search.look(now, now, 7) {
            Search::LookAt(next) => {
                now = next;
                false
            }
            outcome => outcome == Search::GivenUp,
        });
        assert!(looks.is_some_and(|looks| looks < 130), "{looks:?}");
    }

    #[test]
    fn an_urgent_search_takes_the_next_edge() {
        for (phase, late) in [(0, 0), (131_000, 200), (999_000, 900), (500_000, 4_000)] {
            let start = Instant::from_micros(3_130_000);
            let (edge, _, end) = search(EdgeSearch::urgent(), start, phase, late);
            let off = ((edge.at.as_micros() - phase + 500_000) % 1_000_000).abs_diff(500_000);
            assert!(u128::from(off) <= edge.error.as_micros() && off <= 5_100, "phase {phase}: {edge:?}");
            assert!(end.since(start) <= Duration::from_millis(1_010), "{end:?}");
        }
        // Looks that come too late for that find it a second later.
        let (edge, _, end) = search(EdgeSearch::urgent(), Instant::from_micros(3_130_000), 500_000, 9_500);
        assert!(edge.error <= USEFUL / 2 && end < Instant::from_micros(10_000_000), "{edge:?} {end:?}");
    }
}
