//! Epochs: when one begins, what is asked before, and what becomes of votes meanwhile.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use super::*;

#[test]
fn a_store_that_loses_its_data_while_it_is_connected_begins_another_epoch() {
    let (mut harness, store) = harness_with_store();
    cast(&mut harness, "vote=a");
    ticket(&mut harness, store, 300);
    harness.receive(store, ":1\r\n");
    let client = cast(&mut harness, "vote=b");
    assert_eq!(harness.sent(store), ASKS_TICKET);
    harness.receive(store, ":1\r\n");
    assert!(harness.sent(store).starts_with(RECALLS_EPOCH), "that ticket is worth nothing");
    harness.receive(store, "$-1\r\n");
    assert_eq!(harness.sent(store), ASKS_TICKET, "this one is for the epoch");
    harness.receive(store, gives(2));
    assert_eq!(begin_epoch(&mut harness, store, 2), ASKS_TICKET);
    harness.receive(store, gives(3));
    assert_eq!(entries(&harness.sent(store)), [("b".to_string(), sequence(3, 0))]);
    harness.receive(store, ":1\r\n");
    assert_eq!(status(&harness.sent(client)), "200");
}

#[test]
fn without_an_epoch_no_vote_is_taken_and_the_reason_is_told() {
    for refusal in ["-WRONGTYPE Operation against a key", "-OOM command not allowed", "+QUEUED"] {
        let mut harness = harness();
        let store = harness.reach_peer();
        let early = cast(&mut harness, "vote=a");
        harness.receive(store, format!("+PONG\r\n{}", gives(7)));
        harness.sent(store);
        harness.receive(store, format!("{refusal}\r\n"));
        let late = cast(&mut harness, "vote=a");
        assert_eq!(status(&harness.sent(late)), "503", "{refusal}: at once");
        let readiness = get(&mut harness, "/readyz", "");
        assert_eq!(status(&readiness), "503");
        assert!(readiness.contains("REDIS_URL: the store accepts no votes: it answers HSET votes:epochs: "));
        assert_eq!(harness.sent(store), "", "not again and again");
        harness.pass(RETRY_AFTER);
        assert_eq!(harness.sent(store), ASKS_TICKET);
        assert_eq!(status(&harness.sent(early)), "503", "its time is up");
        harness.receive(store, gives(9));
        assert_eq!(begin_epoch(&mut harness, store, 9), "");
        assert_eq!(status(&get(&mut harness, "/readyz", "")), "200", "it was mended");
        cast(&mut harness, "vote=a");
        assert_eq!(entries(&ticket(&mut harness, store, 10)).len(), 1);
    }
}

#[test]
fn a_silent_store_is_not_asked_for_an_epoch_without_end() {
    let mut harness = harness();
    let store = harness.reach_peer();
    harness.receive(store, "+PONG\r\n:7\r\n");
    harness.sent(store);
    harness.receive(store, "-OOM command not allowed\r\n");
    // It is asked again, does not answer, and cannot be asked once more. Here a service that wants to be called at
    // once, again and again, is a failure.
    harness.pass(Duration::from_millis(3_500));
    assert_eq!(harness.sent(store), ASKS_TICKET);
    harness.receive(store, ":8\r\n");
    harness.pass(RETRY_AFTER);
    assert!(harness.sent(store).starts_with(ASKS_TICKET), "before it is asked how full it is");
    harness.receive(store, format!("{}-ERR of its memory it says nothing\r\n", gives(9)));
    assert_eq!(begin_epoch(&mut harness, store, 9), "");
}

#[test]
fn each_connection_asks_for_the_epoch_of_the_one_before() {
    let mut harness = harness();
    let mut before = None;
    for ticket in [1, 2, 3] {
        let store = harness.reach_peer();
        let asked = harness.sent(store);
        let recalled = asked.split_once(RECALLS_EPOCH).map(|(_, rest)| rest[..32].to_string());
        assert_eq!(recalled, before, "before ticket {ticket}");
        if recalled.is_some() {
            harness.receive(store, "+PONG\r\n$-1\r\n");
            assert_eq!(harness.sent(store), ASKS_TICKET);
            harness.receive(store, gives(ticket));
        } else {
            harness.receive(store, format!("+PONG\r\n{}", gives(ticket)));
        }
        before = harness.sent(store).strip_prefix(NOTES_EPOCH).map(|rest| rest[..32].to_string());
        harness.receive(store, ":1\r\n");
        harness.receive(store, format!(":{}\r\n", number(ticket) + TICKETS_AHEAD));
        harness.close(store);
    }
}

