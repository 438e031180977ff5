//! The result page while its unikernel is away.

use tests::client::{vote, wait_for};
use tests::command::run;

use crate::browser::Browser;
use crate::{PATIENCE, expect_scores, up};
use tests::programs::program;

/// Notes what the page has said of its connection: an outage may be shorter than between two looks.
const WATCH: &str = "
    window.said = [];
    const connection = document.getElementById('connection');
    new MutationObserver(() => window.said.push(connection.innerText)).observe(connection, { childList: true });
";

#[test]
fn the_result_page_comes_back_by_itself_after_its_unikernel() {
    let application = up("browser-restart");
    assert_eq!(vote(&application.vote_url(), "a", None).status, 200);
    expect_scores(&application, (1, 0));
    let browser = Browser::open();
    browser.visit(&application.result_url("/"));
    browser.wait_for_text("#connection", |text| text == "Live");
    assert_eq!(browser.text("#result"), "1 vote");
    browser.evaluate(WATCH);

    // `cargo up` starts it again, at the port that it had.
    let instances = application.instances();
    let result = instances.iter().find(|instance| instance["service"] == "result").expect("it runs");
    assert!(run(program("kill").args(["-KILL", &result["pid"].to_string()])).success);
    let said = || browser.evaluate("return window.said");
    let back = wait_for(PATIENCE, || said().as_array().filter(|said| said.len() >= 2).cloned());
    let back = back.unwrap_or_else(|| panic!("it says {}", said()));
    let [lost, found] = [&back[0], &back[1]].map(|said| said.as_str().unwrap_or_default());
    let time = lost.strip_prefix("Reconnecting since ").unwrap_or_else(|| panic!("{lost}"));
    let digits: String =
        time.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!((digits.as_str(), found), ("00:00:00", "Live"));

    // The same page, with what has been counted since.
    assert_eq!(vote(&application.vote_url(), "b", None).status, 200);
    browser.wait_for_text("#result", |text| text == "2 votes");
    assert_eq!(browser.text("#notice"), "");
    assert!(browser.evaluate("return window.said.length").as_u64() >= Some(2), "nobody loaded it again");
}
