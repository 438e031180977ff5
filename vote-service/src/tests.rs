//! The service as its clients and the store see it: bytes in, bytes out.
//!
//! Parses no more than it must; HTTP and RESP have their own tests.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::connections::Ending;
use kernel_app::{ConnectionId, Settings};
use simulator::stage::Stage;

use crate::epoch::{EPOCHS_MAX, RETRY_AFTER, TICKETS_AHEAD};
use crate::{VoteService, service};

mod epochs;
mod strangers;

/// What fits into one TCP segment on an Ethernet.
const SEGMENT_BYTES: usize = 1_460;
const ASKS_TICKET: &str = "*2\r\n$4\r\nINCR\r\n$12\r\nvotes:ticket\r\n";
const NOTES_EPOCH: &str = "*4\r\n$4\r\nHSET\r\n$12\r\nvotes:epochs\r\n$32\r\n";
const RECALLS_EPOCH: &str = "*3\r\n$4\r\nHGET\r\n$12\r\nvotes:epochs\r\n$32\r\n";
const LEAPS: &str = "*3\r\n$6\r\nINCRBY\r\n$12\r\nvotes:ticket\r\n$5\r\n65536\r\n";
const COUNTS_EPOCHS: &str = "*2\r\n$4\r\nHLEN\r\n$12\r\nvotes:epochs\r\n";

/// A stage with the settings' defaults but for an `INSTANCE`.
fn stage() -> Stage<VoteService> {
    let settings = Settings::from_pairs([("INSTANCE", "vote-1")]);
    Stage::new(service(&settings).expect("good settings"))
}

/// The same, with the store there.
fn stage_with_store() -> (Stage<VoteService>, ConnectionId) {
    let mut stage = stage();
    let (store, asked) = reach_store(&mut stage, 1);
    assert_eq!(asked, "", "nobody waits");
    (stage, store)
}

/// The store is reached, and gives this ticket for the epoch that begins.
fn reach_store(stage: &mut Stage<VoteService>, ticket: u64) -> (ConnectionId, String) {
    let store = stage.reach_peer();
    assert_eq!(stage.sent(store), format!("{ASKS_TICKET}{ASKS_TICKET}"), "one to try it, one for the epoch");
    stage.receive(store, format!("+PONG\r\n{}", gives(ticket)));
    let asked = begin_epoch(stage, store, ticket);
    (store, asked)
}

/// The same, again: the store says whether it knows the epoch before.
fn reach_store_again(
    stage: &mut Stage<VoteService>,
    knows: Option<u64>,
    ticket: u64,
) -> (ConnectionId, String) {
    let store = stage.reach_peer();
    let asked = stage.sent(store);
    let recall = asked.strip_prefix(ASKS_TICKET).expect("it is tried");
    assert!(recall.starts_with(RECALLS_EPOCH), "{recall}");
    let digits = knows.map_or(String::new(), |ticket| epoch_behind(ticket).to_string());
    let known = knows.map_or("$-1\r\n".into(), |_| format!("${}\r\n{digits}\r\n", digits.len()));
    stage.receive(store, format!("+PONG\r\n{known}"));
    assert_eq!(stage.sent(store), ASKS_TICKET, "for the epoch");
    stage.receive(store, gives(ticket));
    let asked = begin_epoch(stage, store, ticket);
    (store, asked)
}

/// The store takes note of an epoch that begins behind this ticket; what it is asked then.
fn begin_epoch(stage: &mut Stage<VoteService>, store: ConnectionId, ticket: u64) -> String {
    let note = stage.sent(store);
    let digits = epoch_behind(ticket).to_string();
    let end = format!("\r\n${}\r\n{digits}\r\n", digits.len());
    assert!(note.starts_with(NOTES_EPOCH) && note.ends_with(&end), "{note} does not end with {end}");
    stage.receive(store, ":1\r\n");
    assert_eq!(stage.sent(store), LEAPS, "once it is noted");
    stage.receive(store, format!(":{}\r\n", number(ticket) + TICKETS_AHEAD));
    let asked = stage.sent(store);
    let further = asked.strip_prefix(COUNTS_EPOCHS).expect("the epochs are counted").to_string();
    stage.receive(store, ":1\r\n");
    further
}

