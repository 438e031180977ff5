//! Results in a real PostgreSQL: worker and result service against a server that is killed, refuses, or is not there.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tests::application::Application;
use tests::client::{vote, wait_for};
use tests::command::{free_port, run};
use tests::postgres::{DATABASE, PASSWORD, Postgres};
use tests::programs::program;
use tests::services::{PATIENCE, Services, TOLD_WITHIN, readiness, voter};

#[test]
fn votes_go_into_the_originals_table_and_out_again() {
    let postgres = Postgres::start(true);
    let services = Services::with_results(&postgres.url());
    services.wait_for_scores(r#"{"a":0,"b":0,"total":0}"#);
    for (number, choice) in [(1, "a"), (2, "b")] {
        assert_eq!(services.vote(choice, Some(&voter(number))), 200);
    }
    services.wait_for_scores(r#"{"a":1,"b":1,"total":2}"#);
    assert_eq!(services.vote("b", Some(&voter(1))), 200);
    services.wait_for_scores(r#"{"a":0,"b":2,"total":2}"#);
    let rows = postgres.ask("SELECT ltrim(id, '0'), vote, seq > 0 FROM votes ORDER BY id");
    assert_eq!(rows, "1|b|t\n2|b|t");

    // The original's worker beside ours: it knows two columns, and updates when it cannot insert.
    postgres.ask("INSERT INTO votes (id, vote) VALUES ('other', 'a')");
    postgres.ask(&format!("UPDATE votes SET vote = 'a' WHERE id = '{:032x}'", 2));
    services.wait_for_scores(r#"{"a":2,"b":1,"total":3}"#);
    // The original's vote service: no sequence, so it counts as it comes.
    services.push(r#"{"voter_id": "other", "vote": "b"}"#);
    services.wait_for_scores(r#"{"a":1,"b":2,"total":3}"#);
    // A vote that is older than what counts, and one that is for nothing.
    services.push(&format!(r#"{{"voter_id":"{:032x}","vote":"a","seq":"1"}}"#, 1));
    postgres.ask("INSERT INTO votes (id, vote) VALUES ('nobody', 'c')");
    services.push(r#"{"voter_id": "last", "vote": "a"}"#);
    services.wait_for_scores(r#"{"a":2,"b":2,"total":4}"#);
    // The table is gone, as when somebody begins anew.
    postgres.ask("DROP TABLE votes");
    services.wait_for_scores(r#"{"a":0,"b":0,"total":0}"#);
    assert_eq!(services.vote("a", Some(&voter(1))), 200);
    services.wait_for_scores(r#"{"a":1,"b":0,"total":1}"#);
}

#[test]
fn the_originals_table_is_extended_and_refused_votes_are_set_aside() {
    let postgres = Postgres::start(false);
    postgres.ask("CREATE TABLE votes (id VARCHAR(255) NOT NULL UNIQUE, vote VARCHAR(255) NOT NULL)");
    postgres.ask("INSERT INTO votes (id, vote) VALUES ('x', 'a'), ('y', 'a')");
    postgres.ask("ALTER TABLE votes ADD CONSTRAINT polite CHECK (id <> 'rude')");
    let services = Services::with_results(&postgres.url());
    services.wait_for_scores(r#"{"a":2,"b":0,"total":2}"#);
    for name in ["x", "rude", "quote\\\"{,}' NULL", "z"] {
        services.push(&format!(r#"{{"voter_id":"{name}","vote":"b","seq":"7"}}"#));
    }
    services.wait_for_scores(r#"{"a":1,"b":3,"total":4}"#);
    assert_eq!(postgres.ask("SELECT count(*) FROM votes WHERE id LIKE 'quote\"%'"), "1");
    let port = services.store.addresses[0].port().to_string();
    let length = |list| run(program("redis-cli").args(["-p", &port, "LLEN", list])).stdout;
    let emptied = wait_for(PATIENCE, || (length("votes:processing:worker") == "0\n").then_some(()));
    assert!(emptied.is_some(), "{}", length("votes:processing:worker"));
    assert_eq!((length("votes:rejected").trim(), length("votes").trim()), ("1", "0"));
}

#[test]
fn a_database_that_is_killed_under_load_loses_and_doubles_nothing() {
    const VOTERS: u32 = 24;
    let mut postgres = Postgres::start(true);
    let services = Services::with_results(&postgres.url());
    services.wait_for_scores(r#"{"a":0,"b":0,"total":0}"#);
    let stopped = AtomicBool::new(false);
    let last: Vec<Option<&str>> = thread::scope(|scope| {
        let cast = |number: u32| {
            let (services, stopped) = (&services, &stopped);
            move || {
                let (mut last, mut round) = (None, number);
                while !stopped.load(Ordering::Relaxed) {
                    let choice = if round % 3 == 0 { "b" } else { "a" };
                    round += 1;
                    if services.vote(choice, Some(&voter(number))) == 200 {
                        last = Some(choice);
                    }
                }
                last
            }
        };
        let voters: Vec<_> = (0..VOTERS).map(|number| scope.spawn(cast(number))).collect();
        for _ in 0..4 {
            let before: u64 =
                postgres.ask("SELECT coalesce(sum(seq), 0)::bigint FROM votes").parse().unwrap_or(0);
            let moves = || {
                postgres
                    .psql("SELECT coalesce(sum(seq), 0)::bigint FROM votes")
                    .stdout
                    .trim()
                    .parse::<u64>()
                    .ok()
            };
            assert!(
                wait_for(PATIENCE, || moves().filter(|sum| *sum > before)).is_some(),
                "votes are counted"
            );
            postgres.kill();
            let away = wait_for(PATIENCE, || readiness(&services.worker).contains("database").then_some(()));
            assert!(away.is_some(), "{}", readiness(&services.worker));
            postgres.restart();
        }
        stopped.store(true, Ordering::Relaxed);
        voters.into_iter().map(|voter| voter.join().expect("a voter")).collect()
    });
    let count = |choice| last.iter().filter(|last| **last == Some(choice)).count();
    let (a, b) = (count("a"), count("b"));
    assert_eq!(a + b, VOTERS as usize, "everybody was heard");
    services.wait_for_scores(&format!(r#"{{"a":{a},"b":{b},"total":{}}}"#, a + b));
    for (number, choice) in last.iter().enumerate() {
        let kept = || postgres.ask(&format!("SELECT vote FROM votes WHERE id = '{number:032x}'"));
        // The scores can be right by chance while votes still wait to be counted.
        let is_right = wait_for(PATIENCE, || (Some(kept().as_str()) == *choice).then_some(()));
        assert!(is_right.is_some(), "voter {number}: {} instead of {choice:?}", kept());
    }
}

#[test]
fn database_faults_are_named_and_end_with_their_repair() {
    let mut postgres = Postgres::start(true);
    let wrong_password = postgres.url_of("wrong", DATABASE);
    Services::with_results(&wrong_password).wait_for_reason("28P01 password authentication failed");
    let missing = postgres.url_of(PASSWORD, "nothing");
    Services::with_results(&missing).wait_for_reason("3D000 database \"nothing\" does not exist");
    let nobody = format!("postgres://voter:x@127.0.0.1:{}/votes", free_port());
    Services::with_results(&nobody)
        .wait_for_reason("RESULTS_URL: the database cannot be reached: connection refused");
    let unnamed = "postgres://voter:x@no-such-host.invalid/votes";
    Services::with_results(unnamed)
        .wait_for_reason("RESULTS_URL: the database cannot be reached: the name has no address");

    postgres.ask(
        "CREATE ROLE guest LOGIN PASSWORD 'guest'; \
         CREATE TABLE votes (id TEXT UNIQUE, vote TEXT, seq NUMERIC, generation BIGINT); \
         CREATE TABLE voting_epochs (epoch TEXT PRIMARY KEY, generation BIGINT UNIQUE)",
    );
    let services = Services::with_results(
        &postgres.url().replacen("voter:", "guest:", 1).replace(&encoded(PASSWORD), "guest"),
    );
    assert_eq!(services.vote("a", None), 200, "the queue takes it");
    services.wait_for_reason("42501 permission denied for table vot");
    postgres.ask("GRANT SELECT, INSERT, UPDATE ON votes TO guest; GRANT SELECT ON voting_epochs TO guest");
    let told = wait_for(PATIENCE, || {
        readiness(&services.worker).contains("42501 permission denied for table voting_epochs").then_some(())
    });
    assert!(told.is_some(), "{}", readiness(&services.worker));
    // Without the right to remove any: they are kept then.
    postgres.ask("GRANT INSERT ON voting_epochs TO guest");
    services.wait_for_scores(r#"{"a":1,"b":0,"total":1}"#);

    // A database that is away for a while, and whose return nobody has to tell anybody.
    postgres.kill();
    services.wait_for_reason("database");
    let begun = Instant::now();
    assert_eq!(services.vote("b", None), 200, "the queue takes it");
    assert!(begun.elapsed() < Duration::from_secs(2));
    postgres.restart();
    services.wait_for_scores(r#"{"a":1,"b":1,"total":2}"#);
}

fn encoded(password: &str) -> String {
    password.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A URL of a role that has this password.
fn url_of_role(postgres: &Postgres, role: &str, password: &str) -> String {
    postgres.ask(&format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{password}'"));
    postgres.url_of(password, DATABASE).replacen("voter:", &format!("{role}:"), 1)
}

#[test]
fn passwords_are_the_same_however_they_are_typed() {
    let postgres = Postgres::start(true);
    for (number, password) in [
        "Cafe\u{301}",
        "Caf\u{e9}",
        "no\u{a0}break",
        "soft\u{ad}hyphen",
        "o\u{fb03}ce",
        "\u{ff11}\u{3000}\u{200b}\u{2168}",
        // Those that RFC 4013 does not allow are taken as they are.
        "\u{627}a\u{fb03}",
        "\u{fb03}\u{1f600}",
        "\u{ad}",
    ]
    .into_iter()
    .enumerate()
    {
        let services = Services::with_results(&url_of_role(&postgres, &format!("role{number}"), password));
        let is_ready = |service| readiness(service).starts_with("ready");
        let found = wait_for(PATIENCE, || {
            services.scores();
            (is_ready(&services.worker) && is_ready(&services.result)).then_some(())
        });
        assert!(found.is_some(), "{password:?}: {}", readiness(&services.worker));
    }
}

#[test]
fn unikernels_keep_their_results_there_too() {
    let postgres = Postgres::start(true);
    let url = url_of_role(&postgres, "guest", "Cafe\u{301} o\u{fb03}ce");
    let application = Application::up("postgres-test", &["--results", &url, "--scale", "worker=2"]);
    let application = application.unwrap_or_else(|outcome| panic!("{outcome:?}"));
    let scores = |expected: (u64, u64)| {
        let found = wait_for(PATIENCE, || application.scores().filter(|scores| *scores == expected));
        assert!(found.is_some(), "{:?} instead of {expected:?}", application.scores());
    };
    for (number, choice) in [(1, "a"), (2, "b"), (3, "b"), (1, "b")] {
        assert_eq!(vote(&application.vote_url(), choice, Some(&voter(number))).status, 200);
    }
    scores((0, 3));
    assert_eq!(postgres.ask("SELECT vote, count(id) FROM votes GROUP BY vote"), "b|3");
}

/// A file system in memory of so many bytes, unmounted when it is dropped. Only root can have one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// # Panics
    /// When it cannot be mounted: a test that needs it has shown nothing then.
    fn mount(bytes: &str) -> Self {
        let disk = Self(tempfile::tempdir().expect("a folder"));
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0755"), "tmpfs"]).arg(disk.0.path());
        let outcome = run(&mut mount);
        assert!(
            outcome.success,
            "a small file system cannot be mounted: {}: run this test as root, with CAP_SYS_ADMIN",
            outcome.stderr
        );
        disk
    }

    /// Leaves no room.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut filler = File::create(&path).expect("room for a name");
        while filler.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.0.path()));
    }
}

#[test]
fn while_the_database_s_disk_is_full_votes_wait() {
    let disk = SmallDisk::mount("160m");
    let postgres = Postgres::start_in(tempfile::tempdir_in(disk.0.path()).expect("room"), true);
    let services = Services::with_results(&postgres.url());
    assert_eq!(services.vote("a", None), 200);
    services.wait_for_scores(r#"{"a":1,"b":0,"total":1}"#);
    // The next vote needs new room: a table.
    postgres.ask("DROP TABLE votes");
    let filler = disk.fill();
    assert_eq!(services.vote("b", None), 200, "the queue takes it");
    let told = wait_for(TOLD_WITHIN, || readiness(&services.worker).contains("53100").then_some(()));
    assert!(told.is_some(), "{}", readiness(&services.worker));
    std::fs::remove_file(filler).expect("it is there");
    services.wait_for_scores(r#"{"a":0,"b":1,"total":1}"#);
}
