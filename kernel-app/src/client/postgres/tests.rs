//! The database client on a connection that the test plays the server on.

use super::*;
use crate::client::bench::{self, Shown, WITHIN};
use crate::secret::Secret;
use alloc::borrow::ToOwned;
use alloc::{format, vec};

/// A statement was not sent.
#[derive(Debug, PartialEq, Eq)]
struct NotSent;

const ONE: Statement = Statement { name: "one", sql: "SELECT 1" };
const OTHER: Statement = Statement { name: "other", sql: "SELECT $1" };

/// Messages of the server.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u32::try_from(4 + body.len()).expect("short").to_be_bytes(), body].concat()
}

fn authentication(number: u32, rest: &[u8]) -> Vec<u8> {
    message(b'R', &[&number.to_be_bytes(), rest].concat())
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn error(fields: &str) -> Vec<u8> {
    message(b'E', fields.replace('|', "\0").as_bytes())
}

fn row(value: &str) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("short").to_be_bytes();
    message(b'D', &[&[0, 1][..], &length, value.as_bytes()].concat())
}

/// All that a statement is answered with that gives these values.
fn done(values: &[&str]) -> Vec<u8> {
    let rows: Vec<u8> = values.iter().flat_map(|value| row(value)).collect();
    [message(b'2', b""), rows, message(b'C', b"SELECT 1\0"), ready()].concat()
}

fn refused(sqlstate: &str) -> Vec<u8> {
    [error(&format!("SERROR|C{sqlstate}|Mno||")), ready()].concat()
}

/// What a server says that accepts without a password.
fn welcome() -> Vec<u8> {
    [authentication(0, b""), message(b'S', b"server_version\x0015\0"), message(b'K', &[0; 8]), ready()]
        .concat()
}

type Bench = bench::Bench<Postgres>;

impl Shown for Postgres {
    fn shown(answer: Result<Rows<'_>, ServerError<'_>>) -> String {
        match answer {
            Ok(rows) => {
                let values =
                    rows.map(|row| String::from_utf8_lossy(row.column(0).unwrap_or(b"NULL")).into_owned());
                values.collect::<Vec<_>>().join("+")
            }
            Err(error) => error.to_string(),
        }
    }
}

impl Bench {
    fn logging_in(password: Option<&str>) -> Self {
        let bench = Self::opened(DatabaseClient::new(DatabaseLogin {
            setting: "RESULTS_URL",
            user: "me".to_owned(),
            password: password.and_then(|password| Secret::new(password.as_bytes())),
            database: "db".to_owned(),
        }));
        assert!(bench.client.readiness().is_err(), "not logged in");
        bench
    }

    fn new() -> Self {
        let mut bench = Self::logging_in(None);
        bench.welcome();
        bench
    }

    /// The server accepts without a password.
    fn welcome(&mut self) {
        self.receive(welcome());
        assert_eq!(self.client.readiness(), Ok(()));
        // The first message of a connection has no type.
        self.take_sent();
    }

    fn send(&mut self, statement: &Statement, token: u32) -> Result<(), NotSent> {
        let sent = self.with(|client, context| client.send(statement, &[b"x"], token, WITHIN, context));
        sent.map_err(|_| NotSent)
    }

    /// The types of the messages that were sent.
    fn sent(&mut self) -> String {
        let sent = self.take_sent();
        let (mut kinds, mut rest) = (String::new(), &sent[..]);
        while let Some((kind, after)) = rest.split_first() {
            kinds.push(char::from(*kind));
            let length = after.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
            rest = &after[length..];
        }
        kinds
    }
}

#[test]
fn results_go_to_their_statements_however_they_are_cut() {
    let stream = [message(b'1', b""), done(&["7", "8"]), refused("22P02"), done(&[])].concat();
    for cut in 0..=stream.len() {
        let mut bench = Bench::new();
        for (token, statement) in [(1, &ONE), (2, &ONE), (3, &ONE)] {
            bench.send(statement, token).expect("connected");
        }
        assert_eq!(bench.sent(), "CPBESBESBES", "prepared once");
        bench.receive(&stream[..cut]);
        bench.receive(&stream[cut..]);
        assert_eq!(bench.outcomes(), "1=7+8 2=22P02 no 3=", "cut at {cut}");
        assert_eq!(bench.client.pending(), 0);
    }
}