fn get(stage: &mut Stage<VoteService>, path: &str, lines: &str) -> String {
    let client = stage.accept();
    stage.receive(client, format!("GET {path} HTTP/1.1\r\nHost: vote\r\n{lines}\r\n"));
    stage.sent(client)
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
fn cast(stage: &mut Stage<VoteService>, body: &str) -> ConnectionId {
    let client = stage.accept();
    stage.receive(client, post(body));
    client
}

/// The store gives the ticket that it is asked for; what it is asked for then.
fn ticket(stage: &mut Stage<VoteService>, store: ConnectionId, ticket: u64) -> String {
    assert_eq!(stage.sent(store), ASKS_TICKET);
    stage.receive(store, gives(ticket));
    stage.sent(store)
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
    let mut stage = stage();
    let first = get(&mut stage, "/", "");
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
    let second = get(&mut stage, "/", "");
    assert_ne!(header(&second, "set-cookie"), Some(cookie), "another voter");
}

#[test]
fn a_known_voter_keeps_the_cookie_and_a_forged_one_is_replaced() {
    let mut stage = stage();
    let known = "voter_id=00112233445566778899aabbccddeeff";
    let page = get(&mut stage, "/", &format!("Cookie: theme=dark; {known}\r\n"));
    assert!(header(&page, "set-cookie").expect("a cookie").starts_with(known), "{page}");
    let forged = "voter_id=\"}, {\"voter_id\":\"00112233445";
    let page = get(&mut stage, "/", &format!("Cookie: {forged}\r\n"));
    let cookie = header(&page, "set-cookie").expect("a cookie");
    assert!(cookie.starts_with("voter_id=") && !cookie.contains('"'), "{cookie}");
}

#[test]
fn a_voter_of_the_original_s_stays_the_same_voter() {
    let (mut stage, store) = stage_with_store();
    let known = "voter_id=1f2e3d4c5b6a798";
    let client = stage.accept();
    stage.receive(client, post("vote=a").replacen("\r\n", &format!("\r\nCookie: {known}\r\n"), 1));
    let command = ticket(&mut stage, store, 7);
    assert!(command.contains("{\"voter_id\":\"1f2e3d4c5b6a798\",\"vote\":\"a\","), "{command}");
    stage.receive(store, ":1\r\n");
    let page = stage.sent(client);
    let cookie = format!("{known}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
    assert_eq!(header(&page, "set-cookie"), Some(&*cookie), "{page}");
}

#[test]
fn a_vote_is_acknowledged_once_the_store_has_it() {
    let (mut stage, store) = stage_with_store();
    let client = cast(&mut stage, "vote=b");
    let command = ticket(&mut stage, store, 7);
    assert_eq!(entries(&command), [("b".to_string(), sequence(7, 0))]);
    assert!(command.starts_with("*3\r\n$5\r\nRPUSH\r\n$5\r\nvotes\r\n$127\r\n{\"voter_id\":\""), "{command}");
    assert!(command.contains("\",\"vote\":\"b\",\"id\":\""), "{command}");
    assert_eq!(stage.sent(client), "", "nothing before the store's reply");
    stage.receive(store, ":1\r\n");
    let page = stage.sent(client);
    assert_eq!(status(&page), "200");
    assert!(page.contains("value=\"b\" disabled>Dogs ✓</button>"), "{page}");
    let cookie = header(&page, "set-cookie").expect("a cookie");
    let voter = cookie.split(['=', ';']).nth(1).expect("an id");
    assert!(command.contains(&format!("{{\"voter_id\":\"{voter}\"")), "the queue has the cookie's voter");
}

#[test]
fn a_multipart_form_is_a_vote_as_well() {
    let (mut stage, store) = stage_with_store();
    let client = stage.accept();
    let body = "--x\r\nContent-Disposition: form-data; name=\"vote\"\r\n\r\na\r\n--x--\r\n";
    stage.receive(client, post_as("multipart/form-data; boundary=x", body));
    assert!(ticket(&mut stage, store, 10).contains("\"vote\":\"a\""));
    stage.receive(store, ":1\r\n");
    assert!(stage.sent(client).contains("value=\"a\" disabled>Cats ✓</button>"));
}

#[test]
fn what_is_no_vote_is_refused_and_not_queued() {
    let (mut stage, store) = stage_with_store();
    let json = post_as("application/json", "{\"vote\":\"a\"}");
    for request in [post("vote=c"), post("vote="), post("vot=a"), post(""), post("vote=a&vote=b"), json] {
        let client = stage.accept();
        stage.receive(client, &request);
        let response = stage.sent(client);
        assert_eq!(status(&response), "400", "{request} gives {response}");
        assert_eq!(stage.sent(store), "", "{request}");
    }
}

#[test]
fn replies_are_matched_to_voters_in_order() {
    let (mut stage, store) = stage_with_store();
    let clients = ["vote=a", "vote=b", "vote=a"].map(|body| {
        let client = cast(&mut stage, body);
        stage.sent(store);
        client
    });
    stage.receive(store, gives(10));
    stage.sent(store);
    stage.receive(store, format!(":1\r\n{}", gives(20)));
    assert_eq!(entries(&stage.sent(store)).len(), 2);
    stage.receive(store, "-OOM command not allowed\r\n:2\r\n");
    let statuses = clients.map(|client| status(&stage.sent(client)).to_string());
    assert_eq!(statuses, ["200", "503", "200"]);
}

#[test]
fn without_the_store_votes_are_refused_at_once_and_the_page_is_served() {
    let mut stage = stage();
    let client = cast(&mut stage, "vote=a");
    let response = stage.sent(client);
    assert_eq!((status(&response), header(&response, "retry-after")), ("503", Some("1")));
    assert!(response.contains("role=\"alert\">Your vote was not acknowledged"), "{response}");
    assert_eq!(status(&get(&mut stage, "/", "")), "200");
    let readiness = get(&mut stage, "/readyz", "");
    assert_eq!(status(&readiness), "503");
    assert!(readiness.contains("the store is away"), "{readiness}");
}

#[test]
fn a_silent_store_is_given_up_within_a_second_and_its_late_reply_is_nobodys() {
    let (mut stage, store) = stage_with_store();
    let early = cast(&mut stage, "vote=a");
    ticket(&mut stage, store, 10);
    stage.pass(Duration::from_millis(700));
    assert_eq!(stage.sent(early), "");
    let late = cast(&mut stage, "vote=b");
    stage.pass(Duration::from_millis(100));
    stage.pass(Duration::from_millis(150));
    assert_eq!(status(&stage.sent(early)), "503");
    assert!(get(&mut stage, "/readyz", "").contains("the store is silent"));
    stage.receive(store, ":1\r\n");
    assert_eq!((stage.sent(early), stage.sent(late)), (String::new(), String::new()));
    stage.receive(store, gives(20));
    assert_eq!(entries(&stage.sent(store)), [("b".to_string(), sequence(20, 0))]);
    stage.receive(store, ":2\r\n");
    assert!(stage.sent(late).contains("value=\"b\" disabled"), "its own reply");
    assert_eq!(status(&get(&mut stage, "/readyz", "")), "200");
}

#[test]
fn a_lost_store_answers_all_who_wait_in_time_and_the_next_one_serves_again() {
    let (mut stage, store) = stage_with_store();
    let queued = cast(&mut stage, "vote=a");
    ticket(&mut stage, store, 10);
    let clients = [queued, cast(&mut stage, "vote=b")];
    stage.close(store);
    assert_eq!(clients.map(|client| stage.sent(client)), ["", ""], "there is time left");
    stage.pass(Duration::from_millis(900));
    for client in clients {
        assert_eq!(status(&stage.sent(client)), "503");
    }
    let (store, _) = reach_store_again(&mut stage, Some(1), 11);
    let client = cast(&mut stage, "vote=a");
    ticket(&mut stage, store, 20);
    stage.receive(store, ":1\r\n");
    assert_eq!(status(&stage.sent(client)), "200");
}

#[test]
fn votes_that_come_together_share_a_ticket_and_later_ones_get_the_next() {
    let (mut stage, store) = stage_with_store();
    let first = cast(&mut stage, "vote=a");
    assert_eq!(stage.sent(store), ASKS_TICKET);
    let later = ["vote=b", "vote=a", "vote=b"].map(|body| cast(&mut stage, body));
    assert_eq!(stage.sent(store), "", "one ticket at a time");
    stage.receive(store, gives(5));
    let commands = stage.sent(store);
    assert_eq!(entries(&commands), [("a".to_string(), sequence(5, 0))]);
    assert!(commands.ends_with(ASKS_TICKET), "{commands}");
    stage.receive(store, format!(":1\r\n{}", gives(8)));
    assert_eq!(status(&stage.sent(first)), "200");
    let expected = [("b", 0), ("a", 1), ("b", 2)].map(|(vote, at)| (vote.to_string(), sequence(8, at)));
    assert_eq!(entries(&stage.sent(store)), expected);
    stage.receive(store, ":1\r\n:2\r\n:3\r\n");
    assert_eq!(later.map(|client| status(&stage.sent(client)).to_string()), ["200"; 3]);
    assert_eq!(stage.sent(store), "", "nobody waits for another ticket");
}

#[test]
fn a_vote_without_a_ticket_in_time_is_refused_and_never_queued() {
    for reply in [String::new(), gives(9)] {
        let (mut stage, store) = stage_with_store();
        let client = cast(&mut stage, "vote=a");
        assert_eq!(stage.sent(store), ASKS_TICKET);
        stage.now = stage.now + Duration::from_millis(900);
        stage.receive(store, reply.clone());
        assert_eq!(status(&stage.sent(client)), "503", "{reply}");
        assert!(!stage.sent(store).contains("RPUSH"), "{reply}");
        stage.receive(store, if reply.is_empty() { gives(9) } else { String::new() });
        assert!(!stage.sent(store).contains("RPUSH"), "a late ticket is nobody's");
    }
    let (mut stage, store) = stage_with_store();
    for refusal in [":0\r\n", ":281474976710656\r\n", "+OK\r\n", "-OOM command not allowed\r\n"] {
        let client = cast(&mut stage, "vote=a");
        assert_eq!(stage.sent(store), ASKS_TICKET);
        stage.receive(store, refusal);
        assert_eq!(status(&stage.sent(client)), "503", "{refusal}");
        assert_eq!(stage.sent(store), "", "{refusal}");
    }
}

#[test]
fn a_vote_whose_connection_is_lost_is_queued_again_as_the_same_vote() {
    let (mut stage, store) = stage_with_store();
    let queued = cast(&mut stage, "vote=a");
    let before = ticket(&mut stage, store, 30);
    let waits = cast(&mut stage, "vote=b");
    stage.close(store);
    stage.pass(Duration::from_millis(300));
    let (store, asked) = reach_store_again(&mut stage, Some(1), 41);
    assert_eq!(asked, ASKS_TICKET);
    stage.receive(store, gives(50));
    let commands = stage.sent(store);
    assert!(commands.starts_with(&before), "{commands} does not begin with {before}");
    assert_eq!(entries(&commands)[1..], [("b".to_string(), sequence(50, 1))]);
    stage.receive(store, ":1\r\n:2\r\n");
    assert_eq!([queued, waits].map(|client| status(&stage.sent(client)).to_string()), ["200"; 2]);
    assert!(get(&mut stage, "/metrics", "").contains("votes_accepted_total{option=\"a\"} 1\n"));
}

#[test]
fn sequences_that_the_store_will_give_again_are_not_used_again() {
    // It has lost all, or what came last, also if others have brought it near again; or it is another store, which may
    // have given more.
    for (knows, epoch) in [(Some(1), 2), (Some(1), 300), (None, 2), (None, 300), (None, 900), (Some(2), 900)]
    {
        let (mut stage, store) = stage_with_store();
        cast(&mut stage, "vote=a");
        ticket(&mut stage, store, 300);
        stage.close(store);
        let (store, asked) = reach_store_again(&mut stage, knows, epoch);
        assert_eq!(asked, ASKS_TICKET);
        stage.receive(store, gives(epoch + 1));
        assert_eq!(entries(&stage.sent(store)), [("a".to_string(), sequence(epoch + 1, 0))]);
    }
}

#[test]
fn a_voter_who_leaves_early_disturbs_nobody() {
    let (mut stage, store) = stage_with_store();
    let queued = cast(&mut stage, "vote=a");
    ticket(&mut stage, store, 10);
    let [waits, stays] = ["vote=a", "vote=b"].map(|body| cast(&mut stage, body));
    assert_eq!(stage.sent(store), ASKS_TICKET);
    [queued, waits].into_iter().for_each(|gone| stage.close(gone));
    stage.receive(store, format!(":1\r\n{}", gives(20)));
    assert_eq!(stage.sent(store), ASKS_TICKET, "who left before the vote was queued has not voted");
    stage.receive(store, gives(30));
    assert_eq!(entries(&stage.sent(store)), [("b".to_string(), sequence(30, 0))]);
    stage.receive(store, ":2\r\n");
    assert!(stage.sent(stays).contains("value=\"b\" disabled"));
    assert!(get(&mut stage, "/metrics", "").contains("votes_accepted_total{option=\"a\"} 1\n"));
}

#[test]
fn votes_on_one_connection_are_answered_in_order() {
    let (mut stage, store) = stage_with_store();
    let client = stage.accept();
    let page = "GET / HTTP/1.1\r\nHost: vote\r\n\r\n";
    stage.receive(client, format!("{}{page}{}", post("vote=a"), post("vote=b")));
    assert_eq!(stage.sent(client), "", "the page waits for the vote before it");
    ticket(&mut stage, store, 10);
    stage.receive(store, ":1\r\n");
    ticket(&mut stage, store, 20);
    stage.receive(store, ":2\r\n");
    let responses = stage.sent(client);
    assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), 3, "{responses}");
    let order = ["a\" disabled", "value=\"a\">Cats", "b\" disabled"].map(|text| responses.find(text));
    assert!(order.is_sorted() && order[0].is_some(), "{responses}");
}

