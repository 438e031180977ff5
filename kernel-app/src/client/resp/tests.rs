//! The store client on a connection that the test plays the store on.

use super::*;
use crate::client::bench::{self, Shown, WITHIN};
use crate::client::{MOVED_MAX, OVERDUE_MAX};
use crate::network::Unreachable;
use crate::secret::Secret;
use alloc::string::{String, ToString};
use alloc::{format, vec};

type Bench = bench::Bench<Resp>;

impl Shown for Resp {
    fn shown(answer: Reply<'_>) -> String {
        match answer {
            Reply::Integer(number) => number.to_string(),
            reply => format!("{reply:?}"),
        }
    }
}

impl Bench {
    /// Connected, and the first PING answered.
    fn new() -> Self {
        let mut bench = Self::opened(StoreClient::default());
        assert_eq!(bench.client.readiness(), Err(SendError::Away), "no sign of life yet");
        bench.receive("+PONG\r\n");
        assert_eq!(bench.sent(), PING);
        bench
    }

    fn send(&mut self, token: u32) -> Result<(), StoreSendError> {
        self.with(|client, context| client.send(&[b"LLEN", b"votes"], token, WITHIN, context))
    }

    fn sent(&mut self) -> String {
        String::from_utf8_lossy(&self.take_sent()).into_owned()
    }
}

#[test]
fn replies_go_to_their_commands_however_they_are_cut() {
    let mut bench = Bench::new();
    for token in 1..=3 {
        bench.send(token).expect("connected");
    }
    for piece in [":1", "0\r", "\n:2", "0\r\n:30\r\n"] {
        bench.receive(piece);
    }
    assert_eq!(bench.outcomes(), "1=10 2=20 3=30");
    assert_eq!(bench.client.pending(), 0);
}

#[test]
fn a_late_reply_is_nobody_elses() {
    let mut bench = Bench::new();
    bench.send(1).expect("connected");
    assert_eq!(bench.client.next_deadline(), Some(bench.now + WITHIN));
    bench.turn_after(60);
    bench.send(2).expect("connected");
    bench.turn_after(40);
    assert_eq!(bench.outcomes(), "1=overdue");
    assert_eq!(bench.send(3), Err(SendError::Silent), "nothing more into the silence");
    bench.receive(":10\r\n");
    assert_eq!(bench.outcomes(), "", "the late reply is dropped");
    assert_eq!(bench.client.readiness(), Ok(()));
    bench.send(4).expect("the store speaks again");
    bench.receive(":20\r\n:40\r\n");
    assert_eq!(bench.outcomes(), "2=20 4=40");
}

#[test]
fn a_silent_store_is_dialled_anew() {
    let mut bench = Bench::new();
    bench.send(1).expect("connected");
    bench.turn_after(100);
    let dropped_at = bench.client.next_deadline().expect("has one");
    assert_eq!(dropped_at, bench.now + OVERDUE_MAX);
    bench.turn_after(3_000);
    assert_eq!(bench.outcomes(), "1=overdue", "once, although the connection is lost as well");
    assert!(bench.is_dropped());
    assert_eq!(bench.send(2), Err(SendError::Broken(Broken::Overdue)));
}

#[test]
fn waiting_commands_are_lost_when_the_connection_ends() {
    let mut bench = Bench::new();
    bench.send(1).expect("connected");
    bench.send(2).expect("connected");
    bench.receive(":10\r\n");
    bench.close();
    assert_eq!(bench.outcomes(), "1=10 2=lost");
    assert_eq!(bench.client.readiness(), Err(SendError::Broken(Broken::Ended)));
    assert_eq!(bench.client.next_deadline(), None);
}

#[test]
fn replies_before_the_stores_fin_still_count() {
    let mut bench = Bench::new();
    bench.send(1).expect("connected");
    bench.send(2).expect("connected");
    bench.connection().input_ended = true;
    bench.receive(":10\r\n");
    assert_eq!(bench.outcomes(), "1=10 2=lost");
}

