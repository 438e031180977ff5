//! What the original's programs say to a queue and to a database, said by clients of the same make: redis-py for its
//! vote service, node-postgres for its result service, the commands and statements of its worker.
//!
//! Needs no checkout of the original, and shows of it only what is written down here.

use std::process::Command;
use std::thread;

use redis::Commands;
use serde_json::Value;
use tests::client::{vote, wait_for};
use tests::command::run;
use tests::packages::{node, python_programs};
use tests::postgres::Postgres;
use tests::redis::{Server, redis, store};

use crate::services::{COUNTED_WITHIN, start, wait_for_scores};

/// Queues votes as the original's vote service does.
fn queue(server: &Server, votes: &[(&str, &str)]) {
    let mut python = Command::new(python_programs().join("python"));
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/vote.py"));
    python.arg(server.address.port().to_string());
    let outcome = run(python.args(votes.iter().flat_map(|(voter, choice)| [voter, choice])));
    assert!(outcome.success, "{outcome:?}");
}

/// The scores as the original's result service reads them.
fn count(postgres: &Postgres) -> String {
    let mut node = node();
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/count.js")).arg(postgres.url());
    let outcome = run(&mut node);
    assert!(outcome.success, "{outcome:?}");
    outcome.stdout.trim().to_owned()
}

fn url(server: &Server) -> String {
    format!("redis://{}", server.address)
}

/// The original's worker, by what it does to queue and table.
struct Worker<'a> {
    queue: redis::Client,
    postgres: &'a Postgres,
}

impl<'a> Worker<'a> {
    /// It makes its table when it starts.
    fn start(server: &Server, postgres: &'a Postgres) -> Self {
        postgres.ask(
            "CREATE TABLE IF NOT EXISTS votes (id VARCHAR(255) NOT NULL UNIQUE, vote VARCHAR(255) NOT NULL)",
        );
        Self { queue: redis::Client::open(url(server)).expect("an address"), postgres }
    }

    /// Takes all votes that wait off the queue, one by one.
    fn work(&mut self) {
        while let Some(element) = self.queue.lpop::<_, Option<String>>("votes", None).expect("a queue") {
            let json: Value = serde_json::from_str(&element).expect("what both vote services queue");
            let (voter, choice) = (json["voter_id"].as_str(), json["vote"].as_str());
            let (voter, choice) = (voter.expect("a voter"), choice.expect("a vote"));
            let insert = format!("INSERT INTO votes (id, vote) VALUES ('{voter}', '{choice}')");
            if !self.postgres.psql(&insert).success {
                self.postgres.ask(&format!("UPDATE votes SET vote = '{choice}' WHERE id = '{voter}'"));
            }
        }
    }
}

#[test]
fn votes_from_redis_py_are_counted_in_the_store() {
    let server = store(&[]);
    let (_worker, result) =
        (start("worker", &url(&server), None), start("result-service", &url(&server), None));
    queue(
        &server,
        &[("1f2e3d4c5b6a798", "a"), ("2", "b"), ("3", "b"), ("n\u{e9} \"quoted\"", "a"), ("5", "a")],
    );
    wait_for_scores(&result, (3, 2));
    // It queues whatever the form says: nobody's vote. What comes after it counts.
    queue(&server, &[("6", "c"), ("7", ""), ("1f2e3d4c5b6a798", "b"), ("3", "a"), ("3", "b"), ("8", "a")]);
    wait_for_scores(&result, (3, 3));
}

