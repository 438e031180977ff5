//! The other workers as they show themselves in the store, and what those who are gone have left.
//!
//! Sends nothing. A worker shows itself by a count that grows; one whose count stands still for
//! [`ORPHAN_AFTER`] by this worker's clock is taken to be gone. Clocks are never compared.

use alloc::vec::Vec;

use crate::limits::{
    BATCH_MAX, COLLEAGUES_MAX, FORGET_AFTER, HEARTBEAT_EVERY, INSTANCE_BYTES_MAX, ORPHAN_AFTER,
};
use wire::Instant;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task<'a> {
    /// To show oneself, and to look for the others.
    Beat,
    /// To ask how many elements this worker has left.
    Measure(&'a [u8]),
    /// To move so many elements that this worker has left.
    Rescue(&'a [u8], usize),
    /// To remove this worker, who is long gone and has left nothing.
    Forget(&'a [u8]),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Colleagues {
    others: Vec<Colleague>,
    /// When this worker has shown itself last.
    shown_at: Option<Instant>,
    /// Whom [`Colleagues::measured`] is about.
    visited: usize,
}

#[derive(Debug)]
struct Colleague {
    name: Vec<u8>,
    count: Vec<u8>,
    /// When the count was seen to be another.
    since: Instant,
    seen: bool,
    /// What there is to be done, if it is silent.
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Measure,
    Rescue(usize),
    Forget,
    Done,
}

impl Colleagues {
    /// Forgets all that was seen: on a new connection, observation begins anew.
    pub fn clear(&mut self) {
        self.others.clear();
        self.shown_at = None;
    }

    /// How many others there are.
    pub fn len(&self) -> usize {
        self.others.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    /// What is to be done.
    pub fn task(&self, now: Instant) -> Option<Task<'_>> {
        if self.shown_at.is_none_or(|shown_at| shown_at + HEARTBEAT_EVERY <= now) {
            return Some(Task::Beat);
        }
        self.others.iter().find_map(|other| match other.step {
            Step::Measure => Some(Task::Measure(&other.name)),
            Step::Rescue(left) => Some(Task::Rescue(&other.name, left.min(BATCH_MAX))),
            Step::Forget => Some(Task::Forget(&other.name)),
            Step::Done => None,
        })
    }

    /// The task's commands were sent. Should their replies be errors, it is done at the next look.
    pub fn began(&mut self) {
        if let Some(index) = self.others.iter().position(|other| other.step != Step::Done) {
            self.visited = index;
            self.others[index].step = Step::Done;
        }
    }

    /// This worker has shown itself.
    pub fn shown(&mut self, now: Instant) {
        self.shown_at = Some(now);
    }

    /// All workers but this one, with their counts.
    pub fn look<'a>(&mut self, workers: impl Iterator<Item = (&'a [u8], &'a [u8])>, now: Instant) {
        self.others.iter_mut().for_each(|other| other.seen = false);
        workers.for_each(|(name, count)| self.see(name, count, now));
        self.others.retain(|other| other.seen);
        for other in &mut self.others {
            other.step = if now.since(other.since) < ORPHAN_AFTER { Step::Done } else { Step::Measure };
        }
    }

    fn see(&mut self, name: &[u8], count: &[u8], now: Instant) {
        if let Some(other) = self.others.iter_mut().find(|other| other.name == name) {
            other.seen = true;
            if other.count != count {
                other.count = count.to_vec();
                other.since = now;
            }
        } else if self.others.len() < COLLEAGUES_MAX && name.len() <= INSTANCE_BYTES_MAX {
            let (name, count) = (name.to_vec(), count.to_vec());
            self.others.push(Colleague { name, count, since: now, seen: true, step: Step::Done });
        }
    }

    /// How many elements are left of the one who was visited.
    pub fn measured(&mut self, left: usize, now: Instant) {
        let Some(other) = self.others.get_mut(self.visited) else { return };
        other.step = match left {
            0 if now.since(other.since) >= FORGET_AFTER => Step::Forget,
            0 => Step::Done,
            left => Step::Rescue(left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn look(colleagues: &mut Colleagues, seconds: u64, workers: &[(&str, &str)]) -> Instant {
        let now = Instant::ZERO + Duration::from_secs(seconds);
        colleagues.shown(now);
        colleagues.look(workers.iter().map(|(name, count)| (name.as_bytes(), count.as_bytes())), now);
        now
    }

    #[test]
    fn who_shows_nothing_new_is_visited_until_nothing_is_left_and_then_forgotten() {
        let mut colleagues = Colleagues::default();
        assert_eq!(colleagues.task(Instant::ZERO), Some(Task::Beat));
        look(&mut colleagues, 0, &[("alive", "1"), ("gone", "7")]);
        let now = look(&mut colleagues, 5, &[("alive", "2"), ("gone", "7")]);
        assert_eq!(colleagues.task(now), None, "it may be slow");
        let now = look(&mut colleagues, 10, &[("alive", "3"), ("gone", "7")]);
        assert_eq!(colleagues.task(now), Some(Task::Measure(b"gone")));
        colleagues.began();
        assert_eq!(colleagues.task(now), None, "one question at a time");
        colleagues.measured(100, now);
        assert_eq!(colleagues.task(now), Some(Task::Rescue(b"gone", BATCH_MAX)));
        colleagues.began();
        colleagues.measured(36, now);
        assert_eq!(colleagues.task(now), Some(Task::Rescue(b"gone", 36)));
        colleagues.began();
        colleagues.measured(0, now);
        assert_eq!(colleagues.task(now), None);
        assert_eq!(colleagues.task(now + HEARTBEAT_EVERY), Some(Task::Beat));

        let now = look(&mut colleagues, 60, &[("alive", "4"), ("gone", "7")]);
        colleagues.began();
        colleagues.measured(0, now);
        assert_eq!(colleagues.task(now), Some(Task::Forget(b"gone")));
        let now = look(&mut colleagues, 65, &[("alive", "5")]);
        assert_eq!((colleagues.task(now), colleagues.others.len()), (None, 1));
    }

    #[test]
    fn who_comes_back_is_left_alone() {
        let mut colleagues = Colleagues::default();
        look(&mut colleagues, 0, &[("slow", "1")]);
        look(&mut colleagues, 10, &[("slow", "1")]);
        let now = look(&mut colleagues, 15, &[("slow", "2")]);
        assert_eq!(colleagues.task(now), None);
    }

    #[test]
    fn the_number_of_colleagues_is_bounded() {
        let mut colleagues = Colleagues::default();
        let names: Vec<_> = (0..COLLEAGUES_MAX + 9).map(|number| alloc::format!("{number}")).collect();
        let workers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        look(&mut colleagues, 0, &workers);
        assert_eq!(colleagues.others.len(), COLLEAGUES_MAX);
        let now = look(&mut colleagues, 5, &workers[COLLEAGUES_MAX..]);
        assert_eq!((colleagues.others.len(), colleagues.task(now)), (0, None), "room first");
        look(&mut colleagues, 10, &workers[COLLEAGUES_MAX..]);
        assert_eq!(colleagues.others.len(), 9);
    }
}
