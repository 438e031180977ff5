//! The service as its clients and the store see it: bytes in, bytes out.
//!
//! Parses no more than it must; HTTP and RESP have their own tests.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::connections::Ending;
use kernel_app::{ConnectionId, Settings};
use simulator::harness::Harness;

use crate::epoch::{EPOCHS_MAX, RETRY_AFTER, TICKETS_AHEAD};
use crate::{VoteService, service};

mod copies;
mod epochs;
mod strangers;

/// What fits into one TCP segment on an Ethernet.
const SEGMENT_BYTES: usize = 1_460;
const ASKS_TICKET: &str = "*2\r\n$4\r\nINCR\r\n$12\r\nvotes:ticket\r\n";
const NOTES_EPOCH: &str = "*4\r\n$4\r\nHSET\r\n$12\r\nvotes:epochs\r\n$32\r\n";
const RECALLS_EPOCH: &str = "*3\r\n$4\r\nHGET\r\n$12\r\nvotes:epochs\r\n$32\r\n";
const LEAPS: &str = "*3\r\n$6\r\nINCRBY\r\n$12\r\nvotes:ticket\r\n$5\r\n65536\r\n";
const COUNTS_EPOCHS: &str = "*2\r\n$4\r\nHLEN\r\n$12\r\nvotes:epochs\r\n";

/// A harness with the settings' defaults but for an `INSTANCE`.
fn harness() -> Harness<VoteService> {
    let settings = Settings::from_pairs([("INSTANCE", "vote-1")]);
    Harness::new(service(&settings).expect("good settings"))
}

/// The same, with the store there.
fn harness_with_store() -> (Harness<VoteService>, ConnectionId) {
    let mut harness = harness();
    let (store, asked) = reach_store(&mut harness, 1);
    assert_eq!(asked, "", "nobody waits");
    (harness, store)
}

/// The store is reached, and gives this ticket for the epoch that begins.
fn reach_store(harness: &mut Harness<VoteService>, ticket: u64) -> (ConnectionId, String) {
    let store = harness.reach_peer();
    assert_eq!(
        harness.sent(store),
        format!("{ASKS_TICKET}{ASKS_TICKET}"),
        "one to try it, one for the epoch"
    );
    harness.receive(store, format!("+PONG\r\n{}", gives(ticket)));
    let asked = begin_epoch(harness, store, ticket);
    (store, asked)
}

/// The same, again: the store says whether it knows the epoch before.
fn reach_store_again(
    harness: &mut Harness<VoteService>,
    knows: Option<u64>,
    ticket: u64,
) -> (ConnectionId, String) {
    let store = harness.reach_peer();
    let asked = harness.sent(store);
    let recall = asked.strip_prefix(ASKS_TICKET).expect("it is tried");
    assert!(recall.starts_with(RECALLS_EPOCH), "{recall}");
    let digits = knows.map_or(String::new(), |ticket| epoch_behind(ticket).to_string());
    let known = knows.map_or("$-1\r\n".into(), |_| format!("${}\r\n{digits}\r\n", digits.len()));
    harness.receive(store, format!("+PONG\r\n{known}"));
    assert_eq!(harness.sent(store), ASKS_TICKET, "for the epoch");
    harness.receive(store, gives(ticket));
    let asked = begin_epoch(harness, store, ticket);
    (store, asked)
}

/// The store takes note of an epoch that begins behind this ticket; what it is asked then.
fn begin_epoch(harness: &mut Harness<VoteService>, store: ConnectionId, ticket: u64) -> String {
    let note = harness.sent(store);
    let digits = epoch_behind(ticket).to_string();
    let end = format!("\r\n${}\r\n{digits}\r\n", digits.len());
    assert!(note.starts_with(NOTES_EPOCH) && note.ends_with(&end), "{note} does not end with {end}");
    harness.receive(store, ":1\r\n");
    assert_eq!(harness.sent(store), LEAPS, "once it is noted");
    harness.receive(store, format!(":{}\r\n", number(ticket) + TICKETS_AHEAD));
    let asked = harness.sent(store);
    let further = asked.strip_prefix(COUNTS_EPOCHS).expect("the epochs are counted").to_string();
    harness.receive(store, ":1\r\n");
    further
}

fn get(harness: &mut Harness<VoteService>, path: &str, lines: &str) -> String {
    let client = harness.accept();
    harness.receive(client, format!("GET {path} HTTP/1.1\r\nHost: vote\r\n{lines}\r\n"));
    harness.sent(client)
}

