//! Results that are kept elsewhere: the conversation between a store and a database of a few lines.

use super::*;
use alloc::collections::BTreeSet;

/// What a database has of a voter: the option and the sequence.
type Row = (Choice, u64);

#[derive(Default)]
struct FakeDatabase {
    rows: BTreeMap<Bytes, Row>,
    /// Voters whose votes it refuses for what is in them.
    refuses: BTreeSet<Bytes>,
    /// So many times it does not work.
    troubles: usize,
    /// Number of times that it commits without a confirmation.
    silences: usize,
    /// How many votes it was told at once, each time.
    told: Vec<usize>,
}

impl FakeDatabase {
    /// What becomes of a batch.
    fn record(&mut self, batch: &TransactionBatch) -> Result<BTreeSet<Bytes>, RecordFault> {
        if self.troubles > 0 {
            self.troubles -= 1;
            return Err(RecordFault::Trouble("53100 no room".to_string()));
        }
        self.told.push(batch.voters().count());
        if batch.voters().any(|voter| self.refuses.contains(voter)) {
            return Err(RecordFault::Content);
        }
        let mut changed = BTreeSet::new();
        for choice in Choice::ALL {
            for effect in batch.effects(choice) {
                let held = self.rows.get(effect.voter).map_or(0, |(_, sequence)| *sequence);
                if !effect.is_ordered || effect.sequence > held {
                    self.rows.insert(effect.voter.to_vec(), (choice, effect.sequence.max(held)));
                    changed.insert(effect.voter.to_vec());
                }
            }
        }
        if self.silences > 0 {
            self.silences -= 1;
            return Err(RecordFault::Trouble("connection lost".to_string()));
        }
        Ok(changed)
    }
}

fn bench() -> Bench {
    Bench::of(QueueConsumer::new("w1").with_results_elsewhere())
}

/// [`Bench::settle`], with the database's part in it.
fn settle(bench: &mut Bench, database: &mut FakeDatabase) {
    for _ in 0..10_000 {
        bench.serve();
        if let Some(ToRecord { serial, batch, .. }) = bench.worker.consumer.to_record() {
            let outcome = database.record(batch);
            recorded(bench, serial, outcome.map(|changed| move |voter: &[u8]| changed.contains(voter)));
        } else if !bench.to_worker.is_empty() {
            bench.receive();
        } else if let Some(until) = bench.pause_ends() {
            bench.end_pause(until);
        } else if bench.blocked_at.is_some() && bench.store.list(QUEUE).is_empty() {
            return;
        }
    }
    panic!("it does not come to rest");
}

fn recorded(bench: &mut Bench, serial: u64, outcome: Result<impl Fn(&[u8]) -> bool, RecordFault>) {
    bench.worker.consumer.recorded(serial, outcome, bench.now);
    assert!(bench.worker.serve(bench.now), "{:?}", bench.worker.readiness());
}

fn rows(database: &FakeDatabase) -> Vec<String> {
    let text = |(voter, (choice, sequence)): (&Bytes, &Row)| {
        format!("{}={}@{sequence}", voter.escape_ascii(), choice.as_str())
    };
    database.rows.iter().map(text).collect()
}

fn counted(bench: &Bench) -> ([u64; 2], u64, u64) {
    let stats = bench.worker.consumer.stats();
    (stats.counted.map(|counter| counter.value()), stats.superseded.value(), stats.rejected.value())
}

#[test]
fn votes_go_to_the_database_and_leave_the_list_when_it_has_them() {
    let (mut bench, mut database) = (bench(), FakeDatabase::default());
    for (voter, choice, sequence) in [("x", "a", 7), ("y", "b", 3), ("x", "b", 9), ("x", "a", 8)] {
        bench.push(&numbered(voter, choice, sequence));
    }
    bench.push(b"no vote");
    settle(&mut bench, &mut database);
    assert_eq!(rows(&database), ["x=b@9", "y=b@3"]);
    assert_eq!(counted(&bench), ([1, 2], 1, 1));
    bench.push(&numbered("x", "a", 9));
    bench.push(&numbered("y", "a", 4));
    settle(&mut bench, &mut database);
    assert_eq!(rows(&database), ["x=b@9", "y=a@4"]);
    assert_eq!(counted(&bench), ([2, 2], 2, 1), "what the database did not change was too old");
    assert_eq!(bench.voters(), [[""; 0]; 2], "the store has no results");
    bench.assert_nothing_left();
    assert_eq!(bench.worker.readiness(), Ok(()));
}

