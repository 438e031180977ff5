//! Judges exercise 07.1: runs `sleep` in every order in which the device can make its steps between those of the
//! processor.

mod machine;
mod schedule;

use exercise_07_1::{Machine, sleep};

use machine::{Arrival, Model};
use schedule::every_schedule;

/// Early returns that are put up with until the packet is there.
const SLEEPS_MAX: u32 = 8;

#[test]
fn judge() {
    for arrival in [Arrival::AfterHalt, Arrival::AnyTime] {
        every_schedule(|schedule| {
            let mut model = Model::new(schedule, arrival);
            for _ in 0..SLEEPS_MAX {
                let halts = model.halts();
                sleep(&mut model);
                model.check_return(halts);
                if model.has_used() {
                    return;
                }
            }
            model.fail("the packet within a few sleeps", "none");
        });
    }
}
