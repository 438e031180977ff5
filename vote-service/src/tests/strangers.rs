//! Whose votes are not taken: of senders who are gone, of other sites, of new voters when there is no room for them or
//! too many come.

use super::*;
use crate::fullness::{ASK_EVERY, ASK_EVERY_WHILE_QUIET};

#[test]
fn a_vote_whose_sender_has_ended_the_connection_is_not_queued() {
    let (mut harness, store) = harness_with_store();
    let refused = "not acknowledged: the connection was ended before";
    let at_once = harness.accept();
    harness.receive_last(at_once, post("vote=a"));
    let page = harness.sent(at_once);
    assert!(status(&page) == "503" && page.contains(refused), "who only half-closed reads it: {page}");
    assert_eq!(harness.sent(store), "", "nothing is asked for it");

    // Meanwhile another waits for its ticket, ends, and has voted elsewhere by the time that the ticket comes.
    let [waits, stays] = ["vote=a", "vote=b"].map(|body| cast(&mut harness, body));
    assert_eq!(harness.sent(store), ASKS_TICKET);
    harness.receive(store, gives(5));
    assert_eq!(entries(&harness.sent(store)).len(), 1, "the first goes with this ticket, the second waits");
    harness.receive(store, ":1\r\n");
    assert_eq!(status(&harness.sent(waits)), "200");
    harness.receive_last(stays, "");
    harness.receive(store, gives(6));
    assert!(!harness.sent(store).contains("RPUSH"));
    assert!(harness.sent(stays).contains(refused));
    let metrics = get(&mut harness, "/metrics", "");
    assert!(metrics.contains("votes_rejected_total{reason=\"sender_ended\"} 2\n"), "{metrics}");
}

#[test]
fn a_vote_of_a_departed_sender_is_not_queued_when_the_input_is_full() {
    let (mut harness, store) = harness_with_store();
    let client = harness.accept();
    // The network knows of the end, and still has input that it could not hand over.
    harness.connections.get_mut(client).expect("open").peer_ended = true;
    harness.receive(client, post("vote=a"));
    assert_eq!(harness.sent(store), "");
    assert_eq!(status(&harness.sent(client)), "503");
}

const ASKS_MEMORY: &str = "*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\n";

/// What a store says that has used so much of its memory.
fn memory(used: u64, most: u64) -> String {
    let text = format!("# Memory\r\nused_memory:{used}\r\nmaxmemory:{most}\r\n");
    format!("${}\r\n{text}\r\n", text.len())
}

/// A vote with the cookie of a voter.
fn cast_as(harness: &mut Harness<VoteService>, voter: &str, body: &str) -> ConnectionId {
    let client = harness.accept();
    harness.receive(client, post(body).replacen("\r\n", &format!("\r\nCookie: voter_id={voter}\r\n"), 1));
    client
}

/// A harness whose store has said this of its memory, and of its queue once that mattered.
fn harness_with_memory(used: u64, most: u64, queued: u64) -> (Harness<VoteService>, ConnectionId) {
    let (mut harness, store) = harness_with_store();
    harness.pass(ASK_EVERY_WHILE_QUIET);
    assert_eq!(harness.sent(store), ASKS_MEMORY);
    harness.receive(store, memory(used, most));
    if harness.sent(store).contains("LLEN") {
        harness.receive(store, format!(":{queued}\r\n"));
    }
    (harness, store)
}

const KNOWN: &str = "00112233445566778899aabbccddeeff";
const MIB: u64 = 1 << 20;
const LOOKED_UP: &str = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";