#[test]
fn only_refused_statements_are_prepared_again() {
    let mut bench = Bench::new();
    bench.send(&OTHER, 1).expect("connected");
    bench.send(&ONE, 2).expect("connected");
    bench.receive([done(&[]), refused("42P01")].concat());
    assert_eq!((bench.outcomes(), bench.sent()), ("1= 2=42P01 no".to_owned(), "CPBESCPBES".to_owned()));
    bench.send(&OTHER, 3).expect("connected");
    bench.send(&ONE, 4).expect("connected");
    assert_eq!(bench.sent(), "BESCPBES");
}

#[test]
fn a_late_result_is_nobody_elses() {
    let mut bench = Bench::new();
    bench.send(&ONE, 1).expect("connected");
    bench.turn_after(60);
    bench.send(&ONE, 2).expect("connected");
    bench.turn_after(40);
    assert_eq!(bench.outcomes(), "1=overdue");
    assert_eq!(bench.send(&ONE, 3), Err(NotSent), "nothing more into the silence");
    assert!(bench.reason().contains("silent"), "{}", bench.reason());
    bench.receive([done(&["late"]), done(&["2"])].concat());
    assert_eq!(bench.outcomes(), "2=2");
    assert_eq!(bench.client.readiness(), Ok(()));
}

#[test]
fn a_silent_database_is_redialled_and_waiting_statements_are_lost() {
    let mut bench = Bench::new();
    bench.send(&ONE, 1).expect("connected");
    bench.turn_after(100);
    assert_eq!(bench.client.next_deadline(), Some(bench.now + OVERDUE_MAX));
    bench.turn_after(3_000);
    assert_eq!(bench.outcomes(), "1=overdue");
    assert!(bench.is_dropped());

    let mut bench = Bench::new();
    bench.send(&ONE, 1).expect("connected");
    bench.close();
    assert_eq!(bench.outcomes(), "1=lost");
    assert_eq!(bench.client.next_deadline(), None);
}

#[test]
fn a_quiet_connection_is_tried_now_and_then() {
    let mut bench = Bench::new();
    bench.turn_after(5_000);
    assert_eq!(bench.sent(), "S");
    bench.turn_after(900);
    assert!(bench.client.readiness().is_err());
    bench.receive(ready());
    assert_eq!(bench.client.readiness(), Ok(()));
    assert_eq!(bench.outcomes(), "");
}

#[test]
fn the_server_s_reason_for_an_end_is_kept_until_it_is_over() {
    let shutdown = error("SFATAL|C57P01|Mterminating connection due to administrator command||");
    for busy in [false, true] {
        let mut bench = Bench::new();
        if busy {
            bench.send(&ONE, 1).expect("connected");
        }
        bench.receive(&shutdown);
        bench.close();
        assert!(bench.reason().contains("57P01 terminating connection"), "{}", bench.reason());
        assert_eq!(bench.outcomes(), if busy { "1=lost" } else { "" });
        bench.reopen();
        assert!(bench.reason().contains("57P01"), "until it is known to be over");
        bench.welcome();
        bench.send(&ONE, 2).expect("connected");
        assert_eq!(bench.sent(), "CPBES", "prepared anew");
    }
}

