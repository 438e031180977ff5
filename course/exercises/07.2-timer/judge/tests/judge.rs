//! Judges exercise 07.2 with single sleeps, and with many in a row on a model of the timer.

use exercise_07_2::{SLEEP_MAX, SLEEP_MIN, Timer};

/// The register, and the time.
struct Model {
    timer: Timer,
    now: u64,
    /// When the interrupt comes; none when it came or was never asked for.
    rings_at: Option<u64>,
    writes: u32,
}

impl Model {
    fn new() -> Self {
        Self { timer: Timer::new(), now: 1_000, rings_at: None, writes: 0 }
    }

    /// Moves the time on, as something else has woken the processor.
    fn go_to(&mut self, now: u64) {
        self.now = now;
        self.rings_at = self.rings_at.filter(|at| *at > now);
    }

    /// One plan, which must lead to an interrupt in time and must not write for nothing.
    fn plan(&mut self, deadline: Option<u64>) {
        let Self { now, rings_at: before, .. } = *self;
        let until = deadline.unwrap_or(u64::MAX).clamp(now + SLEEP_MIN, now + SLEEP_MAX);
        let asked = match deadline {
            Some(deadline) => format!("at {now} with the deadline {deadline}"),
            None => format!("at {now} without a deadline"),
        };
        match self.timer.plan(now, deadline) {
            Some(at) => {
                let running = before.filter(|at| *at <= until);
                if let Some(ends_at) = running {
                    panic!(
                        "{asked}: expected no write, as the timer ends at {ends_at}: it wakes early enough, and a \
                         write leaves the guest; came a write of {at}"
                    );
                }
                assert!(
                    at > now,
                    "{asked}: expected a time in the future; came {at}, at which the timer may stop"
                );
                assert!(
                    at >= now + SLEEP_MIN,
                    "{asked}: expected a sleep of {SLEEP_MIN} µs at least; came {}",
                    at - now
                );
                assert!(
                    at <= until,
                    "{asked}: expected {until} at the latest; came {at}: the sleep ends too late"
                );
                self.rings_at = Some(at);
                self.writes += 1;
            }
            None => match before {
                Some(ends_at) if ends_at <= until => {}
                Some(ends_at) => {
                    panic!(
                        "{asked}: expected a write of {until}; came none, and the timer ends at {ends_at}: too late"
                    )
                }
                None => panic!(
                    "{asked}: expected a write of {until}; came none, and the timer has ended already and wakes nobody"
                ),
            },
        }
    }
}

#[test]
fn judge() {
    single_sleeps();
    a_thousand_requests_cost_one_write();
    any_sleeps();
}

fn single_sleeps() {
    let mut model = Model::new();
    model.plan(Some(2_000));
    model.go_to(1_200);
    model.plan(Some(2_600));
    model.go_to(1_300);
    model.plan(Some(1_500));
    model.go_to(1_600);
    model.plan(Some(3_000));
    model.go_to(3_000);
    model.plan(Some(5_000));
    model.go_to(6_000);
    model.plan(Some(5_900));
    model.go_to(7_000);
    model.plan(None);
    model.go_to(8_000);
    model.plan(Some(9_000_000));
}

/// Each request moves the idle time-out of its connection on: 60 s from now.
fn a_thousand_requests_cost_one_write() {
    let mut model = Model::new();
    for request in 0..1_000 {
        model.go_to(1_000 + 50 * request);
        let deadline = model.now + 60_000_000;
        model.plan(Some(deadline));
    }
    assert!(model.writes == 1, "expected one write for 1,000 requests in a row; came {}", model.writes);
}

/// Deadlines near and far, and interrupts in between, from a small generator with a fixed seed.
fn any_sleeps() {
    let (mut model, mut state) = (Model::new(), 0x2545_f491_4f6c_dd1d_u64);
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..20_000 {
        let near = [20, 400, 10_000, 9_000_000][random(4) as usize];
        let deadline = (random(8) > 0).then_some((model.now + random(near)).saturating_sub(5));
        model.plan(deadline);
        let ends_at = model.rings_at.unwrap_or(model.now + 1);
        let next = if random(3) == 0 { ends_at } else { model.now + 1 + random(ends_at - model.now) };
        model.go_to(next);
    }
}