#[test]
fn a_full_store_refuses_new_voters_but_accepts_known_ones() {
    let (mut harness, store) = harness_with_memory(31 * MIB, 32 * MIB, 3);
    let stranger = cast(&mut harness, "vote=a");
    let page = harness.sent(stranger);
    assert!(status(&page) == "503" && page.contains("role=\"alert\">This poll is full"), "{page}");
    assert_eq!((header(&page, "set-cookie"), header(&page, "retry-after")), (None, Some("60")));
    assert_eq!(harness.sent(store), "", "nobody is asked for it");

    for (reply, expected) in [
        ("*2\r\n$-1\r\n$20\r\n00000000000000065537\r\n", "200"),
        ("*2\r\n$-1\r\n$-1\r\n", "503"),
        ("*2\r\n-WRONGTYPE Operation against a key\r\n$-1\r\n", "503"),
        ("-EXECABORT Transaction discarded\r\n", "503"),
    ] {
        let client = cast_as(&mut harness, KNOWN, "vote=b");
        let asked = harness.sent(store);
        assert!(
            asked.starts_with("*1\r\n$5\r\nMULTI\r\n*3\r\n$4\r\nHGET\r\n$9\r\nresults:a\r\n$32\r\n"),
            "{asked}"
        );
        assert!(asked.ends_with("*1\r\n$4\r\nEXEC\r\n") && asked.matches(KNOWN).count() == 2, "{asked}");
        harness.receive(store, format!("{LOOKED_UP}{reply}"));
        if expected == "200" {
            assert_eq!(entries(&ticket(&mut harness, store, 7)), [("b".to_string(), sequence(7, 0))]);
            harness.receive(store, ":1\r\n");
        }
        assert_eq!(status(&harness.sent(client)), expected, "{reply}");
        assert_eq!(harness.sent(store), "", "{reply}");
    }
    let ready = get(&mut harness, "/readyz", "");
    assert!(status(&ready) == "200" && ready.contains("ready; full for new voters"), "{ready}");
    let metrics = get(&mut harness, "/metrics", "");
    assert!(metrics.contains("votes_rejected_total{reason=\"full\"} 3\n"), "{metrics}");
    assert!(metrics.contains("\npoll_full 1\n"), "{metrics}");
}

#[test]
fn a_store_that_has_room_again_takes_new_voters_again() {
    let (mut harness, store) = harness_with_memory(31 * MIB, 32 * MIB, 0);
    harness.pass(ASK_EVERY);
    assert_eq!(harness.sent(store), ASKS_MEMORY, "while it is full it is asked every second");
    harness.receive(store, memory(10 * MIB, 32 * MIB));
    cast(&mut harness, "vote=a");
    assert_eq!(entries(&ticket(&mut harness, store, 5)).len(), 1);
    assert!(get(&mut harness, "/readyz", "").ends_with("\r\n\r\nready\n"));
}

#[test]
fn a_store_full_of_waiting_votes_is_behind_rather_than_full() {
    let (mut harness, _) = harness_with_memory(31 * MIB, 32 * MIB, 120_000);
    let client = cast(&mut harness, "vote=a");
    let page = harness.sent(client);
    assert!(status(&page) == "503" && page.contains("waiting to be counted"), "{page}");
    assert!(get(&mut harness, "/readyz", "").contains("closed to new voters until votes are counted"));
}

#[test]
fn a_store_that_refuses_for_want_of_memory_is_told_as_full() {
    let (mut harness, store) = harness_with_store();
    let clients = ["vote=a", "vote=b"].map(|body| {
        let client = cast(&mut harness, body);
        harness.sent(store);
        client
    });
    harness.receive(store, gives(5));
    harness.sent(store);
    harness.receive(store, "-OOM command not allowed when used memory > 'maxmemory'.\r\n-OOM again\r\n");
    for client in clients {
        let page = harness.sent(client);
        assert!(status(&page) == "503" && page.contains("this poll is full"), "{page}");
        assert!(!page.contains("does not answer"), "{page}");
    }
    let ready = get(&mut harness, "/readyz", "");
    assert!(status(&ready) == "503" && ready.contains("memory is full"), "{ready}");
}