#[test]
fn a_login_that_is_refused_or_slow_or_unsafe_is_given_up() {
    let wrong = error("SFATAL|C28P01|Mpassword authentication failed for user \"me\"||");
    let mechanisms = authentication(10, b"SCRAM-SHA-256-PLUS\0\0");
    let sasl = authentication(10, b"SCRAM-SHA-256\0\0");
    for (password, stream, reason) in [
        (Some("x"), wrong, "28P01 password authentication failed for user \"me\""),
        (Some("x"), authentication(3, b""), "in the clear"),
        (Some("x"), authentication(5, b"salt"), "as MD5"),
        (Some("x"), authentication(7, b""), "not known here"),
        (Some("x"), mechanisms, "another mechanism"),
        (None, sasl.clone(), "it wants a password"),
        (Some("x"), [sasl.clone(), authentication(0, b"")].concat(), "does not know the password itself"),
        (Some("x"), [sasl.clone(), authentication(11, b"r=a,s=b,i=1")].concat(), "SCRAM-SHA-256"),
        (Some("x"), [sasl.clone(), sasl.clone()].concat(), "unexpected"),
        (Some("x"), authentication(11, b"r=a,s=b,i=4096"), "unexpected"),
        (Some("x"), [authentication(0, b""), sasl.clone()].concat(), "unexpected"),
        (None, b"-ERR unknown command\r\n".to_vec(), "not PostgreSQL"),
        (None, ready(), "unexpected"),
    ] {
        let mut bench = Bench::logging_in(password);
        bench.receive(&stream);
        assert!(bench.reason().contains(reason) && bench.is_dropped(), "{reason}: {}", bench.reason());
        assert_eq!(bench.send(&ONE, 1), Err(NotSent));
    }
    let mut bench = Bench::logging_in(None);
    assert_eq!(bench.client.next_deadline(), Some(bench.now + LOGIN_WITHIN));
    bench.turn_after(1_500);
    assert!(bench.is_dropped());
}

#[test]
fn unexpected_or_oversized_results_end_the_connection() {
    let mut bench = Bench::new();
    bench.receive(ready());
    assert!(bench.is_dropped() && bench.reason().contains("does not belong"), "{}", bench.reason());
    let mut bench = Bench::new();
    bench.send(&ONE, 1).expect("connected");
    bench.receive([row("7"), ready()].concat());
    assert!(bench.is_dropped() && bench.outcomes() == "1=lost", "nobody has said that it was carried out");
    let mut bench = Bench::new();
    bench.send(&ONE, 1).expect("connected");
    let large = "x".repeat(50_000);
    while !bench.is_dropped() {
        assert!(bench.client.protocol.result.rows.len() <= ROWS_BYTES_MAX);
        bench.receive(row(&large));
    }
    assert_eq!(bench.outcomes(), "1=lost");
    assert!(bench.reason().contains("larger than is taken"));
}

#[test]
fn a_statement_is_sent_whole_or_not_at_all() {
    let mut bench = Bench::new();
    let room = bench.connection().output.space();
    for short_by in [1, 10, 40, 60] {
        let parameter = vec![b'x'; room - short_by];
        let sent = bench.with(|client, context| client.send(&OTHER, &[&parameter], 1, WITHIN, context));
        let sent = sent.map_err(|_| NotSent);
        assert_eq!(
            (sent, bench.sent().as_str(), bench.client.pending()),
            (Err(NotSent), "", 0),
            "{short_by}"
        );
    }
    bench.send(&OTHER, 2).expect("room");
    assert_eq!(bench.sent(), "CPBES", "was not prepared by what was not sent");
    while bench.client.pending() < PENDING_MAX {
        bench.send(&OTHER, 3).expect("room");
        bench.sent();
    }
    assert_eq!(bench.send(&OTHER, 4), Err(NotSent));
}

#[test]
fn a_database_whose_place_another_has_taken_is_left() {
    for code in ["25006", "57P01", "57P02", "57P03"] {
        let mut bench = Bench::new();
        bench.send(&ONE, 1).expect("connected");
        bench.send(&ONE, 2).expect("connected");
        bench.receive([message(b'1', b""), done(&["7"]), refused(code)].concat());
        assert!(bench.is_dropped(), "{code}");
        assert_eq!(bench.outcomes(), "1=7 2=lost", "nobody takes it for a refusal of what is in it");
        assert!(bench.reason().contains(code), "{}", bench.reason());
    }
    let mut bench = Bench::logging_in(None);
    bench.receive(error("SFATAL|C57P03|Mthe database system is starting up||"));
    assert!(bench.is_dropped() && bench.reason().contains("57P03"));
}
