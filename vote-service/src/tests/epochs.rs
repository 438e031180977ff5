//! Epochs: when one begins, what is asked before, and what becomes of votes meanwhile.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use super::*;

#[test]
fn a_store_that_loses_its_data_while_it_is_connected_begins_another_epoch() {
    let (mut stage, store) = stage_with_store();
    cast(&mut stage, "vote=a");
    ticket(&mut stage, store, 300);
    stage.receive(store, ":1\r\n");
    let client = cast(&mut stage, "vote=b");
    assert_eq!(stage.sent(store), ASKS_TICKET);
    stage.receive(store, ":1\r\n");
    assert!(stage.sent(store).starts_with(RECALLS_EPOCH), "that ticket is worth nothing");
    stage.receive(store, "$-1\r\n");
    assert_eq!(stage.sent(store), ASKS_TICKET, "this one is for the epoch");
    stage.receive(store, gives(2));
    assert_eq!(begin_epoch(&mut stage, store, 2), ASKS_TICKET);
    stage.receive(store, gives(3));
    assert_eq!(entries(&stage.sent(store)), [("b".to_string(), sequence(3, 0))]);
    stage.receive(store, ":1\r\n");
    assert_eq!(status(&stage.sent(client)), "200");
}

#[test]
fn without_an_epoch_no_vote_is_taken_and_the_reason_is_told() {
    for refusal in ["-WRONGTYPE Operation against a key", "-OOM command not allowed", "+QUEUED"] {
        let mut stage = stage();
        let store = stage.reach_peer();
        let early = cast(&mut stage, "vote=a");
        stage.receive(store, format!("+PONG\r\n{}", gives(7)));
        stage.sent(store);
        stage.receive(store, format!("{refusal}\r\n"));
        let late = cast(&mut stage, "vote=a");
        assert_eq!(status(&stage.sent(late)), "503", "{refusal}: at once");
        let readiness = get(&mut stage, "/readyz", "");
        assert_eq!(status(&readiness), "503");
        assert!(readiness.contains("REDIS_URL: the store takes no votes: it answers HSET votes:epochs: "));
        assert_eq!(stage.sent(store), "", "not again and again");
        stage.pass(RETRY_AFTER);
        assert_eq!(stage.sent(store), ASKS_TICKET);
        assert_eq!(status(&stage.sent(early)), "503", "its time is up");
        stage.receive(store, gives(9));
        assert_eq!(begin_epoch(&mut stage, store, 9), "");
        assert_eq!(status(&get(&mut stage, "/readyz", "")), "200", "it was mended");
        cast(&mut stage, "vote=a");
        assert_eq!(entries(&ticket(&mut stage, store, 10)).len(), 1);
    }
}

#[test]
fn a_silent_store_is_not_asked_for_an_epoch_without_end() {
    let mut stage = stage();
    let store = stage.reach_peer();
    stage.receive(store, "+PONG\r\n:7\r\n");
    stage.sent(store);
    stage.receive(store, "-OOM command not allowed\r\n");
    // It is asked again, does not answer, and cannot be asked once more. Here a service that wants to be called at
    // once, again and again, is a failure.
    stage.pass(Duration::from_millis(3_500));
    assert_eq!(stage.sent(store), ASKS_TICKET);
    stage.receive(store, ":8\r\n");
    stage.pass(RETRY_AFTER);
    assert!(stage.sent(store).starts_with(ASKS_TICKET), "before it is asked how full it is");
    stage.receive(store, format!("{}-ERR of its memory it says nothing\r\n", gives(9)));
    assert_eq!(begin_epoch(&mut stage, store, 9), "");
}

#[test]
fn each_connection_asks_for_the_epoch_of_the_one_before() {
    let mut stage = stage();
    let mut before = None;
    for ticket in [1, 2, 3] {
        let store = stage.reach_peer();
        let asked = stage.sent(store);
        let recalled = asked.split_once(RECALLS_EPOCH).map(|(_, rest)| rest[..32].to_string());
        assert_eq!(recalled, before, "before ticket {ticket}");
        if recalled.is_some() {
            stage.receive(store, "+PONG\r\n$-1\r\n");
            assert_eq!(stage.sent(store), ASKS_TICKET);
            stage.receive(store, gives(ticket));
        } else {
            stage.receive(store, format!("+PONG\r\n{}", gives(ticket)));
        }
        before = stage.sent(store).strip_prefix(NOTES_EPOCH).map(|rest| rest[..32].to_string());
        stage.receive(store, ":1\r\n");
        stage.receive(store, format!(":{}\r\n", number(ticket) + TICKETS_AHEAD));
        stage.close(store);
    }
}

#[test]
fn a_beginning_that_is_not_answered_is_followed_by_another_epoch() {
    let mut stage = stage();
    let store = stage.reach_peer();
    stage.receive(store, format!("+PONG\r\n{}", gives(7)));
    let asked = stage.sent(store);
    let note = &asked[asked.find(NOTES_EPOCH).expect("it is noted")..];
    let name = note[NOTES_EPOCH.len()..][..32].to_string();
    // The store may have noted it, and somebody may have read that.
    stage.receive(store, "-ERR nobody knows what became of it\r\n");
    stage.pass(RETRY_AFTER);
    assert_eq!(stage.sent(store), ASKS_TICKET);
    stage.receive(store, gives(8));
    let note = stage.sent(store);
    assert!(note.starts_with(NOTES_EPOCH), "{note}");
    assert!(!note.contains(&name), "{name} stays where it is: {note}");
}

#[test]
fn an_epoch_does_not_begin_while_the_store_gives_tickets_from_before_it() {
    let mut stage = stage();
    let store = stage.reach_peer();
    let client = cast(&mut stage, "vote=a");
    stage.receive(store, format!("+PONG\r\n{}", gives(7)));
    stage.receive(store, ":1\r\n");
    assert!(stage.sent(store).ends_with(LEAPS));
    stage.receive(store, format!(":{}\r\n", number(7) + TICKETS_AHEAD - 1));
    assert_eq!(stage.sent(store), "", "it has gone back");
    stage.pass(RETRY_AFTER);
    assert_eq!((stage.sent(store).as_str(), status(&stage.sent(client))), (ASKS_TICKET, "503"));
}

#[test]
fn the_oldest_epochs_are_removed_and_it_is_noted_that_there_were_some() {
    let mut stage = stage();
    let store = stage.reach_peer();
    stage.receive(store, format!("+PONG\r\n{}", gives(900)));
    stage.receive(store, ":1\r\n");
    stage.receive(store, gives(901));
    assert!(stage.sent(store).ends_with(COUNTS_EPOCHS));
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
    stage.receive(store, format!(":{}\r\n", old.len()));
    assert_eq!(stage.sent(store), LISTS);
    stage.receive(store, fields(""));
    assert!(stage.sent(store).ends_with("$6\r\npruned\r\n$1\r\n1\r\n"), "before anything is removed");
    stage.receive(store, ":1\r\n");
    assert_eq!(stage.sent(store), LISTS);
    stage.receive(store, fields("$6\r\npruned\r\n$1\r\n1\r\n"));
    let removal = stage.sent(store);
    assert!(removal.starts_with("*4\r\n$4\r\nHDEL\r\n"), "{removal}");
    assert!(removal.contains(&old[0].0) && removal.contains(&old[1].0), "{removal}");
    stage.receive(store, ":2\r\n");
    assert_eq!(stage.sent(store), "");
    assert_eq!(status(&get(&mut stage, "/readyz", "")), "200");
}
