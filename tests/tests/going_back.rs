//! Votes count after a store, or the database of the results, has gone back to an older state: all combinations.
//!
//! Store in memory or on a disk, results beside it or in PostgreSQL. The last choice that was accepted since must count
//! for whoever has voted since; nobody's older choice may come back where the newer one is still there.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tests::client::wait_for;
use tests::postgres::Postgres;
use tests::services::{PATIENCE, Services, voter};

/// Voters 0 to 39. All vote a at first, and that is saved; then the first 20 vote b. Since something went back, 10 to
/// 19 vote a and 20 to 29 vote b.
const VOTERS: u32 = 40;

/// What goes back, and how far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The store is killed, and starts with what it has.
    Killed,
    /// It starts with an older copy of its disk.
    OlderCopy,
    /// It starts with an empty disk.
    DiskLost,
}

/// A world, with what was saved of it.
struct World {
    services: Services,
    postgres: Option<Postgres>,
    folder: TempDir,
}

impl World {
    fn new(on_disk: bool, in_postgres: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let postgres = in_postgres.then(|| Postgres::start(true));
        let data = on_disk.then(|| folder.path().join("disk"));
        let services = Services::start(postgres.as_ref().map(Postgres::url).as_deref(), data);
        Self { services, postgres, folder }
    }

