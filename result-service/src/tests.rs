//! The service as its clients and the store see it: bytes in, bytes out.
//!
//! Parses no more than it must; HTTP and RESP have their own tests.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::{ConnectionId, Service, Settings, Target};
use simulator::harness::Harness;

use crate::subscribers::SUBSCRIBERS_MAX;
use crate::{ResultService, service};

/// One transaction: the two numbers are those of one moment.
const QUESTION: &str = "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nHLEN\r\n$9\r\nresults:a\r\n\
                        *2\r\n$4\r\nHLEN\r\n$9\r\nresults:b\r\n*1\r\n$4\r\nEXEC\r\n";

/// The store's answer to [`QUESTION`].
fn answer(a: u32, b: u32) -> String {
    format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:{a}\r\n:{b}\r\n")
}

fn harness() -> Harness<ResultService> {
    Harness::new(service(&Settings::default()).expect("good settings"))
}

/// A harness with the store there.
fn harness_with_store() -> (Harness<ResultService>, ConnectionId) {
    let mut harness = harness();
    let store = harness.reach_peer();
    assert_eq!(harness.sent(store), "*1\r\n$4\r\nPING\r\n");
    harness.receive(store, "+PONG\r\n");
    (harness, store)
}

/// Asks on a connection of its own.
fn ask(harness: &mut Harness<ResultService>, path: &str) -> ConnectionId {
    let client = harness.accept();
    harness.receive(client, format!("GET {path} HTTP/1.1\r\nHost: result\r\n\r\n"));
    client
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or("none")
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The texts in a chunked body's chunks, one after the other.
fn chunks(mut coded: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = coded.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        text += &rest[..size];
        coded = rest[size..].strip_prefix("\r\n").expect("a chunk's end");
    }
    text
}

/// A client that follows, with the head of its stream taken.
fn follow(harness: &mut Harness<ResultService>) -> (ConnectionId, String) {
    let client = ask(harness, "/events");
    let response = harness.sent(client);
    assert_eq!(status(&response), "200");
    assert!(response.to_lowercase().contains("content-type: text/event-stream\r\n"), "{response}");
    (client, chunks(body(&response)))
}

#[test]
fn scores_are_asked_for_when_they_are_wanted() {
    let (mut harness, store) = harness_with_store();
    let client = ask(&mut harness, "/api/scores");
    assert_eq!(harness.sent(store), QUESTION);
    assert_eq!(harness.sent(client), "", "not before the store's answer");
    let answer = answer(2, 1);
    let (first, rest) = answer.split_at(answer.len() - 4);
    harness.receive(store, first);
    assert_eq!(harness.sent(client), "", "not before both");
    harness.receive(store, rest);
    let response = harness.sent(client);
    assert_eq!((status(&response), body(&response)), ("200", "{\"a\":2,\"b\":1,\"total\":3}\n"));
}

#[test]
fn one_query_serves_all_waiting_requests_and_the_next_ones() {
    let (mut harness, store) = harness_with_store();
    let clients =
        [ask(&mut harness, "/api/scores"), ask(&mut harness, "/"), ask(&mut harness, "/api/scores")];
    assert_eq!(harness.sent(store), QUESTION);
    harness.receive(store, answer(2, 1));
    for client in clients {
        assert_eq!(status(&harness.sent(client)), "200");
    }
    harness.pass(Duration::from_millis(40));
    let client = ask(&mut harness, "/api/scores");
    assert_eq!((status(&harness.sent(client)), harness.sent(store).as_str()), ("200", ""));
    harness.pass(Duration::from_millis(20));
    ask(&mut harness, "/api/scores");
    assert_eq!(harness.sent(store), QUESTION, "too old by now");
}

#[test]
fn without_followers_the_chart_polls_every_second_then_less_often() {
    let (mut harness, store) = harness_with_store();
    let mut questions = |seconds: u32| {
        let mut asked = 0;
        for _ in 0..seconds {
            harness.pass(Duration::from_secs(1));
            if !harness.sent(store).is_empty() {
                asked += 1;
                harness.receive(store, answer(1, 0));
            }
        }
        asked
    };
    assert!((58..=60).contains(&questions(60)));
    questions(300);
    assert!((14..=15).contains(&questions(60)), "four seconds apart");
}

#[test]
fn a_store_that_does_not_answer_is_not_asked_in_a_busy_loop() {
    let (mut harness, store) = harness_with_store();
    let mut asked = 0;
    for _ in 0..100 {
        harness.pass(Duration::from_millis(100));
        if harness.sent(store).contains("HLEN") {
            asked += 1;
            harness.receive(store, answer(1, 1).replace(":1\r\n:1", "-WRONGTYPE no hash\r\n:1"));
        }
    }
    assert!((9..=11).contains(&asked), "{asked} questions in 10 s");
}

