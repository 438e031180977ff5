//! Judges exercise 06.1 with a device that reads the ring as virtio 1.2 describes it.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU16, Ordering};

use exercise_06_1::{Available, Driver, NO_NOTIFY};

const SIZE: usize = 4;
/// What no slot contains before somebody has written to it.
const EMPTY: u16 = 0xffff;

struct Shared {
    available: Available<SIZE>,
    used_flags: AtomicU16,
}

impl Shared {
    fn new() -> Self {
        let ring = [const { AtomicU16::new(EMPTY) }; SIZE];
        let available = Available { flags: AtomicU16::new(0), index: AtomicU16::new(0), ring };
        Self { available, used_flags: AtomicU16::new(0) }
    }

    fn index(&self) -> u16 {
        self.available.index.load(Ordering::Acquire)
    }

    fn slot(&self, number: usize) -> u16 {
        self.available.ring[number % SIZE].load(Ordering::Relaxed)
    }
}

/// How often a kick rings.
fn rings(driver: &mut Driver<'_, SIZE>) -> u32 {
    let mut count = 0;
    driver.kick(&mut || count += 1);
    count
}

#[test]
fn judge() {
    an_offer_fills_a_slot_and_is_not_told();
    a_kick_tells_of_all_at_once();
    the_slot_begins_again_and_the_index_does_not();
    a_device_that_looks_by_itself_is_not_disturbed();
    more_buffers_than_an_index_can_count();
}

fn an_offer_fills_a_slot_and_is_not_told() {
    let shared = Shared::new();
    let mut driver = Driver::new(&shared.available, &shared.used_flags);
    driver.offer(3);
    let slot = shared.slot(0);
    assert!(
        slot == 3,
        "after offer(3) on a new queue, expected 3 in slot 0 of the available ring; came {slot}"
    );
    let index = shared.index();
    assert!(
        index == 0,
        "expected the index 0 until the kick, which tells of all buffers at once; came {index}"
    );
}

fn a_kick_tells_of_all_at_once() {
    let shared = Shared::new();
    let mut driver = Driver::new(&shared.available, &shared.used_flags);
    (0..3).for_each(|descriptor| driver.offer(descriptor));
    let count = rings(&mut driver);
    let index = shared.index();
    assert!(index == 3, "after three offers and a kick, expected the index 3; came {index}");
    assert!(
        count == 1,
        "expected the doorbell once for three buffers; came {count} times: a write to it leaves the guest"
    );
    let count = rings(&mut driver);
    assert!(count == 0, "expected no doorbell at a kick with nothing new to tell; came {count}");
}

fn the_slot_begins_again_and_the_index_does_not() {
    let shared = Shared::new();
    let mut driver = Driver::new(&shared.available, &shared.used_flags);
    (0..4).for_each(|descriptor| driver.offer(descriptor));
    rings(&mut driver);
    let index = shared.index();
    assert!(
        index == 4,
        "after {SIZE} buffers in a queue of {SIZE}, expected the index 4; came {index}: the index counts buffers, and \
         only the slot is taken modulo the size"
    );
    driver.offer(2);
    let slot = shared.slot(0);
    assert!(slot == 2, "expected the fifth buffer, 2, in slot 0 of a queue of {SIZE}; came {slot}");
}

fn a_device_that_looks_by_itself_is_not_disturbed() {
    let shared = Shared::new();
    let mut driver = Driver::new(&shared.available, &shared.used_flags);
    shared.used_flags.store(NO_NOTIFY, Ordering::Relaxed);
    driver.offer(1);
    let count = rings(&mut driver);
    let index = shared.index();
    assert!(index == 1, "expected the index 1 also without a doorbell: the device looks at it; came {index}");
    assert!(
        count == 0,
        "expected no doorbell, as the device has said that it looks by itself (bit 0 of the used ring's flags); \
         came {count}"
    );
    shared.used_flags.store(0, Ordering::Relaxed);
    driver.offer(2);
    let count = rings(&mut driver);
    assert!(count == 1, "expected the doorbell once the flag is 0 again; came {count} times");
}

/// Passes 70,000 buffers to a device that takes each batch as it is told of it.
fn more_buffers_than_an_index_can_count() {
    let shared = Shared::new();
    let mut driver = Driver::new(&shared.available, &shared.used_flags);
    let (mut offered, mut taken) = (0_usize, 0_usize);
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        while offered < 70_000 {
            for _ in 0..1 + offered % SIZE {
                driver.offer((offered % SIZE) as u16);
                offered += 1;
            }
            rings(&mut driver);
            let told = usize::from(shared.index().wrapping_sub(taken as u16));
            if taken + told != offered {
                return Err(format!(
                    "expected to be told of buffer {offered}; came an index of {}",
                    shared.index()
                ));
            }
            for number in taken..offered {
                let (expected, came) = ((number % SIZE) as u16, shared.slot(number));
                if came != expected {
                    return Err(format!("expected {expected} as buffer {number}; came {came}"));
                }
            }
            taken = offered;
        }
        Ok(())
    }));
    set_hook(hook);
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => panic!("{fault}"),
        Err(_) => panic!(
            "after {offered} buffers, expected one more; came a panic: the index goes on with 0 after 65,535"
        ),
    }
}