#[test]
fn an_unconfirmed_epoch_is_followed_by_another() {
    let mut harness = harness();
    let store = harness.reach_peer();
    harness.receive(store, format!("+PONG\r\n{}", gives(7)));
    let asked = harness.sent(store);
    let note = &asked[asked.find(NOTES_EPOCH).expect("it is noted")..];
    let name = note[NOTES_EPOCH.len()..][..32].to_string();
    // The store may have noted it, and somebody may have read that.
    harness.receive(store, "-ERR nobody knows what became of it\r\n");
    harness.pass(RETRY_AFTER);
    assert_eq!(harness.sent(store), ASKS_TICKET);
    harness.receive(store, gives(8));
    let note = harness.sent(store);
    assert!(note.starts_with(NOTES_EPOCH), "{note}");
    assert!(!note.contains(&name), "{name} stays where it is: {note}");
}

#[test]
fn an_epoch_does_not_begin_while_the_store_gives_tickets_from_before_it() {
    let mut harness = harness();
    let store = harness.reach_peer();
    let client = cast(&mut harness, "vote=a");
    harness.receive(store, format!("+PONG\r\n{}", gives(7)));
    harness.receive(store, ":1\r\n");
    assert!(harness.sent(store).ends_with(LEAPS));
    harness.receive(store, format!(":{}\r\n", number(7) + TICKETS_AHEAD - 1));
    assert_eq!(harness.sent(store), "", "it has gone back");
    harness.pass(RETRY_AFTER);
    assert_eq!((harness.sent(store).as_str(), status(&harness.sent(client))), (ASKS_TICKET, "503"));
}

#[test]
fn the_oldest_epochs_are_removed_and_their_removal_is_recorded() {
    let mut harness = harness();
    let store = harness.reach_peer();
    harness.receive(store, format!("+PONG\r\n{}", gives(900)));
    harness.receive(store, ":1\r\n");
    harness.receive(store, gives(901));
    assert!(harness.sent(store).ends_with(COUNTS_EPOCHS));
    let old: Vec<_> =
        (0..EPOCHS_MAX + 2).map(|age| (format!("{age:032}"), sequence(age as u64, 0))).collect();
    let fields = |pruned: &str| {
        let count = 2 * old.len() + if pruned.is_empty() { 0 } else { 2 };
        let field = |(name, begin): &(String, u64)| {
            let digits = begin.to_string();
            format!("$32\r\n{name}\r\n${}\r\n{digits}\r\n", digits.len())
        };
        format!("*{count}\r\n{}{pruned}", old.iter().map(field).collect::<String>())
    };
    const LISTS: &str = "*2\r\n$7\r\nHGETALL\r\n$12\r\nvotes:epochs\r\n";
    harness.receive(store, format!(":{}\r\n", old.len()));
    assert_eq!(harness.sent(store), LISTS);
    harness.receive(store, fields(""));
    assert!(harness.sent(store).ends_with("$6\r\npruned\r\n$1\r\n1\r\n"), "before anything is removed");
    harness.receive(store, ":1\r\n");
    assert_eq!(harness.sent(store), LISTS);
    harness.receive(store, fields("$6\r\npruned\r\n$1\r\n1\r\n"));
    let removal = harness.sent(store);
    assert!(removal.starts_with("*4\r\n$4\r\nHDEL\r\n"), "{removal}");
    assert!(removal.contains(&old[0].0) && removal.contains(&old[1].0), "{removal}");
    harness.receive(store, ":2\r\n");
    assert_eq!(harness.sent(store), "");
    assert_eq!(status(&get(&mut harness, "/readyz", "")), "200");
}
