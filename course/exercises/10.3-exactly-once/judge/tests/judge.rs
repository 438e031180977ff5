//! Kills the worker at every command, before and after the store has got it, and once more in the life after that; over
//! queues with repeated and late votes.

use exercise_10_3::store::{Choice, Kill, Store, Vote};
use exercise_10_3::worker::work;

/// No worker needs so many commands for a handful of votes.
const COMMANDS_MAX: usize = 60;

const fn vote(voter: u32, choice: Choice, sequence: u64) -> Vote {
    Vote { voter, choice, sequence }
}

const A1: Vote = vote(1, Choice::A, 10);
const B1: Vote = vote(1, Choice::B, 30);
const A2: Vote = vote(2, Choice::A, 20);
const B3: Vote = vote(3, Choice::B, 25);

#[test]
fn a_without_kills() {
    check(&[A1, A2, B3, B1], &[], "");
    check(&[A1, B1, A1], &[], ", when an older vote comes once more after the newer one");
    check(&[B1, A1], &[], ", when an older vote comes late");
}

#[test]
fn b_one_kill() {
    kills().for_each(|kill| check(&[A1, A2, B1, B3], &[kill], &said(&[kill])));
}

#[test]
fn c_two_kills_and_replays() {
    for first in kills() {
        for second in kills().step_by(3) {
            let kills = [first, second];
            check(&[A2, B1, A1, A2, B3], &kills, &said(&kills));
        }
    }
}

fn kills() -> impl Iterator<Item = Kill> {
    let both = |after| [false, true].map(|carried_out| Kill { after, carried_out });
    (0..COMMANDS_MAX / 2).flat_map(both)
}

fn said(kills: &[Kill]) -> String {
    let one = |kill: &Kill| {
        let reply = if kill.carried_out { "without its reply" } else { "before the store got it" };
        format!(", killed at command {} of a life, {reply}", kill.after + 1)
    };
    kills.iter().map(one).collect()
}

/// Lets the worker live as often as it is killed, and once more.
fn check(queue: &[Vote], kills: &[Kill], when: &str) {
    let mut store = Store { queue: queue.iter().copied().collect(), ..Store::default() };
    for kill in kills {
        store.kill = Some(*kill);
        let _ = work(&mut store);
    }
    // One that has all it can need: whoever needs more goes round in circles.
    store.kill = Some(Kill { after: COMMANDS_MAX, carried_out: true });
    assert!(
        work(&mut store).is_ok(),
        "expected that the worker ends when nothing waits{when}; came more than {COMMANDS_MAX} commands in one life"
    );
    assert!(
        store.queue.is_empty() && store.processing.is_empty(),
        "expected that nothing waits{when}; came {:?} in the queue and {:?} still on the processing list: a new life \
         begins with what an earlier one has taken",
        store.queue,
        store.processing
    );
    queue.iter().for_each(|vote| check_voter(queue, vote.voter, &store, when));
}

fn check_voter(queue: &[Vote], voter: u32, store: &Store, when: &str) {
    let votes = queue.iter().filter(|vote| vote.voter == voter);
    let newest = votes.max_by_key(|vote| vote.sequence).expect("the voter has voted");
    let expected = (newest.choice, newest.sequence);
    match store.results.get(&voter) {
        None => panic!(
            "expected {expected:?} for voter {voter}{when}; the voter is not in the results: the vote was only in the \
             worker's memory when it was killed. A vote must be in the store until it is counted, and leave together \
             with that"
        ),
        Some(came) => assert!(
            *came == expected,
            "expected {expected:?} for voter {voter}{when}; came {came:?}, an older vote: compare sequences before you \
             set a result"
        ),
    }
}