fn post_as(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: vote\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn post(body: &str) -> String {
    post_as("application/x-www-form-urlencoded", body)
}

/// Sends a vote on a connection of its own and leaves it waiting.
fn cast(harness: &mut Harness<VoteService>, body: &str) -> ConnectionId {
    let client = harness.accept();
    harness.receive(client, post(body));
    client
}

/// The store gives the ticket that it is asked for; what it is asked for then.
fn ticket(harness: &mut Harness<VoteService>, store: ConnectionId, ticket: u64) -> String {
    assert_eq!(harness.sent(store), ASKS_TICKET);
    harness.receive(store, gives(ticket));
    harness.sent(store)
}

/// The store's number for a ticket of these tests, which leave room for an epoch between any two.
fn number(ticket: u64) -> u64 {
    ticket * 2 * TICKETS_AHEAD
}

/// The store's reply with a ticket.
fn gives(ticket: u64) -> String {
    format!(":{}\r\n", number(ticket))
}

/// Where the epoch begins for which a ticket was taken.
fn epoch_behind(ticket: u64) -> u64 {
    sequence(ticket, 0) + TICKETS_AHEAD * 65_536
}

/// The `vote` and `seq` of every entry in a stream of commands.
fn entries(commands: &str) -> Vec<(String, u64)> {
    let field = |entry: &str, name: &str| {
        let (_, value) = entry.split_once(&format!("\"{name}\":\"")).expect("the field");
        value.split('"').next().expect("a value").to_string()
    };
    let entry = |entry: &str| (field(entry, "vote"), field(entry, "seq").parse().expect("a number"));
    commands.split("{\"voter_id\"").skip(1).map(entry).collect()
}

/// Sequences of a ticket begin here.
fn sequence(ticket: u64, index: u64) -> u64 {
    number(ticket) * 65_536 + index
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or("none")
}

fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = response.split_once("\r\n\r\n")?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[test]
fn the_page_is_one_segment_and_names_a_new_voter() {
    let mut harness = harness();
    let first = get(&mut harness, "/", "");
    assert_eq!(status(&first), "200");
    assert!(first.len() <= SEGMENT_BYTES, "{} bytes: {first}", first.len());
    assert_eq!(header(&first, "content-type"), Some("text/html; charset=utf-8"));
    assert!(first.contains("<title>Cats vs Dogs!</title>") && first.contains("instance ID vote-1"));
    let cookie = header(&first, "set-cookie").expect("a cookie");
    let (id, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
    assert_eq!(id.len(), "voter_id=".len() + 32);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(header(&first, name), Some(value));
    }
    let policy = header(&first, "content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        !policy.contains("unsafe") && !first.contains(" style="),
        "nothing in the page needs an exception"
    );
    let second = get(&mut harness, "/", "");
    assert_ne!(header(&second, "set-cookie"), Some(cookie), "another voter");
}

#[test]
fn a_known_voter_keeps_the_cookie_and_a_forged_one_is_replaced() {
    let mut harness = harness();
    let known = "voter_id=00112233445566778899aabbccddeeff";
    let page = get(&mut harness, "/", &format!("Cookie: theme=dark; {known}\r\n"));
    assert!(header(&page, "set-cookie").expect("a cookie").starts_with(known), "{page}");
    let forged = "voter_id=\"}, {\"voter_id\":\"00112233445";
    let page = get(&mut harness, "/", &format!("Cookie: {forged}\r\n"));
    let cookie = header(&page, "set-cookie").expect("a cookie");
    assert!(cookie.starts_with("voter_id=") && !cookie.contains('"'), "{cookie}");
}

#[test]
fn a_voter_of_the_original_s_stays_the_same_voter() {
    let (mut harness, store) = harness_with_store();
    let known = "voter_id=1f2e3d4c5b6a798";
    let client = harness.accept();
    harness.receive(client, post("vote=a").replacen("\r\n", &format!("\r\nCookie: {known}\r\n"), 1));
    let command = ticket(&mut harness, store, 7);
    assert!(command.contains("{\"voter_id\":\"1f2e3d4c5b6a798\",\"vote\":\"a\","), "{command}");
    harness.receive(store, ":1\r\n");
    let page = harness.sent(client);
    let cookie = format!("{known}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
    assert_eq!(header(&page, "set-cookie"), Some(&*cookie), "{page}");
}

#[test]
fn a_vote_is_acknowledged_once_the_store_has_it() {
    let (mut harness, store) = harness_with_store();
    let client = cast(&mut harness, "vote=b");
    let command = ticket(&mut harness, store, 7);
    assert_eq!(entries(&command), [("b".to_string(), sequence(7, 0))]);
    assert!(command.starts_with("*3\r\n$5\r\nRPUSH\r\n$5\r\nvotes\r\n$127\r\n{\"voter_id\":\""), "{command}");
    assert!(command.contains("\",\"vote\":\"b\",\"id\":\""), "{command}");
    assert_eq!(harness.sent(client), "", "nothing before the store's reply");
    harness.receive(store, ":1\r\n");
    let page = harness.sent(client);
    assert_eq!(status(&page), "200");
    assert!(page.contains("value=\"b\" disabled>Dogs ✓</button>"), "{page}");
    let cookie = header(&page, "set-cookie").expect("a cookie");
    let voter = cookie.split(['=', ';']).nth(1).expect("an id");
    assert!(command.contains(&format!("{{\"voter_id\":\"{voter}\"")), "the queue has the cookie's voter");
}

#[test]
fn a_multipart_form_is_a_vote_as_well() {
    let (mut harness, store) = harness_with_store();
    let client = harness.accept();
    let body = "--x\r\nContent-Disposition: form-data; name=\"vote\"\r\n\r\na\r\n--x--\r\n";
    harness.receive(client, post_as("multipart/form-data; boundary=x", body));
    assert!(ticket(&mut harness, store, 10).contains("\"vote\":\"a\""));
    harness.receive(store, ":1\r\n");
    assert!(harness.sent(client).contains("value=\"a\" disabled>Cats ✓</button>"));
}

#[test]
fn what_is_no_vote_is_refused_and_not_queued() {
    let (mut harness, store) = harness_with_store();
    let json = post_as("application/json", "{\"vote\":\"a\"}");
    for request in [post("vote=c"), post("vote="), post("vot=a"), post(""), post("vote=a&vote=b"), json] {
        let client = harness.accept();
        harness.receive(client, &request);
        let response = harness.sent(client);
        assert_eq!(status(&response), "400", "{request} gives {response}");
        assert_eq!(harness.sent(store), "", "{request}");
    }
}

#[test]
fn replies_are_matched_to_voters_in_order() {
    let (mut harness, store) = harness_with_store();
    let clients = ["vote=a", "vote=b", "vote=a"].map(|body| {
        let client = cast(&mut harness, body);
        harness.sent(store);
        client
    });
    harness.receive(store, gives(10));
    harness.sent(store);
    harness.receive(store, format!(":1\r\n{}", gives(20)));
    assert_eq!(entries(&harness.sent(store)).len(), 2);
    harness.receive(store, "-OOM command not allowed\r\n:2\r\n");
    let statuses = clients.map(|client| status(&harness.sent(client)).to_string());
    assert_eq!(statuses, ["200", "503", "200"]);
}

#[test]
fn without_the_store_votes_are_refused_at_once_and_the_page_is_served() {
    let mut harness = harness();
    let client = cast(&mut harness, "vote=a");
    let response = harness.sent(client);
    assert_eq!((status(&response), header(&response, "retry-after")), ("503", Some("1")));
    assert!(response.contains("role=\"alert\">Your vote was not acknowledged"), "{response}");
    assert_eq!(status(&get(&mut harness, "/", "")), "200");
    let readiness = get(&mut harness, "/readyz", "");
    assert_eq!(status(&readiness), "503");
    assert!(readiness.contains("the store is away"), "{readiness}");
}

#[test]
fn a_silent_store_times_out_in_a_second_and_its_late_reply_is_dropped() {
    let (mut harness, store) = harness_with_store();
    let early = cast(&mut harness, "vote=a");
    ticket(&mut harness, store, 10);
    harness.pass(Duration::from_millis(700));
    assert_eq!(harness.sent(early), "");
    let late = cast(&mut harness, "vote=b");
    harness.pass(Duration::from_millis(100));
    harness.pass(Duration::from_millis(150));
    assert_eq!(status(&harness.sent(early)), "503");
    assert!(get(&mut harness, "/readyz", "").contains("the store is silent"));
    harness.receive(store, ":1\r\n");
    assert_eq!((harness.sent(early), harness.sent(late)), (String::new(), String::new()));
    harness.receive(store, gives(20));
    assert_eq!(entries(&harness.sent(store)), [("b".to_string(), sequence(20, 0))]);
    harness.receive(store, ":2\r\n");
    assert!(harness.sent(late).contains("value=\"b\" disabled"), "its own reply");
    assert_eq!(status(&get(&mut harness, "/readyz", "")), "200");
}

#[test]
fn waiting_votes_are_refused_in_time_when_the_store_is_lost() {
    let (mut harness, store) = harness_with_store();
    let queued = cast(&mut harness, "vote=a");
    ticket(&mut harness, store, 10);
    let clients = [queued, cast(&mut harness, "vote=b")];
    harness.close(store);
    assert_eq!(clients.map(|client| harness.sent(client)), ["", ""], "there is time left");
    harness.pass(Duration::from_millis(900));
    for client in clients {
        assert_eq!(status(&harness.sent(client)), "503");
    }
    let (store, _) = reach_store_again(&mut harness, Some(1), 11);
    let client = cast(&mut harness, "vote=a");
    ticket(&mut harness, store, 20);
    harness.receive(store, ":1\r\n");
    assert_eq!(status(&harness.sent(client)), "200");
}

#[test]
fn votes_that_come_together_share_a_ticket_and_later_ones_get_the_next() {
    let (mut harness, store) = harness_with_store();
    let first = cast(&mut harness, "vote=a");
    assert_eq!(harness.sent(store), ASKS_TICKET);
    let later = ["vote=b", "vote=a", "vote=b"].map(|body| cast(&mut harness, body));
    assert_eq!(harness.sent(store), "", "one ticket at a time");
    harness.receive(store, gives(5));
    let commands = harness.sent(store);
    assert_eq!(entries(&commands), [("a".to_string(), sequence(5, 0))]);
    assert!(commands.ends_with(ASKS_TICKET), "{commands}");
    harness.receive(store, format!(":1\r\n{}", gives(8)));
    assert_eq!(status(&harness.sent(first)), "200");
    let expected = [("b", 0), ("a", 1), ("b", 2)].map(|(vote, at)| (vote.to_string(), sequence(8, at)));
    assert_eq!(entries(&harness.sent(store)), expected);
    harness.receive(store, ":1\r\n:2\r\n:3\r\n");
    assert_eq!(later.map(|client| status(&harness.sent(client)).to_string()), ["200"; 3]);
    assert_eq!(harness.sent(store), "", "nobody waits for another ticket");
}

#[test]
fn a_vote_without_a_ticket_in_time_is_refused_and_never_queued() {
    for reply in [String::new(), gives(9)] {
        let (mut harness, store) = harness_with_store();
        let client = cast(&mut harness, "vote=a");
        assert_eq!(harness.sent(store), ASKS_TICKET);
        harness.now = harness.now + Duration::from_millis(900);
        harness.receive(store, reply.clone());
        assert_eq!(status(&harness.sent(client)), "503", "{reply}");
        assert!(!harness.sent(store).contains("RPUSH"), "{reply}");
        harness.receive(store, if reply.is_empty() { gives(9) } else { String::new() });
        assert!(!harness.sent(store).contains("RPUSH"), "a late ticket is nobody's");
    }
    let (mut harness, store) = harness_with_store();
    for refusal in [":0\r\n", ":281474976710656\r\n", "+OK\r\n", "-OOM command not allowed\r\n"] {
        let client = cast(&mut harness, "vote=a");
        assert_eq!(harness.sent(store), ASKS_TICKET);
        harness.receive(store, refusal);
        assert_eq!(status(&harness.sent(client)), "503", "{refusal}");
        assert_eq!(harness.sent(store), "", "{refusal}");
    }
}

#[test]
fn a_vote_whose_connection_is_lost_is_queued_again_as_the_same_vote() {
    let (mut harness, store) = harness_with_store();
    let queued = cast(&mut harness, "vote=a");
    let before = ticket(&mut harness, store, 30);
    let waits = cast(&mut harness, "vote=b");
    harness.close(store);
    harness.pass(Duration::from_millis(300));
    let (store, asked) = reach_store_again(&mut harness, Some(1), 41);
    assert_eq!(asked, ASKS_TICKET);
    harness.receive(store, gives(50));
    let commands = harness.sent(store);
    assert!(commands.starts_with(&before), "{commands} does not begin with {before}");
    assert_eq!(entries(&commands)[1..], [("b".to_string(), sequence(50, 1))]);
    harness.receive(store, ":1\r\n:2\r\n");
    assert_eq!([queued, waits].map(|client| status(&harness.sent(client)).to_string()), ["200"; 2]);
    assert!(get(&mut harness, "/metrics", "").contains("votes_accepted_total{option=\"a\"} 1\n"));
}

#[test]
fn sequences_that_the_store_will_give_again_are_not_used_again() {
    // It has lost all, or what came last, also if others have brought it near again; or it is another store, which may
    // have given more.
    for (knows, epoch) in [(Some(1), 2), (Some(1), 300), (None, 2), (None, 300), (None, 900), (Some(2), 900)]
    {
        let (mut harness, store) = harness_with_store();
        cast(&mut harness, "vote=a");
        ticket(&mut harness, store, 300);
        harness.close(store);
        let (store, asked) = reach_store_again(&mut harness, knows, epoch);
        assert_eq!(asked, ASKS_TICKET);
        harness.receive(store, gives(epoch + 1));
        assert_eq!(entries(&harness.sent(store)), [("a".to_string(), sequence(epoch + 1, 0))]);
    }
}

#[test]
fn a_voter_who_leaves_early_disturbs_nobody() {
    let (mut harness, store) = harness_with_store();
    let queued = cast(&mut harness, "vote=a");
    ticket(&mut harness, store, 10);
    let [waits, stays] = ["vote=a", "vote=b"].map(|body| cast(&mut harness, body));
    assert_eq!(harness.sent(store), ASKS_TICKET);
    [queued, waits].into_iter().for_each(|gone| harness.close(gone));
    harness.receive(store, format!(":1\r\n{}", gives(20)));
    assert_eq!(harness.sent(store), ASKS_TICKET, "who left before the vote was queued has not voted");
    harness.receive(store, gives(30));
    assert_eq!(entries(&harness.sent(store)), [("b".to_string(), sequence(30, 0))]);
    harness.receive(store, ":2\r\n");
    assert!(harness.sent(stays).contains("value=\"b\" disabled"));
    assert!(get(&mut harness, "/metrics", "").contains("votes_accepted_total{option=\"a\"} 1\n"));
}

#[test]
fn votes_on_one_connection_are_answered_in_order() {
    let (mut harness, store) = harness_with_store();
    let client = harness.accept();
    let page = "GET / HTTP/1.1\r\nHost: vote\r\n\r\n";
    harness.receive(client, format!("{}{page}{}", post("vote=a"), post("vote=b")));
    assert_eq!(harness.sent(client), "", "the page waits for the vote before it");
    ticket(&mut harness, store, 10);
    harness.receive(store, ":1\r\n");
    ticket(&mut harness, store, 20);
    harness.receive(store, ":2\r\n");
    let responses = harness.sent(client);
    assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), 3, "{responses}");
    let order = ["a\" disabled", "value=\"a\">Cats", "b\" disabled"].map(|text| responses.find(text));
    assert!(order.is_sorted() && order[0].is_some(), "{responses}");
}