#[test]
fn files_are_validated_by_their_tag() {
    let mut stage = stage();
    let file = get(&mut stage, "/static/style.css", "");
    assert_eq!(status(&file), "200");
    assert_eq!(header(&file, "cache-control"), Some("no-cache"));
    let tag = header(&file, "etag").expect("a tag").to_string();
    let again = get(&mut stage, "/static/style.css", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((status(&again), header(&again, "etag")), ("304", Some(tag.as_str())));
    assert!(again.ends_with("\r\n\r\n"), "no body: {again}");
}

#[test]
fn other_methods_and_paths_are_answered_as_by_the_original() {
    let mut stage = stage();
    for (request, expected) in
        [("HEAD /", "200"), ("OPTIONS /", "200"), ("PUT /", "405"), ("GET /elsewhere", "404")]
    {
        let client = stage.accept();
        stage.receive(client, format!("{request} HTTP/1.1\r\nHost: vote\r\n\r\n"));
        let response = stage.sent(client);
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
    let (mut stage, store) = stage_with_store();
    let client = stage.accept();
    stage.receive(client, post(&format!("vote=a&pad={}", "x".repeat(crate::BODY_BYTES_MAX))));
    assert_eq!(status(&stage.sent(client)), "413");
    assert_eq!(stage.sent(store), "");
    assert_ne!(stage.ending(client), Some(Ending::Open));
}