#[test]
fn votes_that_nobody_watched_are_in_the_chart_and_in_the_history() {
    let (mut harness, store) = harness_with_store();
    for votes in 0..5 {
        assert_eq!(harness.sent(store), QUESTION);
        harness.receive(store, answer(votes, 1));
        harness.pass(Duration::from_secs(1));
    }
    harness.receive(store, answer(5, 1));
    let client = ask(&mut harness, "/api/history");
    let response = harness.sent(client);
    assert_eq!(status(&response), "200");
    let samples = body(&response).matches("age_ms").count();
    assert_eq!(samples, 6, "{response}");
    assert!(response.contains("{\"samples\":[{\"age_ms\":5000,\"a\":0,\"b\":1},"), "{response}");
    assert!(response.ends_with("{\"age_ms\":0,\"a\":5,\"b\":1}]}\n"), "{response}");
    let client = ask(&mut harness, "/");
    let page = harness.sent(client);
    assert!(page.contains("In 5 s: Cats from 0 to 5 votes, Dogs from 1 to 1 vote"), "{page}");
}

#[test]
fn the_page_shows_the_present_scores_without_a_script() {
    let (mut harness, store) = harness_with_store();
    let client = ask(&mut harness, "/");
    harness.receive(store, answer(1, 0));
    let page = harness.sent(client);
    for part in ["<title>Cats vs Dogs -- Result</title>", ">100.0%<", ">0.0%<", ">1 vote</p>"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(page.contains("Content-Security-Policy: default-src 'self';"), "{page}");
}

#[test]
fn followers_see_the_state_at_once_and_changes_within_200_ms() {
    let (mut harness, store) = harness_with_store();
    let (client, greeting) = follow(&mut harness);
    assert_eq!(greeting, "retry: 1000\n\n");
    assert_eq!(harness.sent(store), QUESTION);
    harness.receive(store, answer(0, 0));
    let expected = "event: store\ndata: {\"ready\":true}\n\nevent: scores\ndata: {\"a\":0,\"b\":0}\n\n";
    assert_eq!(chunks(&harness.sent(client)), expected);
    harness.pass(Duration::from_millis(100));
    assert_eq!(harness.sent(store), QUESTION);
    harness.receive(store, answer(0, 0));
    assert_eq!(harness.sent(client), "", "no change, no event");
    harness.pass(Duration::from_millis(100));
    assert_eq!(harness.sent(store), QUESTION);
    harness.receive(store, answer(0, 1));
    let events = chunks(&harness.sent(client));
    let expected = "event: scores\ndata: {\"a\":0,\"b\":1}\n\nevent: chart\ndata: <figcaption>";
    assert!(events.contains(expected), "{events}");
}

#[test]
fn new_clients_never_see_outdated_scores_as_current() {
    let (mut harness, store) = harness_with_store();
    ask(&mut harness, "/api/scores");
    harness.receive(store, answer(1, 1));
    harness.pass(Duration::from_millis(900));
    let (client, greeting) = follow(&mut harness);
    assert!(!greeting.contains("scores"), "{greeting}");
    harness.receive(store, answer(5, 5));
    assert!(chunks(&harness.sent(client)).contains("{\"a\":5,\"b\":5}"));
}

#[test]
fn quiet_streams_get_keep_alives_and_polling_slows_without_followers() {
    let (mut harness, store) = harness_with_store();
    let (client, _) = follow(&mut harness);
    let mut heartbeats = 0;
    for _ in 0..310 {
        harness.sent(store);
        heartbeats += chunks(&harness.sent(client)).matches("event: alive\ndata: 1\n\n").count();
        harness.receive(store, answer(0, 0));
        harness.pass(Duration::from_millis(100));
    }
    assert_eq!(heartbeats, 2, "one every 15 s of the 31");
    harness.close(client);
    let mut asked = 0;
    for _ in 0..30 {
        asked += u32::from(!harness.sent(store).is_empty());
        harness.receive(store, answer(0, 0));
        harness.pass(Duration::from_millis(100));
    }
    assert!(asked <= 4, "{asked}: only for the chart, once a second");
}

#[test]
fn the_number_who_follow_is_bounded() {
    let (mut harness, store) = harness_with_store();
    ask(&mut harness, "/api/scores");
    harness.receive(store, answer(0, 0));
    let clients: Vec<_> = (0..SUBSCRIBERS_MAX).map(|_| follow(&mut harness).0).collect();
    let one_more = ask(&mut harness, "/events");
    let response = harness.sent(one_more);
    assert_eq!(status(&response), "503");
    assert!(response.contains("Retry-After: 1\r\n"), "{response}");
    harness.close(clients[0]);
    follow(&mut harness);
}

#[test]
fn without_the_store_scores_are_refused_and_the_page_says_why() {
    let mut harness = harness();
    let client = ask(&mut harness, "/api/scores");
    let response = harness.sent(client);
    assert_eq!(status(&response), "503");
    assert!(response.contains("Retry-After: 1\r\n"), "{response}");
    let client = ask(&mut harness, "/");
    let page = harness.sent(client);
    assert!(status(&page) == "200" && page.contains("The store does not answer."), "{page}");
    let (_, events) = follow(&mut harness);
    assert!(events.ends_with("event: store\ndata: {\"ready\":false}\n\n"), "{events}");
    let client = ask(&mut harness, "/readyz");
    let readiness = harness.sent(client);
    assert!(status(&readiness) == "503" && readiness.contains("the store is away"), "{readiness}");
}

#[test]
fn a_silent_store_is_shown_within_a_second_and_so_is_its_return() {
    let (mut harness, store) = harness_with_store();
    let (follower, _) = follow(&mut harness);
    harness.receive(store, answer(3, 4));
    harness.sent(follower);
    harness.pass(Duration::from_millis(100));
    let client = ask(&mut harness, "/api/scores");
    harness.pass(Duration::from_millis(950));
    assert_eq!(status(&harness.sent(client)), "503");
    assert!(chunks(&harness.sent(follower)).contains("{\"ready\":false}"));
    harness.close(store);
    let store = harness.reach_peer();
    harness.receive(store, "+PONG\r\n");
    harness.pass(Duration::from_millis(100));
    harness.receive(store, answer(3, 5));
    let events = chunks(&harness.sent(follower));
    assert!(events.contains("{\"ready\":true}") && events.contains("{\"a\":3,\"b\":5}"), "{events}");
    let client = ask(&mut harness, "/api/scores");
    assert_eq!(body(&harness.sent(client)), "{\"a\":3,\"b\":5,\"total\":8}\n");
}

#[test]
fn an_error_reply_is_no_score() {
    let (mut harness, store) = harness_with_store();
    let client = ask(&mut harness, "/api/scores");
    harness.receive(store, answer(1, 1).replace(":1\r\n:1", "-WRONGTYPE Operation against a key\r\n:1"));
    assert_eq!(status(&harness.sent(client)), "503");
    let client = ask(&mut harness, "/readyz");
    assert!(harness.sent(client).contains("HLEN results:a"));
    let client = ask(&mut harness, "/api/scores");
    harness.receive(store, answer(1, 1));
    assert_eq!(status(&harness.sent(client)), "200");
}

#[test]
fn metrics_tell_the_scores() {
    let (mut harness, store) = harness_with_store();
    ask(&mut harness, "/api/scores");
    harness.receive(store, answer(2, 1));
    let client = ask(&mut harness, "/metrics");
    let text = harness.sent(client);
    for line in
        ["votes{option=\"a\"} 2\n", "votes{option=\"b\"} 1\n", "events_subscribers 0\n", "backend_ready 1\n"]
    {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn files_are_served_with_a_tag() {
    let mut harness = harness();
    for (path, media_type) in
        [("style.css", "text/css"), ("app.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
    {
        let client = ask(&mut harness, &format!("/static/{path}"));
        let file = harness.sent(client);
        assert_eq!(status(&file), "200");
        assert!(file.contains(&format!("Content-Type: {media_type}")), "{file}");
        let tag = file.split_once("ETag: ").and_then(|(_, rest)| rest.split_once("\r\n")).expect("a tag").0;
        let request =
            format!("GET /static/{path} HTTP/1.1\r\nHost: result\r\nIf-None-Match: {}\r\n\r\n", tag);
        harness.receive(client, request);
        assert_eq!(status(&harness.sent(client)), "304");
    }
}

#[test]
fn the_results_may_be_elsewhere_than_the_queue() {
    let target = |pairs: &[(&str, &str)]| {
        let settings = Settings::from_pairs(pairs.iter().copied());
        let endpoints = service(&settings).expect("good settings").endpoints();
        endpoints.peers[0].target.clone()
    };
    let host = |host: &str| Target::Host { host: host.to_string(), port: 6379 };
    assert_eq!(target(&[]), host("store"));
    assert_eq!(target(&[("REDIS_URL", "redis://queue")]), host("queue"));
    assert_eq!(target(&[("REDIS_URL", "redis://queue"), ("RESULTS_URL", "redis://scores")]), host("scores"));
    let wrong = Settings::from_pairs([("RESULTS_URL", "postgres://db")]);
    let error = service(&wrong).expect_err("not RESP");
    assert_eq!(error.name, "RESULTS_URL");
}
