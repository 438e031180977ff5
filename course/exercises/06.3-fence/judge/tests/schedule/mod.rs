//! All schedules, one after the other: a run asks for a choice at each point where something else can happen first, and
//! is run again until each answer was given at each of them.

/// More runs than any answer that keeps to the exercise needs.
const RUNS_MAX: u32 = 1_000_000;
/// More choices than one run needs.
const CHOICES_MAX: usize = 200;

/// The choices of one run.
#[derive(Default)]
pub struct Schedule {
    /// What was chosen, and of how many.
    choices: Vec<(usize, usize)>,
    next: usize,
}

impl Schedule {
    /// A number below `options`.
    pub fn choose(&mut self, options: usize) -> usize {
        if self.next == self.choices.len() {
            self.choices.push((0, options));
        }
        assert!(
            self.next < CHOICES_MAX,
            "expected a few steps; came more than {CHOICES_MAX}: is there a loop that waits?"
        );
        let (chosen, _) = self.choices[self.next];
        self.next += 1;
        chosen
    }

    /// Goes on to the next schedule; whether there is one.
    fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((chosen, options)) = self.choices.pop() {
            if chosen + 1 < options {
                self.choices.push((chosen + 1, options));
                return true;
            }
        }
        false
    }
}

/// Runs `run` once for each schedule.
pub fn every_schedule(mut run: impl FnMut(&mut Schedule)) {
    let mut schedule = Schedule::default();
    for _ in 0..RUNS_MAX {
        run(&mut schedule);
        if !schedule.advance() {
            return;
        }
    }
    panic!("expected fewer than {RUNS_MAX} orders; came more: leave out what the exercise does not need");
}
