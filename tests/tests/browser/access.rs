//! The pages for people who have no JavaScript, a narrow screen, no mouse, or cannot see.

use fantoccini::key::Key;
use serde_json::json;
use tests::client::vote;

use crate::axe::violations;
use crate::browser::{Browser, WIDE};
use crate::{expect_scores, up};

/// The narrowest screen that pages must fit on without scrolling sideways (WCAG 2.2, 1.4.10).
const NARROW: (u32, u32) = (320, 640);

#[test]
fn without_javascript_votes_are_cast_and_results_are_seen_after_a_reload() {
    let application = up("browser-no-script");
    let browser = Browser::open();
    browser.command("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.visit(&application.result_url("/"));
    assert_eq!(browser.text("#result"), "No votes yet");
    assert_eq!(browser.text("#connection"), "Reload to see newer votes", "no state that nothing would keep");
    browser.visit(&application.vote_url());
    browser.vote("#a", "Cats ✓");
    browser.vote("#b", "Dogs ✓");
    assert_eq!(browser.text("#a"), "Cats");
    expect_scores(&application, (0, 1));
    browser.visit(&application.result_url("/"));
    assert_eq!((browser.text("#result"), browser.text("#percent-b")), ("1 vote".into(), "100.0%".into()));
    assert!(browser.text("#chart").contains("Votes over time"), "the chart is the server's");
    assert_eq!(vote(&application.vote_url(), "a", None).status, 200);
    expect_scores(&application, (1, 1));
    browser.click("#connection a");
    browser.wait_for_text("#result", |text| text == "2 votes");
}

#[test]
fn on_a_narrow_screen_nothing_is_cut_off() {
    let application = up("browser-narrow");
    let browser = Browser::open();
    browser.resize(NARROW);
    let sideways = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    let outside = "return [...document.querySelectorAll('main *')].filter((element) => {
        const { left, right, width } = element.getBoundingClientRect();
        return width > 0 && !element.closest('svg *') && (left < 0 || right > innerWidth);
    }).map((element) => element.outerHTML)";
    for url in [application.vote_url(), application.result_url("/")] {
        browser.visit(&url);
        assert_eq!(browser.evaluate(sideways), 0, "{url} scrolls sideways");
        assert_eq!(browser.evaluate(outside), json!([]), "{url}");
    }
    browser.visit(&application.vote_url());
    let rows = "return document.querySelector('#a').getBoundingClientRect().bottom \
                <= document.querySelector('#b').getBoundingClientRect().top";
    assert_eq!(browser.evaluate(rows), true, "one button below the other");
    browser.vote("#b", "Dogs ✓");
    expect_scores(&application, (0, 1));
    browser.visit(&application.result_url("/"));
    browser.wait_for_text("#percent-b", |text| text == "100.0%");
    assert_eq!(browser.evaluate(sideways), 0, "wide numbers");
    assert_eq!(browser.evaluate(outside), json!([]), "wide numbers");
}

#[test]
fn the_keyboard_alone_is_enough() {
    let application = up("browser-keyboard");
    let browser = Browser::open();
    browser.visit(&application.vote_url());
    let focused = "return document.activeElement.id";
    let outline = "return parseFloat(getComputedStyle(document.activeElement).outlineWidth)";
    for id in ["a", "b"] {
        browser.press(Key::Tab);
        assert_eq!(browser.evaluate(focused), id, "in reading order");
        assert!(browser.evaluate(outline).as_f64() >= Some(2.0), "{id} shows that it has the focus");
    }
    browser.press(Key::Enter);
    browser.wait_for_text("#b", |text| text == "Dogs ✓");
    // What was chosen cannot be chosen again: the first stop is the other one.
    browser.press(Key::Tab);
    assert_eq!(browser.evaluate(focused), "a");
    browser.press(Key::Space);
    browser.wait_for_text("#a", |text| text == "Cats ✓");
    expect_scores(&application, (1, 0));
}

#[test]
fn axe_finds_no_violations() {
    let application = up("browser-axe");
    let browser = Browser::open();
    let check = |what: &str| {
        for scheme in ["light", "dark"] {
            let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            browser.command("Emulation.setEmulatedMedia", &features);
            assert_eq!(violations(&browser), [""; 0], "{what}, {scheme}");
        }
    };
    for size in [WIDE, NARROW] {
        browser.resize(size);
        browser.visit(&application.result_url("/"));
        browser.wait_for_text("#connection", |text| text == "Live");
        check("the result page");
        browser.visit(&application.vote_url());
        check("the vote page");
        browser.vote("#a", "Cats ✓");
        check("the vote page after a vote");
        expect_scores(&application, (1, 0));
    }
    browser.visit(&application.result_url("/"));
    browser.wait_for_text("#percent-a", |text| text == "100.0%");
    check("the result page with votes");
    application.command(&["down"]);
    browser.wait_for_text("#connection", |text| text.starts_with("Reconnecting"));
    check("the result page without its service");
}
