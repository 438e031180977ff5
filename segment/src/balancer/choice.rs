//! Which instance gets the next connection: of those that are ready, the one with the fewest open connections, and of
//! equals the one that was chosen longest ago.
//!
//! It knows neither sockets nor what is said on them.

use std::time::Duration;

use wire::Instant;

/// How long an instance comes last that has just failed a connection.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// What is known of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It takes requests.
    Ready,
    /// It runs, and says that it does not take requests: chosen only when none is ready, so that it says why.
    Unready,
    /// It does not run, or does not answer: never chosen.
    Down,
}

/// The instances behind one port.
#[derive(Debug)]
pub struct Choice {
    instances: Vec<Instance>,
    /// Counts the choices.
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Instance {
    standing: Standing,
    open: usize,
    connections: u64,
    /// It comes last until then.
    failed_until: Option<Instant>,
    /// The turn in which it was chosen last.
    chosen_in: u64,
}

impl Instance {
    /// Whether it has failed a connection lately.
    fn has_failed(&self, now: Instant) -> bool {
        self.failed_until.is_some_and(|until| now < until)
    }
}

impl Choice {
    /// That many instances, all down.
    pub fn new(count: usize) -> Self {
        let instance =
            Instance { standing: Standing::Down, open: 0, connections: 0, failed_until: None, chosen_in: 0 };
        Self { instances: vec![instance; count], turn: 0 }
    }

    /// An instance is known to be like this now. Its open connections go on.
    pub fn set_standing(&mut self, index: usize, standing: Standing) {
        let instance = &mut self.instances[index];
        if instance.standing == Standing::Down {
            // What failed was its predecessor.
            instance.failed_until = None;
        }
        instance.standing = standing;
    }

    /// Chooses an instance for a connection, which is open from now on; none when all are down.
    pub fn choose(&mut self, now: Instant) -> Option<usize> {
        let rank = |instance: &Instance| {
            (instance.has_failed(now), instance.standing, instance.open, instance.chosen_in)
        };
        let running = self.instances.iter().enumerate().filter(|(_, it)| it.standing != Standing::Down);
        let (index, _) = running.min_by_key(|(_, instance)| rank(instance))?;
        self.turn += 1;
        let instance = &mut self.instances[index];
        instance.chosen_in = self.turn;
        instance.open += 1;
        instance.connections += 1;
        Some(index)
    }

    /// A connection to an instance has ended.
    pub fn close(&mut self, index: usize) {
        let open = &mut self.instances[index].open;
        *open = open.saturating_sub(1);
    }

    /// The same, because the instance did not take it or has lost it.
    pub fn fail(&mut self, index: usize, now: Instant) {
        self.close(index);
        self.instances[index].failed_until = Some(now + FAILURE_PAUSE);
    }

    /// Whether an instance runs that has not failed a connection lately.
    pub fn has_promising(&self, now: Instant) -> bool {
        self.instances.iter().any(|it| it.standing != Standing::Down && !it.has_failed(now))
    }

    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Open connections of an instance, and how many it has had in all.
    pub fn counts(&self, index: usize) -> (usize, u64) {
        let instance = &self.instances[index];
        (instance.open, instance.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::ZERO;

    fn ready(count: usize) -> Choice {
        let mut choice = Choice::new(count);
        (0..count).for_each(|index| choice.set_standing(index, Standing::Ready));
        choice
    }

    fn choices(choice: &mut Choice, count: usize) -> Vec<Option<usize>> {
        (0..count).map(|_| choice.choose(START)).collect()
    }

    #[test]
    fn equals_take_turns() {
        let mut choice = ready(3);
        assert_eq!(choices(&mut choice, 4), [Some(0), Some(1), Some(2), Some(0)]);
        // One connection at a time is shared out as well.
        let mut choice = ready(2);
        let mut chosen = Vec::new();
        for _ in 0..4 {
            let index = choice.choose(START).expect("ready");
            choice.close(index);
            chosen.push(index);
        }
        assert_eq!(chosen, [0, 1, 0, 1]);
    }

    #[test]
    fn the_one_with_the_fewest_open_connections_is_chosen() {
        let mut choice = ready(2);
        choices(&mut choice, 6);
        choice.close(1);
        choice.close(1);
        assert_eq!(choices(&mut choice, 3), [Some(1), Some(1), Some(0)]);
        assert_eq!((choice.counts(0), choice.counts(1)), ((4, 4), (3, 5)));
    }

    #[test]
    fn one_that_drains_keeps_its_connections_and_gets_no_more() {
        let mut choice = ready(2);
        choices(&mut choice, 4);
        choice.set_standing(0, Standing::Down);
        assert_eq!(choices(&mut choice, 2), [Some(1), Some(1)]);
        assert_eq!(choice.counts(0), (2, 2));
        choice.close(0);
        assert_eq!(choice.counts(0), (1, 2));
        choice.set_standing(1, Standing::Down);
        assert_eq!(choice.choose(START), None);
    }

    #[test]
    fn one_that_is_not_ready_is_chosen_only_when_none_is() {
        let mut choice = ready(2);
        choice.set_standing(0, Standing::Unready);
        assert_eq!(choices(&mut choice, 2), [Some(1), Some(1)]);
        choice.set_standing(1, Standing::Down);
        assert_eq!(choices(&mut choice, 1), [Some(0)]);
    }

    #[test]
    fn one_that_has_failed_comes_last_for_a_while() {
        let mut choice = ready(2);
        assert_eq!(choice.choose(START), Some(0));
        choice.fail(0, START);
        assert_eq!(choices(&mut choice, 3), [Some(1), Some(1), Some(1)]);
        assert!(choice.has_promising(START));
        choice.set_standing(1, Standing::Down);
        assert!(!choice.has_promising(START) && choice.has_promising(START + FAILURE_PAUSE));
        assert_eq!(choices(&mut choice, 1), [Some(0)], "it is all there is");
        choice.set_standing(1, Standing::Ready);
        assert_eq!(choice.choose(START), Some(1), "another machine than the one that is in its pause");
        assert_eq!(choice.choose(START + FAILURE_PAUSE), Some(0), "the pause is over");
    }

    #[test]
    fn a_machine_that_is_started_again_has_not_failed() {
        let mut choice = ready(2);
        assert_eq!(choice.choose(START), Some(0));
        choice.fail(0, START);
        choice.set_standing(0, Standing::Down);
        choice.set_standing(0, Standing::Ready);
        assert_eq!(choices(&mut choice, 2), [Some(1), Some(0)]);
    }
}
