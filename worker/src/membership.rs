//! The other workers, as they announce themselves in the store, and the lists of workers that are gone.
//!
//! It sends nothing. A worker announces itself by a counter that grows. If a counter stands still for
//! [`ORPHAN_AFTER`] by this worker's clock, its worker counts as gone. Clocks are never compared.

use alloc::vec::Vec;

use crate::limits::{
    BATCH_MAX, FORGET_AFTER, HEARTBEAT_EVERY, INSTANCE_BYTES_MAX, MEMBERS_MAX, ORPHAN_AFTER,
};
use wire::Instant;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task<'a> {
    /// To show oneself, and to look for the others.
    Heartbeat,
    /// To ask how many elements this worker has left.
    Measure(&'a [u8]),
    /// Move this number of elements that the worker has left.
    Reclaim(&'a [u8], usize),
    /// To remove this worker, who is long gone and has left nothing.
    Forget(&'a [u8]),
}

/// The workers that are known, each with its count and since when that stands still.
#[derive(Debug, Default)]
pub struct Membership {
    others: Vec<Member>,
    /// When this worker has shown itself last.
    shown_at: Option<Instant>,
    /// Whom [`Membership::measured`] is about.
    visited: usize,
}

#[derive(Debug)]
struct Member {
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
    Reclaim(usize),
    Forget,
    Done,
}

impl Membership {
    /// Forgets all that was seen: on a new connection, observation begins anew.
    pub fn clear(&mut self) {
        self.others.clear();
        self.shown_at = None;
    }

    /// How many others there are.
    pub fn len(&self) -> usize {
        self.others.len()
    }

    /// What is to be done.
    pub fn task(&self, now: Instant) -> Option<Task<'_>> {
        if self.shown_at.is_none_or(|shown_at| shown_at + HEARTBEAT_EVERY <= now) {
            return Some(Task::Heartbeat);
        }
        self.others.iter().find_map(|other| match other.step {
            Step::Measure => Some(Task::Measure(&other.name)),
            Step::Reclaim(left) => Some(Task::Reclaim(&other.name, left.min(BATCH_MAX))),
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
        } else if self.others.len() < MEMBERS_MAX && name.len() <= INSTANCE_BYTES_MAX {
            let (name, count) = (name.to_vec(), count.to_vec());
            self.others.push(Member { name, count, since: now, seen: true, step: Step::Done });
        }
    }

    /// How many elements are left of the one who was visited.
    pub fn measured(&mut self, left: usize, now: Instant) {
        let Some(other) = self.others.get_mut(self.visited) else { return };
        other.step = match left {
            0 if now.since(other.since) >= FORGET_AFTER => Step::Forget,
            0 => Step::Done,
            left => Step::Reclaim(left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn look(membership: &mut Membership, seconds: u64, workers: &[(&str, &str)]) -> Instant {
        let now = Instant::ZERO + Duration::from_secs(seconds);
        membership.shown(now);
        membership.look(workers.iter().map(|(name, count)| (name.as_bytes(), count.as_bytes())), now);
        now
    }

    #[test]
    fn the_list_of_a_silent_worker_is_drained_and_the_worker_forgotten() {
        let mut membership = Membership::default();
        assert_eq!(membership.task(Instant::ZERO), Some(Task::Heartbeat));
        look(&mut membership, 0, &[("alive", "1"), ("gone", "7")]);
        let now = look(&mut membership, 5, &[("alive", "2"), ("gone", "7")]);
        assert_eq!(membership.task(now), None, "it may be slow");
        let now = look(&mut membership, 10, &[("alive", "3"), ("gone", "7")]);
        assert_eq!(membership.task(now), Some(Task::Measure(b"gone")));
        membership.began();
        assert_eq!(membership.task(now), None, "one question at a time");
        membership.measured(100, now);
        assert_eq!(membership.task(now), Some(Task::Reclaim(b"gone", BATCH_MAX)));
        membership.began();
        membership.measured(36, now);
        assert_eq!(membership.task(now), Some(Task::Reclaim(b"gone", 36)));
        membership.began();
        membership.measured(0, now);
        assert_eq!(membership.task(now), None);
        assert_eq!(membership.task(now + HEARTBEAT_EVERY), Some(Task::Heartbeat));

        let now = look(&mut membership, 60, &[("alive", "4"), ("gone", "7")]);
        membership.began();
        membership.measured(0, now);
        assert_eq!(membership.task(now), Some(Task::Forget(b"gone")));
        let now = look(&mut membership, 65, &[("alive", "5")]);
        assert_eq!((membership.task(now), membership.others.len()), (None, 1));
    }

    #[test]
    fn a_worker_that_returns_is_left_alone() {
        let mut membership = Membership::default();
        look(&mut membership, 0, &[("slow", "1")]);
        look(&mut membership, 10, &[("slow", "1")]);
        let now = look(&mut membership, 15, &[("slow", "2")]);
        assert_eq!(membership.task(now), None);
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let mut membership = Membership::default();
        let names: Vec<_> = (0..MEMBERS_MAX + 9).map(|number| alloc::format!("{number}")).collect();
        let workers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        look(&mut membership, 0, &workers);
        assert_eq!(membership.others.len(), MEMBERS_MAX);
        let now = look(&mut membership, 5, &workers[MEMBERS_MAX..]);
        assert_eq!((membership.others.len(), membership.task(now)), (0, None), "room first");
        look(&mut membership, 10, &workers[MEMBERS_MAX..]);
        assert_eq!(membership.others.len(), 9);
    }
}