    fn disk(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Votes, each accepted.
    fn vote(&self, choice: &str, voters: std::ops::Range<u32>) {
        voters.for_each(|number| self.services.vote_until_accepted(choice, &voter(number)));
    }

    fn save(&mut self) {
        if self.disk("disk").exists() {
            fs::copy(self.disk("disk"), self.disk("copy")).expect("room");
        }
        if let Some(postgres) = &mut self.postgres {
            postgres.save();
        }
    }

    fn lose(&mut self, loss: Loss) {
        let [disk, copy] = ["disk", "copy"].map(|name| self.disk(name));
        self.services.restart_store(|| match loss {
            Loss::Killed => {}
            Loss::OlderCopy => _ = fs::copy(copy, disk).expect("it was saved"),
            Loss::DiskLost => fs::remove_file(disk).expect("it is there"),
        });
    }

    /// What each voter's choice is.
    fn choices(&self) -> BTreeMap<u32, String> {
        let rows = match &self.postgres {
            // There is no table before the first vote.
            Some(postgres) => postgres.psql("SELECT id, vote FROM votes").stdout,
            None => ["a", "b"]
                .map(|choice| {
                    let fields = self.services.ask_store(&["HGETALL", &format!("results:{choice}")]);
                    let voters = fields.split_whitespace().step_by(2);
                    voters.map(|voter| format!("{voter}|{choice}\n")).collect::<String>()
                })
                .concat(),
        };
        let row = |line: &str| {
            let (id, choice) = line.split_once('|').expect("two columns");
            (u32::from_str_radix(id, 16).expect("a voter of this test"), choice.to_owned())
        };
        rows.lines().map(row).collect()
    }

    fn wait_for_choices(&self, expected: &BTreeMap<u32, String>, when: &str) {
        let found = wait_for(PATIENCE, || (self.choices() == *expected).then_some(()));
        assert!(found.is_some(), "{when}: {:?} instead of {expected:?}", self.choices());
        let count = |choice| expected.values().filter(|other| *other == choice).count();
        let (a, b) = (count("a"), count("b"));
        self.services.wait_for_scores(&format!(r#"{{"a":{a},"b":{b},"total":{}}}"#, a + b));
    }
}

fn choose(choices: &mut BTreeMap<u32, String>, choice: &str, voters: std::ops::Range<u32>) {
    choices.extend(voters.map(|number| (number, choice.to_owned())));
}

/// The whole story. `loss` is what becomes of the store, if anything; `goes_back` whether the database does.
fn play(on_disk: bool, in_postgres: bool, loss: Option<Loss>, goes_back: bool) {
    let mut world = World::new(on_disk, in_postgres);
    let mut expected = BTreeMap::new();
    world.vote("a", 0..VOTERS);
    choose(&mut expected, "a", 0..VOTERS);
    world.wait_for_choices(&expected, "at first");
    world.save();
    world.vote("b", 0..20);
    let results_go_back = goes_back || (!in_postgres && loss == Some(Loss::OlderCopy));
    let results_are_lost = !in_postgres && (loss == Some(Loss::DiskLost) || !on_disk && loss.is_some());
    let saved = expected.clone();
    choose(&mut expected, "b", 0..20);
    world.wait_for_choices(&expected, "before the loss");
    if goes_back {
        world.postgres.as_mut().expect("there is one").go_back();
    }
    if let Some(loss) = loss {
        world.lose(loss);
    }
    if results_are_lost {
        expected.clear();
    } else if results_go_back {
        expected = saved;
    }
    world.vote("a", 10..20);
    world.vote("b", 20..30);
    choose(&mut expected, "a", 10..20);
    choose(&mut expected, "b", 20..30);
    world.wait_for_choices(&expected, "since the loss");
    // And changed once more, each way.
    world.vote("b", 10..30);
    choose(&mut expected, "b", 10..30);
    world.wait_for_choices(&expected, "later");
}

macro_rules! combinations {
    ($($name:ident($on_disk:literal, $in_postgres:literal, $loss:expr, $goes_back:literal);)*) => {
        $(#[test] fn $name() { play($on_disk, $in_postgres, $loss, $goes_back); })*
    };
}

combinations! {
    memory_and_results_beside_it_killed(false, false, Some(Loss::Killed), false);
    disk_and_results_beside_it_killed(true, false, Some(Loss::Killed), false);
    disk_and_results_beside_it_older_copy(true, false, Some(Loss::OlderCopy), false);
    disk_and_results_beside_it_lost(true, false, Some(Loss::DiskLost), false);
    memory_and_postgres_killed(false, true, Some(Loss::Killed), false);
    memory_and_postgres_goes_back(false, true, None, true);
    memory_and_postgres_killed_and_goes_back(false, true, Some(Loss::Killed), true);
    disk_and_postgres_killed(true, true, Some(Loss::Killed), false);
    disk_and_postgres_older_copy(true, true, Some(Loss::OlderCopy), false);
    disk_and_postgres_lost(true, true, Some(Loss::DiskLost), false);
    disk_and_postgres_goes_back(true, true, None, true);
    disk_and_postgres_killed_and_goes_back(true, true, Some(Loss::Killed), true);
    disk_and_postgres_older_copy_and_goes_back(true, true, Some(Loss::OlderCopy), true);
    disk_and_postgres_lost_and_goes_back(true, true, Some(Loss::DiskLost), true);
}

#[test]
fn a_worker_paused_since_before_a_loss_overrides_nothing_when_it_resumes() {
    let mut world = World::new(false, true);
    let mut expected = BTreeMap::new();
    world.vote("a", 0..20);
    choose(&mut expected, "a", 0..20);
    world.wait_for_choices(&expected, "at first");
    // What it takes now it holds, or finds no more.
    let postgres = world.postgres.as_mut().expect("there is one");
    postgres.kill();
    world.vote("b", 0..20);
    world.services.worker.pause(true);
    world.postgres.as_mut().expect("there is one").restart();
    world.lose(Loss::Killed);
    let other = world.services.further_worker("other");
    world.vote("a", 0..10);
    world.wait_for_choices(&expected, "counted by the other");
    world.services.worker.pause(false);
    world.vote("b", 10..15);
    choose(&mut expected, "b", 10..15);
    world.wait_for_choices(&expected, "by both");
    drop(other);
    world.vote("b", 0..10);
    choose(&mut expected, "b", 0..10);
    world.wait_for_choices(&expected, "by the one that was held");
}

#[test]
fn a_table_of_epochs_that_is_gone_or_was_never_there_loses_no_vote() {
    let mut world = World::new(false, true);
    let mut expected = BTreeMap::new();
    world.vote("a", 0..20);
    choose(&mut expected, "a", 0..20);
    world.wait_for_choices(&expected, "at first");
    for (sql, choice) in [
        ("DROP TABLE voting_epochs", "b"),
        ("DELETE FROM voting_epochs", "a"),
        // Rows as an earlier version has left them, of a store that had given far more tickets.
        ("UPDATE votes SET generation = NULL, seq = 18446744073709551615; DROP TABLE voting_epochs", "b"),
    ] {
        world.postgres.as_ref().expect("there is one").ask(sql);
        world.lose(Loss::Killed);
        world.vote(choice, 0..20);
        choose(&mut expected, choice, 0..20);
        world.wait_for_choices(&expected, sql);
    }
}

#[test]
fn an_unusable_epochs_key_is_reported_and_votes_count_after_its_repair() {
    let mut world = World::new(false, true);
    world.vote("a", 0..5);
    world.services.ask_store(&["DEL", "votes:epochs"]);
    world.services.ask_store(&["SET", "votes:epochs", "mine"]);
    let told = "REDIS_URL: votes:epochs: WRONGTYPE";
    assert_eq!(world.services.vote("b", Some(&voter(1))), 200, "the queue takes it");
    let readiness = || tests::services::readiness(&world.services.worker);
    assert!(wait_for(PATIENCE, || readiness().contains(told).then_some(())).is_some(), "{}", readiness());
    world.services.ask_store(&["DEL", "votes:epochs"]);
    let mut expected = BTreeMap::new();
    choose(&mut expected, "a", 0..5);
    choose(&mut expected, "b", 1..2);
    world.wait_for_choices(&expected, "mended");
    world.lose(Loss::Killed);
    world.vote("a", 1..2);
    choose(&mut expected, "a", 1..2);
    world.wait_for_choices(&expected, "in another life");
}