#[test]
fn a_vote_without_a_sequence_is_not_lost_to_an_old_one_behind_it() {
    let (mut bench, mut database) = (bench(), FakeDatabase::default());
    database.rows.insert(b"x".to_vec(), (Choice::B, 9));
    bench.push(&vote("x", "a"));
    bench.push(&numbered("x", "b", 5));
    settle(&mut bench, &mut database);
    assert_eq!(rows(&database), ["x=a@9"]);
    bench.assert_nothing_left();
}

#[test]
fn an_unconfirmed_commit_that_is_written_again_changes_nothing() {
    let (mut bench, mut database) = (bench(), FakeDatabase { silences: 2, ..FakeDatabase::default() });
    for sequence in 1..=3 {
        bench.push(&numbered("x", if sequence == 3 { "b" } else { "a" }, sequence));
    }
    settle(&mut bench, &mut database);
    assert_eq!(rows(&database), ["x=b@3"]);
    assert_eq!(bench.worker.consumer.stats().results_errors.value(), 2);
    bench.assert_nothing_left();
}

#[test]
fn votes_wait_for_a_failing_database_and_the_reason_is_logged() {
    let (mut bench, mut database) =
        (bench(), FakeDatabase { troubles: usize::MAX, ..FakeDatabase::default() });
    bench.push_votes(3);
    for _ in 0..500 {
        bench.serve();
        if let Some(ToRecord { serial, batch, .. }) = bench.worker.consumer.to_record() {
            let outcome = database.record(batch).map(|_| |_: &[u8]| true);
            recorded(&mut bench, serial, outcome);
            break;
        }
        bench.receive();
    }
    assert_eq!(bench.worker.readiness().expect_err("in trouble"), "53100 no room");
    assert!(bench.pause_ends().is_some_and(|at| at > bench.now), "a pause");
    database.troubles = 7;
    let begun = bench.now;
    settle(&mut bench, &mut database);
    assert!(bench.now - begun > Duration::from_secs(5), "the pauses become longer");
    assert_eq!(rows(&database).len(), 3);
    bench.assert_nothing_left();
}

#[test]
fn a_vote_that_the_database_refuses_is_set_aside_and_others_count() {
    let (mut bench, mut database) = (bench(), FakeDatabase::default());
    database.refuses.insert(b"1".to_vec());
    bench.push_votes(4);
    settle(&mut bench, &mut database);
    assert_eq!(rows(&database), ["0=a@0", "2=b@0", "3=a@0"]);
    assert_eq!(database.told, [4, 1, 1, 1, 1], "one by one after the refusal");
    assert_eq!(counted(&bench), ([2, 1], 0, 1));
    assert_eq!(bench.store.list(REJECTED).len(), 1);
    bench.assert_nothing_left();
    bench.push_votes(3);
    database.refuses.clear();
    settle(&mut bench, &mut database);
    assert_eq!(database.told.last(), Some(&2), "and then together again");
}

#[test]
fn a_late_outcome_is_not_taken_for_the_next_batch() {
    let (mut bench, mut database) = (bench(), FakeDatabase::default());
    bench.push_votes(1);
    let mut late = None;
    for _ in 0..500 {
        bench.serve();
        match (bench.worker.consumer.to_record(), late) {
            (Some(ToRecord { serial, .. }), None) => {
                late = Some(serial);
                bench.connect();
            }
            (Some(ToRecord { serial, .. }), Some(late)) => {
                assert_ne!(serial, late);
                recorded(&mut bench, late, Ok(|_: &[u8]| true));
                assert!(bench.worker.consumer.to_record().is_some(), "still to be recorded");
                settle(&mut bench, &mut database);
                assert_eq!(rows(&database).len(), 1);
                return bench.assert_nothing_left();
            }
            (None, _) => bench.receive(),
        }
    }
    panic!("nothing to record");
}