#[test]
fn answers_that_are_no_replies_end_the_connection() {
    for (wrong, broken) in [
        ("HTTP/1.1 400 Bad Request\r\n", Broken::Protocol(StoreFault::NotResp)),
        (":1\r\n:2\r\n", Broken::Unasked),
    ] {
        let mut bench = Bench::new();
        bench.send(1).expect("connected");
        bench.receive(wrong);
        assert!(bench.is_dropped(), "{wrong}");
        assert_eq!(bench.send(2), Err(SendError::Broken(broken)));
    }
}

#[test]
fn a_wrong_answer_is_reported_rather_than_a_closed_connection() {
    let mut bench = Bench::new();
    for wrong in ["HTTP/1.1 400 Bad Request\r\n", ""] {
        bench.receive(wrong);
        bench.close();
        assert_eq!(bench.client.readiness(), Err(SendError::Broken(Broken::Protocol(StoreFault::NotResp))));
        bench.reopen();
    }
    bench.receive("+PONG\r\n");
    assert_eq!(bench.client.readiness(), Ok(()));
}

#[test]
fn a_quiet_connection_is_tried_now_and_then() {
    let mut bench = Bench::new();
    assert_eq!(bench.client.next_deadline(), Some(bench.now + PING_AFTER));
    bench.turn_after(5_000);
    assert_eq!(bench.sent(), PING);
    bench.turn_after(900);
    assert_eq!(bench.client.readiness(), Err(SendError::Silent));
    bench.receive("+PONG\r\n");
    assert_eq!(bench.client.readiness(), Ok(()));
}

/// A client that says this first, on its connection.
fn logging_in(user: Option<&str>, password: &[u8], database: u32) -> Bench {
    let (user, password) = (user.map(str::to_string), Secret::new(password));
    Bench::opened(StoreClient::new(StoreLogin { setting: "REDIS_URL", user, password, database }))
}

const AUTH: &str = "*2\r\n$4\r\nAUTH\r\n$4\r\nopen\r\n";
const PING: &str = "*1\r\n$4\r\nPING\r\n";

#[test]
fn nothing_is_sent_before_the_login_has_succeeded() {
    let mut bench = logging_in(Some("me"), b"open", 3);
    assert_eq!(
        bench.sent(),
        "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$4\r\nopen\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
    );
    assert_eq!(bench.send(1), Err(SendError::Away));
    bench.receive("+OK\r\n");
    assert_eq!(bench.send(1), Err(SendError::Away), "it would be done in another database");
    bench.receive("+OK\r\n");
    assert_eq!(bench.sent(), PING);
    assert_eq!(bench.send(1), Ok(()));
    bench.receive("+PONG\r\n:1\r\n");
    assert_eq!((bench.client.readiness(), bench.outcomes().as_str()), (Ok(()), "1=1"));
    assert!(!format!("{:?}", bench.client).contains("open"));
}

#[test]
fn a_refused_login_is_reported_and_retried_slowly() {
    let mut bench = logging_in(None, b"open", 0);
    let refused = || Err(SendError::Refused(Refusal::Password));
    let mut wait = RETRY_MIN;
    for _ in 0..6 {
        assert_eq!(bench.sent(), AUTH);
        bench.receive("-WRONGPASS invalid\r\n");
        assert_eq!((bench.client.readiness(), bench.send(1)), (refused(), refused()));
        assert_eq!(bench.client.next_deadline(), Some(bench.now + wait / 2));
        bench.turn_after(u64::try_from((wait / 2).as_millis()).expect("short"));
        wait = (wait * 2).min(RETRY_MAX);
    }
    bench.receive("+OK\r\n");
    assert_eq!(bench.sent(), [AUTH, PING].concat());
    bench.receive("+PONG\r\n");
    assert_eq!(bench.client.readiness(), Ok(()));
    let reason = bench.client.explained_readiness();
    assert_eq!(reason, Ok(()));
}

