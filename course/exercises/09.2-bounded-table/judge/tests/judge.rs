//! The table does what it did, in bounded memory, and forgets the right ones.
//!
//! One test: all of the program's allocations are counted, so nothing else may run beside it.

use std::alloc::System;

use cap::Cap;
use exercise_09_2::{ADDRESSES_MAX, FAILURES_MAX, Failures, WAIT_S};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// More than 64 addresses need.
const HEAP_BYTES_MAX: usize = 16 * 1024;
const MANY: u32 = 100_000;
const US: u32 = 7;

#[test]
fn judge() {
    one_address();
    places();
    newcomers();
    busy_address();
    flood();
    persistent_address();
}

/// Fails as often as it takes to be turned away.
fn lock(table: &mut Failures, address: u32, now_s: u64) {
    (0..FAILURES_MAX).for_each(|_| table.failed(address, now_s));
}

fn one_address() {
    let mut table = Failures::default();
    table.failed(US, 0);
    assert!(table.may_try(US, 0), "expected that an address may try again after one failure; it may not");
    lock(&mut table, US, 10);
    let end_s = 10 + WAIT_S;
    assert!(
        !table.may_try(US, end_s - 1),
        "expected that an address must wait for {WAIT_S} s; it may try after less"
    );
    assert!(table.may_try(US, end_s), "expected that an address may try again after {WAIT_S} s; it may not");
    table.failed(US, end_s);
    assert!(
        table.may_try(US, end_s),
        "expected that old failures are forgotten after {WAIT_S} s; they still count"
    );
}

fn places() {
    let mut table = Failures::default();
    let addresses = 0..ADDRESSES_MAX as u32;
    addresses.clone().for_each(|address| lock(&mut table, address, 0));
    let forgotten = addresses.filter(|address| table.may_try(*address, 1)).count();
    assert!(
        forgotten == 0,
        "expected room for {ADDRESSES_MAX} addresses; came {forgotten} of them forgotten"
    );
}

fn newcomers() {
    let mut table = Failures::default();
    (100..100 + MANY).for_each(|address| table.failed(address, 0));
    lock(&mut table, US, 1);
    assert!(
        !table.may_try(US, 1),
        "expected that an address that comes when the table is full must wait after {FAILURES_MAX} failures; it may \
         go on for ever: newcomers are not counted, so filling the table switches the limit off"
    );
}

fn busy_address() {
    let mut table = Failures::default();
    lock(&mut table, US, 0);
    for newcomer in 0..1_000 {
        let now_s = 1 + u64::from(newcomer / 50);
        table.failed(1_000 + newcomer, now_s);
        if newcomer % 10 == 0 {
            table.failed(US, now_s);
        }
    }
    assert!(
        !table.may_try(US, 21),
        "expected that address {US} must wait; came that it was forgotten, though it has failed more recently than the \
         others in the table: let the one go that has been quiet for longest"
    );
}

fn flood() {
    let mut table = Failures::default();
    let before = HEAP.allocated();
    (0..MANY).for_each(|address| table.failed(address, 0));
    let taken = HEAP.allocated().saturating_sub(before);
    assert!(
        taken <= HEAP_BYTES_MAX,
        "expected at most {HEAP_BYTES_MAX} bytes of memory; came {taken} after {MANY} addresses have failed once: \
         something must leave before another one enters"
    );
}

fn persistent_address() {
    let mut table = Failures::default();
    let before = HEAP.allocated();
    (0..MANY).for_each(|second| table.failed(US, u64::from(second)));
    let taken = HEAP.allocated().saturating_sub(before);
    assert!(
        taken <= HEAP_BYTES_MAX,
        "expected at most {HEAP_BYTES_MAX} bytes of memory; came {taken} after one address has failed {MANY} times: a \
         queue or list beside the table needs a bound, too"
    );
}