#[test]
fn node_postgres_counts_what_our_services_have_written() {
    let (server, postgres) = (store(&[]), Postgres::start(true));
    let results = postgres.url();
    let ours = |package| start(package, &url(&server), Some(&results));
    let (vote_service, _worker, result) = (ours("vote-service"), ours("worker"), ours("result-service"));
    let page = format!("http://{}/", vote_service.addresses[0]);
    let choices = ["a", "b", "b"].map(|choice| vote(&page, choice, None).status);
    assert_eq!(choices, [200; 3]);
    wait_for_scores(&result, (1, 2));
    assert_eq!(count(&postgres), r#"{"a":1,"b":2}"#);
}

#[test]
fn the_original_s_worker_and_ours_take_turns_on_one_table() {
    let (server, postgres) = (store(&[]), Postgres::start(true));
    let (queue_url, results) = (url(&server), postgres.url());
    let vote_service = start("vote-service", &queue_url, None);
    let page = format!("http://{}/", vote_service.addresses[0]);
    let votes_at_ours = |voter: &str, choice: &str| {
        assert_eq!(vote(&page, choice, Some(&format!("voter_id={voter}"))).status, 200);
    };
    let result = start("result-service", &queue_url, Some(&results));
    let both_say = |a: u64, b: u64| {
        wait_for_scores(&result, (a, b));
        assert_eq!(count(&postgres), format!(r#"{{"a":{a},"b":{b}}}"#));
    };

    let mut theirs = Worker::start(&server, &postgres);
    queue(&server, &[("1", "a"), ("2", "a")]);
    votes_at_ours("3", "b");
    theirs.work();
    both_say(2, 1);

    // Ours finds a table without its column.
    let ours = start("worker", &queue_url, Some(&results));
    queue(&server, &[("1", "b")]);
    votes_at_ours("2", "b");
    both_say(0, 3);
    votes_at_ours("4", "a");
    both_say(1, 3);
    let mut operator = redis::Client::open(url(&server)).expect("an address");
    let under_way = || operator.llen::<_, u32>("votes:processing:worker").ok().filter(|count| *count == 0);
    assert!(wait_for(COUNTED_WITHIN, under_way).is_some(), "a worker that goes leaves nothing behind");
    drop(ours);

    // Theirs goes on with the column that it does not know.
    let mut theirs = Worker::start(&server, &postgres);
    queue(&server, &[("1", "a"), ("5", "a")]);
    votes_at_ours("2", "a");
    theirs.work();
    both_say(4, 1);

    // Ours again: what theirs has written meanwhile has no sequence, and a later vote counts.
    let _ours = start("worker", &queue_url, Some(&results));
    votes_at_ours("2", "b");
    queue(&server, &[("4", "b")]);
    both_say(2, 3);

    // Both at once: whoever takes a vote counts it.
    let crowd: Vec<String> = (100..140).map(|number| number.to_string()).collect();
    thread::scope(|scope| {
        let voting = scope.spawn(|| crowd.iter().for_each(|voter| votes_at_ours(voter, "a")));
        while !voting.is_finished() {
            theirs.work();
        }
    });
    both_say(42, 3);
}

/// What StackExchange.Redis of the original's worker says on its two connections before it asks for votes, from its
/// source; and which kind of reply each has to have. `-` is refused by a Redis too, or is nothing that the worker
/// uses: configuration by several servers.
const GREETINGS: [(&[&str], &str); 10] = [
    (&["CLIENT", "SETNAME", "worker"], "+"),
    (&["CONFIG", "GET", "timeout"], "*"),
    (&["CONFIG", "GET", "slave-read-only"], "*"),
    (&["CONFIG", "GET", "databases"], "*"),
    (&["SENTINEL", "MASTERS"], "-"),
    (&["INFO"], "$"),
    (&["CLUSTER", "NODES"], "-"),
    (&["ECHO", "sixteen \u{1}\u{2} bytes"], "$"),
    (&["GET", "__Booksleeve_TieBreak"], "$"),
    (&["PING"], "+"),
];

#[test]
fn the_original_workers_redis_client_can_connect_to_our_store() {
    for server in [store(&[]), redis(&[])] {
        queue(&server, &[("1", "a")]);
        let mut connection = server.connect();
        for (command, kind) in GREETINGS {
            let bytes: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
            let reply = String::from_utf8(connection.ask(&bytes).expect("a reply")).expect("text");
            assert!(reply.starts_with(kind), "{}: {command:?}: {reply}", server.name);
            match command[0] {
                "INFO" => {
                    for fact in
                        ["\r\nrole:master\r\n", "\r\nredis_mode:standalone\r\n", "\r\nredis_version:7."]
                    {
                        assert!(reply.contains(fact), "{}: {fact:?} is not in {reply}", server.name);
                    }
                }
                "ECHO" => assert!(reply.contains(command[1]), "{}: {reply}", server.name),
                _ => {}
            }
        }
        let element = connection.ask(&[b"LPOP", b"votes"]).expect("a reply");
        assert_eq!(element, b"$30\r\n{\"voter_id\": \"1\", \"vote\": \"a\"}\r\n", "{}", server.name);
        // For the news of other servers it has a second connection; the store has none, says so, and goes on.
        let mut news = server.connect();
        assert_eq!(news.ask(&[b"ECHO", b"x"]).expect("a reply"), b"$1\r\nx\r\n");
        let answer = news.ask(&[b"SUBSCRIBE", b"__Booksleeve_MasterChanged"]).expect("a reply");
        let refused =
            b"-ERR unknown command 'SUBSCRIBE', with args beginning with: '__Booksleeve_MasterChanged' \r\n";
        assert!(server.name != "store" || answer == refused, "{}", answer.escape_ascii());
        news.ask(&[b"PING"]).expect("the connection goes on");
    }
}