#[test]
fn a_refusal_by_the_store_is_reported_with_its_setting_until_it_ends() {
    for (error, refusal, words) in [
        ("NOAUTH Authentication required.", Refusal::PasswordWanted, "wants a password"),
        ("BUSY Redis is busy running a script", Refusal::Busy, "script"),
        ("OOM command not allowed", Refusal::OutOfMemory, "memory is full"),
        ("MISCONF Errors writing", Refusal::Disk, "disk"),
        ("NOPERM no permissions", Refusal::Permission, "NOPERM"),
        ("ERR max number of clients reached", Refusal::Clients, "too many clients"),
        ("ERR nonsense", Refusal::Other, "error"),
    ] {
        let mut bench = Bench::new();
        bench.send(1).expect("connected");
        bench.receive(format!("-{error}\r\n"));
        assert_eq!(bench.client.readiness(), Err(SendError::Refused(refusal)));
        let reason = bench.reason();
        assert!(reason.starts_with("REDIS_URL: ") && reason.contains(words), "{reason}");
        bench.sent();
        bench.turn_after(250);
        assert_eq!(bench.sent(), PING, "it is tried again");
        bench.receive("+PONG\r\n");
        assert_eq!(bench.client.readiness(), Ok(()));
    }
}

/// What servers answer that do not take writes now, though another at the same name may.
const ELSEWHERE: [(&str, Refusal, &str); 8] = [
    ("READONLY You can't write against a read only replica.", Refusal::ReadOnly, "(READONLY)"),
    (
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        Refusal::ReadOnly,
        "(READONLY)",
    ),
    (
        "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.",
        Refusal::ReadOnly,
        "(READONLY)",
    ),
    ("LOADING Redis is loading the dataset in memory", Refusal::Loading, "not ready yet (LOADING)"),
    ("MASTERDOWN Link with MASTER is down", Refusal::PrimaryDown, "(MASTERDOWN)"),
    ("CLUSTERDOWN Hash slot not served", Refusal::ClusterDown, "(CLUSTERDOWN)"),
    ("NOREPLICAS Not enough good replicas to write.", Refusal::NoReplicas, "(NOREPLICAS)"),
    ("MOVED 3999 127.0.0.1:6381", Refusal::Cluster, "cluster"),
];

#[test]
fn a_store_whose_place_another_has_taken_is_left() {
    for (error, refusal, words) in ELSEWHERE {
        let mut bench = Bench::new();
        bench.send(1).expect("connected");
        bench.send(2).expect("connected");
        bench.send(3).expect("connected");
        bench.receive(format!(":7\r\n-{error}\r\n"));
        assert!(bench.is_dropped(), "{error}");
        assert_eq!(bench.outcomes(), "1=7 2=lost 3=lost", "{error}");
        assert_eq!(bench.client.readiness(), Err(SendError::Broken(Broken::Elsewhere(refusal))));
        let reason = bench.reason();
        assert!(reason.starts_with("REDIS_URL: ") && reason.contains(words), "{reason}");
        bench.close();
        bench.reopen();
        assert!(bench.reason().contains(words), "until the next has answered");
        bench.receive("+PONG\r\n");
        assert_eq!(bench.client.readiness(), Ok(()));
        bench.send(4).expect("another store is there");
        bench.receive(":8\r\n");
        assert_eq!(bench.outcomes(), "4=8");
    }
}

#[test]
fn a_store_that_loads_is_left_before_the_login_too() {
    let mut bench = logging_in(None, b"open", 0);
    bench.receive("-LOADING Redis is loading the dataset in memory\r\n");
    assert!(bench.is_dropped());
    assert!(bench.reason().contains("LOADING"));
}

#[test]
fn an_inquiry_into_a_replica_is_lost_rather_than_refused() {
    let mut bench = Bench::new();
    bench
        .with(|client, context| client.inquire(&[b"INCR", b"votes:ticket"], 1, WITHIN, context))
        .expect("connected");
    bench.receive("-READONLY You can't write against a read only replica.\r\n");
    assert!(bench.is_dropped());
    assert_eq!(bench.outcomes(), "1=lost");
}

#[test]
fn a_connection_whose_name_leads_elsewhere_is_left_once_it_is_idle() {
    let mut bench = Bench::new();
    bench.send(1).expect("connected");
    bench.connection().peer_has_moved = true;
    bench.turn_after(10);
    assert!(!bench.is_dropped(), "a reply is to come");
    bench.receive(":7\r\n");
    assert!(bench.is_dropped());
    assert_eq!(bench.outcomes(), "1=7");
    assert_eq!(bench.client.readiness(), Err(SendError::Broken(Broken::Moved)));
}