#[test]
fn a_lookup_counts_against_the_deadline_and_a_leaving_voter_is_not_queued() {
    let (mut harness, store) = harness_with_memory(31 * MIB, 32 * MIB, 0);
    let silent = cast_as(&mut harness, KNOWN, "vote=a");
    harness.pass(Duration::from_millis(900));
    assert_eq!(status(&harness.sent(silent)), "503");
    harness.sent(store);
    harness.receive(store, format!("{LOOKED_UP}*2\r\n$1\r\n1\r\n$-1\r\n"));
    let leaves = cast_as(&mut harness, KNOWN, "vote=a");
    harness.sent(store);
    harness.close(leaves);
    harness.receive(store, format!("{LOOKED_UP}*2\r\n$1\r\n1\r\n$-1\r\n"));
    if harness.sent(store).contains("INCR") {
        harness.receive(store, gives(9));
    }
    assert!(!harness.sent(store).contains("RPUSH"));
}

#[test]
fn a_limit_bounds_new_voters_and_not_those_who_have_voted() {
    let settings = [("NEW_VOTERS_PER_MINUTE_PER_ADDRESS", "2"), ("CLIENT_ADDRESS_HEADER", "X-Forwarded-For")];
    let mut harness = Harness::new(service(&Settings::from_pairs(settings)).expect("good settings"));
    let (store, _) = reach_store(&mut harness, 1);
    let mut tickets = 7;
    let mut try_from = |address: &str, cookie: Option<(&str, &str)>| {
        let client = harness.accept();
        let mut lines = format!("\r\nX-Forwarded-For: 8.8.8.8, {address}\r\n");
        cookie.iter().for_each(|(voter, _)| lines += &format!("Cookie: voter_id={voter}\r\n"));
        harness.receive(client, post("vote=a").replacen("\r\n", &lines, 1));
        if let Some((_, found)) = cookie {
            assert!(harness.sent(store).contains("HGET"));
            harness.receive(store, format!("{LOOKED_UP}*2\r\n{found}$-1\r\n"));
        }
        if harness.sent(store).contains("INCR") {
            tickets += 1;
            harness.receive(store, gives(tickets));
            harness.sent(store);
            harness.receive(store, ":1\r\n");
        }
        harness.sent(client)
    };
    let statuses = [(); 3].map(|()| status(&try_from("10.0.0.1", None)).to_string());
    assert_eq!(statuses, ["200", "200", "429"]);
    assert_eq!(status(&try_from("10.0.0.2", None)), "200", "another address");
    let invented = try_from("10.0.0.1", Some((KNOWN, "$-1\r\n")));
    assert_eq!(
        (status(&invented), header(&invented, "retry-after")),
        ("429", Some("60")),
        "a name of their own"
    );
    assert!(invented.contains("too many new voters") && header(&invented, "set-cookie").is_none());
    assert_eq!(status(&try_from("10.0.0.1", Some((KNOWN, "$1\r\n1\r\n")))), "200");
}

#[test]
fn a_form_on_another_site_s_page_is_no_vote_and_names_nobody() {
    let (mut harness, store) = harness_with_store();
    for line in ["Sec-Fetch-Site: cross-site", "Origin: https://evil.example", "Origin: null"] {
        let client = harness.accept();
        let lines = format!("\r\nCookie: voter_id={KNOWN}\r\n{line}\r\n");
        harness.receive(client, post("vote=a").replacen("\r\n", &lines, 1));
        let page = harness.sent(client);
        assert_eq!((status(&page), header(&page, "set-cookie")), ("403", None), "{line}");
        assert!(page.contains("Another site sent this vote"), "{page}");
        assert_eq!(harness.sent(store), "", "{line}");
    }
    let client = harness.accept();
    harness.receive(client, post("vote=a").replacen("\r\n", "\r\nOrigin: http://vote\r\n", 1));
    assert_eq!(harness.sent(store), ASKS_TICKET);
}

#[test]
fn a_half_closed_client_still_gets_the_page() {
    let mut harness = harness();
    let client = harness.accept();
    harness.receive_last(client, "GET / HTTP/1.1\r\nHost: vote\r\n\r\n");
    assert_eq!(status(&harness.sent(client)), "200");
}
