//! Votes that replicas must have before they are acknowledged.

use super::*;
use crate::copies::COPIED_WITHIN;

const WAITS: &str = "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$3\r\n500\r\n";

/// A store that is there, two replicas of which must have each vote.
fn copying() -> (Harness<VoteService>, ConnectionId) {
    let settings = Settings::from_pairs([("REDIS_REPLICAS", "2")]);
    let mut harness = Harness::new(service(&settings).expect("good settings"));
    let (store, _) = reach_store(&mut harness, 1);
    (harness, store)
}

/// The id of the only entry among these commands.
fn id_of(commands: &str) -> &str {
    commands.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an entry")
}

#[test]
fn a_vote_is_acknowledged_once_enough_replicas_have_it() {
    let (mut harness, store) = copying();
    let clients = ["vote=a", "vote=b"].map(|body| {
        let client = cast(&mut harness, body);
        harness.sent(store);
        client
    });
    harness.receive(store, gives(10));
    let asked = harness.sent(store);
    assert_eq!(entries(&asked).len(), 1);
    assert!(asked.contains(WAITS), "{asked}");
    harness.receive(store, ":1\r\n");
    assert_eq!(clients.map(|client| harness.sent(client)), ["", ""], "the store alone has it");
    harness.receive(store, ":2\r\n");
    assert_eq!(status(&harness.sent(clients[0])), "200");
    assert_eq!(harness.sent(clients[1]), "", "it is another turn's");
    harness.receive(store, gives(20));
    assert!(harness.sent(store).ends_with(WAITS), "once for a turn");
    harness.receive(store, ":2\r\n:3\r\n");
    assert_eq!(status(&harness.sent(clients[1])), "200", "more will do");
}

#[test]
fn a_vote_that_too_few_replicas_have_is_not_acknowledged() {
    for reply in [":1\r\n", ":0\r\n", "-ERR unknown command 'WAIT'\r\n"] {
        let (mut harness, store) = copying();
        let client = cast(&mut harness, "vote=a");
        ticket(&mut harness, store, 10);
        harness.receive(store, format!(":1\r\n{reply}"));
        assert_eq!(status(&harness.sent(client)), "503", "{reply}");
    }
}

#[test]
fn a_vote_is_refused_in_time_when_nobody_tells_of_replicas() {
    let (mut harness, store) = copying();
    assert!(COPIED_WITHIN < Duration::from_millis(900));
    let client = cast(&mut harness, "vote=a");
    ticket(&mut harness, store, 10);
    harness.receive(store, ":1\r\n");
    harness.pass(Duration::from_millis(890));
    assert_eq!(harness.sent(client), "");
    harness.pass(Duration::from_millis(20));
    assert_eq!(status(&harness.sent(client)), "503");
    harness.receive(store, ":2\r\n");
    assert_eq!(harness.sent(client), "", "there is one answer");
}

#[test]
fn a_vote_whose_copies_are_in_doubt_is_queued_again_as_the_same_vote() {
    let (mut harness, store) = copying();
    let client = cast(&mut harness, "vote=a");
    let first = ticket(&mut harness, store, 10);
    harness.receive(store, ":1\r\n");
    harness.close(store);
    assert_eq!(harness.sent(client), "", "there is time left");
    let (store, asked) = reach_store_again(&mut harness, Some(1), 11);
    assert_eq!(asked, ASKS_TICKET);
    harness.receive(store, gives(20));
    let again = harness.sent(store);
    assert_eq!((id_of(&again), entries(&again)), (id_of(&first), entries(&first)));
    harness.receive(store, ":1\r\n:2\r\n");
    assert_eq!(status(&harness.sent(client)), "200");
}

#[test]
fn a_number_of_replicas_that_cannot_be_is_refused() {
    for wrong in ["9", "-1", "all"] {
        let Err(error) = service(&Settings::from_pairs([("REDIS_REPLICAS", wrong)])) else {
            panic!("{wrong:?} is taken")
        };
        assert_eq!((error.name, error.value.as_str()), ("REDIS_REPLICAS", wrong));
    }
}