#[test]
fn files_are_validated_by_their_tag() {
    let mut harness = harness();
    let file = get(&mut harness, "/static/style.css", "");
    assert_eq!(status(&file), "200");
    assert_eq!(header(&file, "cache-control"), Some("no-cache"));
    let tag = header(&file, "etag").expect("a tag").to_string();
    let again = get(&mut harness, "/static/style.css", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((status(&again), header(&again, "etag")), ("304", Some(tag.as_str())));
    assert!(again.ends_with("\r\n\r\n"), "no body: {again}");
}

#[test]
fn other_methods_and_paths_are_answered_as_by_the_original() {
    let mut harness = harness();
    for (request, expected) in
        [("HEAD /", "200"), ("OPTIONS /", "200"), ("PUT /", "405"), ("GET /elsewhere", "404")]
    {
        let client = harness.accept();
        harness.receive(client, format!("{request} HTTP/1.1\r\nHost: vote\r\n\r\n"));
        let response = harness.sent(client);
        assert_eq!(status(&response), expected, "{request}");
        if expected == "405" || request.starts_with("OPTIONS") {
            let mut allowed: Vec<_> = header(&response, "allow").expect("Allow").split(", ").collect();
            allowed.sort_unstable();
            assert_eq!(allowed, ["GET", "HEAD", "OPTIONS", "POST"]);
        }
        assert!(!request.starts_with("HEAD") || response.ends_with("\r\n\r\n"), "no body: {response}");
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let (mut harness, store) = harness_with_store();
    let client = harness.accept();
    harness.receive(client, post(&format!("vote=a&pad={}", "x".repeat(crate::BODY_BYTES_MAX))));
    assert_eq!(status(&harness.sent(client)), "413");
    assert_eq!(harness.sent(store), "");
    assert_ne!(harness.ending(client), Some(Ending::Open));
}
