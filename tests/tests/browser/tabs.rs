//! Many tabs with the result page in one browser, which opens six connections to a host.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tests::client::{vote, wait_for};
use tests::http::metric;
use tests::poll::Poll;

use crate::PATIENCE;
use crate::browser::Browser;

/// How many look at once.
const TABS: usize = 20;
/// A change is to be seen within this time of the answer to the vote, in each of them.
const SHOWN_WITHIN: Duration = Duration::from_millis(500);

/// Notes when each text of the total came, in milliseconds since 1970.
const WATCH: &str = "
    window.shown = {};
    const total = document.getElementById('result');
    const note = () => (window.shown[total.textContent] ??= Date.now());
    new MutationObserver(note).observe(total, { childList: true, characterData: true, subtree: true });
";
/// A browser without shared workers, which can be told that nobody looks at its tab.
const WITHOUT_WORKERS: &str = "
    delete self.SharedWorker;
    window.looks_away = false;
    Object.defineProperty(document, 'hidden', { get: () => window.looks_away });
";

fn followers(poll: &Poll) -> Option<u64> {
    metric(poll.result.addresses[0], "events_subscribers ")
}

fn wait_for_followers(poll: &Poll, count: u64) {
    let found = wait_for(PATIENCE, || followers(poll).filter(|found| *found == count));
    assert!(found.is_some(), "{:?} streams are open, not {count}", followers(poll));
}

#[test]
fn twenty_tabs_load_and_all_of_them_show_a_change() {
    let poll = Poll::start(1, &[], &[]);
    let browser = Browser::open();
    let tabs: Vec<_> = (0..TABS)
        .map(|_| {
            let tab = browser.open_window();
            browser.visit(&poll.result_url("/"));
            browser.wait_for_text("#connection", |text| text == "Live");
            browser.evaluate(WATCH);
            tab
        })
        .collect();
    assert_eq!(followers(&poll), Some(1), "all of them share one stream");

    let mut delays = Vec::new();
    for count in 1..=3 {
        assert_eq!(vote(&poll.vote_url(0), "a", None).status, 200);
        let answered = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let text = if count == 1 { "1 vote".to_owned() } else { format!("{count} votes") };
        for tab in &tabs {
            browser.look_at(tab);
            let shown = || browser.evaluate(&format!("return window.shown['{text}']")).as_f64();
            let shown = wait_for(PATIENCE, shown).unwrap_or_else(|| panic!("a tab does not show {text}"));
            delays.push(Duration::from_secs_f64(shown / 1_000.0).saturating_sub(answered));
        }
    }
    delays.sort();
    println!(
        "from the answer to a vote to the change in {TABS} tabs: {:.0?} to {:.0?}",
        delays[0],
        delays[3 * TABS - 1]
    );
    // Of three votes: whoever else runs on this machine may stop any of the programs for longer.
    assert!(delays[3 * TABS / 2] <= SHOWN_WITHIN, "{delays:?}");

    // A tab that comes later has what came before it, and the stream ends with the last of them.
    browser.open_window();
    browser.visit(&poll.result_url("/"));
    browser.wait_for_text("#connection", |text| text == "Live");
    assert_eq!(browser.text("#result"), "3 votes");
    for tab in &tabs {
        browser.look_at(tab);
        browser.visit("about:blank");
    }
    assert_eq!(followers(&poll), Some(1), "one tab is left");
    drop(browser);
    wait_for_followers(&poll, 0);
}

#[test]
fn without_shared_workers_a_hidden_page_has_no_stream() {
    let poll = Poll::start(1, &[], &[]);
    let browser = Browser::open();
    browser.command("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WITHOUT_WORKERS }));
    browser.visit(&poll.result_url("/"));
    browser.wait_for_text("#connection", |text| text == "Live");
    assert_eq!(followers(&poll), Some(1));
    let look = |away: bool| {
        let turn =
            format!("window.looks_away = {away}; document.dispatchEvent(new Event('visibilitychange'))");
        browser.evaluate(&turn);
    };
    look(true);
    wait_for_followers(&poll, 0);
    assert_eq!(vote(&poll.vote_url(0), "b", None).status, 200);
    poll.wait_for_scores((0, 1));
    assert_eq!(browser.text("#result"), "No votes yet");
    look(false);
    browser.wait_for_text("#result", |text| text == "1 vote");
    wait_for_followers(&poll, 1);
}

#[test]
fn a_stream_that_died_while_the_machine_slept_is_replaced() {
    let poll = Poll::start(1, &[], &[]);
    let browser = Browser::open();
    // Time that passes for the page at once, as it does for one whose machine was asleep.
    let source = format!(
        "{WITHOUT_WORKERS}
         window.slept = 0;
         const now = Date.now;
         Date.now = () => now() + window.slept;
         const streams = (window.streams = []);
         const Stream = window.EventSource;
         window.EventSource = class extends Stream {{ constructor(url) {{ super(url); streams.push(this); }} }};"
    );
    browser.command("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": source }));
    browser.visit(&poll.result_url("/"));
    browser.wait_for_text("#connection", |text| text == "Live");
    browser.evaluate("window.slept = 60000");
    let replaced = wait_for(PATIENCE, || {
        browser.evaluate("return window.streams.length").as_u64().filter(|count| *count == 2)
    });
    assert!(replaced.is_some());
    browser.wait_for_text("#connection", |text| text == "Live");
    wait_for_followers(&poll, 1);
}