#[test]
fn a_connection_that_is_never_idle_is_left_in_the_end() {
    let mut bench = Bench::new();
    bench.connection().peer_has_moved = true;
    let mut sent = 0;
    while !bench.is_dropped() {
        assert!(sent * 50 <= MOVED_MAX.as_millis(), "it stays after {sent} commands");
        bench.send(1).expect("connected");
        bench.receive(if sent == 0 { "" } else { ":7\r\n" });
        sent += 1;
        bench.turn_after(50);
    }
    assert_eq!(sent * 50, MOVED_MAX.as_millis());
    assert!(bench.outcomes().ends_with("1=lost"), "who waits is told");
}

#[test]
fn a_database_that_is_not_there_is_told() {
    let mut bench = logging_in(None, b"", 3);
    bench.receive("-ERR DB index is out of range\r\n");
    assert_eq!(bench.client.readiness(), Err(SendError::Refused(Refusal::Database)));
    assert_eq!(bench.send(1), Err(SendError::Refused(Refusal::Database)));
}

#[test]
fn a_store_that_cannot_be_reached_is_told_with_the_reason() {
    let mut client = StoreClient::<()>::default();
    client.unreachable(Unreachable::NameNotFound);
    let reason = client.explained_readiness().expect_err("away");
    assert_eq!(reason, "REDIS_URL: the name has no address: is it spelt right?");
}

#[test]
fn errors_are_shown_without_what_they_quote() {
    let error = b"ERR unknown command 'RPUSH', with args beginning with: 'votes' '{\"voter_id\":\"00ff";
    assert_eq!(without_arguments(error), b"ERR unknown command 'RPUSH'");
    assert_eq!(without_arguments(b"OOM x"), b"OOM x");
}

#[test]
fn the_number_of_waiting_commands_is_bounded() {
    let mut bench = Bench::new();
    for token in 0..PENDING_MAX {
        bench.send(u32::try_from(token).expect("small")).expect("connected");
        bench.sent();
    }
    assert_eq!(bench.send(9_999), Err(SendError::Busy));
}

fn transaction(bench: &mut Bench, token: u32, value: &[u8]) -> Result<(), StoreSendError> {
    bench.with(|client, context| {
        let commands: [&[&[u8]]; 2] = [&[b"SET", b"key", value], &[b"LLEN", b"votes"]];
        client.send_transaction(commands, token, WITHIN, context)
    })
}

#[test]
fn a_transaction_has_one_outcome() {
    let mut bench = Bench::new();
    transaction(&mut bench, 1, b"x").expect("connected");
    let sent = bench.sent();
    assert!(sent.starts_with("*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n"), "{sent}");
    assert!(sent.ends_with("LLEN\r\n$5\r\nvotes\r\n*1\r\n$4\r\nEXEC\r\n"), "{sent}");
    bench.send(2).expect("connected");
    bench.receive("+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n:5\r\n");
    assert_eq!(bench.outcomes(), "1=Null 2=5");
}

#[test]
fn a_transaction_that_does_not_fit_leaves_nothing_of_it_behind() {
    let mut bench = Bench::new();
    let limit = bench.connection().output.space();
    bench.send(1).expect("connected");
    let before = bench.client.pending();
    // All but `EXEC`, and all but the last command.
    for value_bytes in [limit - 105, limit - 85] {
        let value = vec![b'x'; value_bytes];
        assert_eq!(transaction(&mut bench, 2, &value), Err(SendError::Busy));
        assert_eq!(bench.client.pending(), before);
    }
    assert_eq!(bench.sent(), "*2\r\n$4\r\nLLEN\r\n$5\r\nvotes\r\n");
    while bench.client.pending() < PENDING_MAX - 3 {
        bench.send(3).expect("room");
    }
    bench.sent();
    assert_eq!(transaction(&mut bench, 4, b"x"), Err(SendError::Busy));
    assert_eq!((bench.sent().as_str(), bench.client.pending()), ("", PENDING_MAX - 3));
}
