//! Judges exercise 06.3: runs `kick` in every order in which its stores can arrive and the device can make its steps.

mod memory;
mod schedule;

use exercise_06_3::kick;

use memory::{Device, Shared};
use schedule::every_schedule;

#[test]
fn judge() {
    every_schedule(|schedule| {
        let mut shared = Shared::new(schedule, Device::AboutToRest);
        kick(&mut shared);
        shared.settle();
    });
    every_schedule(|schedule| {
        let mut shared = Shared::new(schedule, Device::Polling);
        kick(&mut shared);
        shared.settle();
    });
}
