//! All pages and files for a voter's browser, rendered once at the start.
//!
//! The handler decides which page a voter gets.

use alloc::string::String;

use kernel_app::asset;
use kernel_app::assets::{Asset, escape, fill};
use kernel_app::http::{Page, Response};
use votes::Choice;

use crate::rejection::{Notice, Retry};

/// The page's looks.
pub static STYLE: Asset = asset!("text/css; charset=utf-8", include_bytes!("../assets/style.css"));
/// The page's icon.
pub static ICON: Asset = asset!("image/svg+xml", include_bytes!("../assets/icon.svg"));

const TEMPLATE: &str = include_str!("../assets/page.html");
const HTML: &str = "text/html; charset=utf-8";
const TIP: &str = "(Tip: you can change your vote)";

/// No script, nothing from elsewhere, no frames: what the page does not need, the browser refuses.
const PAGE_LINES: &str = "\
    Content-Security-Policy: default-src 'self';script-src 'none';base-uri 'none';form-action 'self';\
    frame-ancestors 'none'\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n\
    Referrer-Policy: same-origin\r\n\
    Cache-Control: no-store\r\n";
const PAGE_HEADERS: &[&str] = &[PAGE_LINES];
const SOON_HEADERS: &[&str] = &["Retry-After: 1\r\n", PAGE_LINES];
const LATER_HEADERS: &[&str] = &["Retry-After: 60\r\n", PAGE_LINES];

/// The page in its variants.
#[derive(Debug)]
pub struct Pages {
    fresh: Page,
    voted: [Page; 2],
    refused: [Page; Notice::ALL.len()],
}

impl Pages {
    /// The pages for two options, served by `instance`.
    pub fn new(option_a: &str, option_b: &str, instance: &str) -> Self {
        let names = [escape(option_a), escape(option_b), escape(instance)];
        Self {
            fresh: Page::new(200, HTML, PAGE_HEADERS, &render(&names, None, "", TIP)),
            voted: Choice::ALL
                .map(|choice| Page::new(200, HTML, PAGE_HEADERS, &render(&names, Some(choice), "", TIP))),
            refused: Notice::ALL.map(|notice| refusal(&names, notice)),
        }
    }

    /// The page for somebody who has not just voted.
    pub fn fresh(&self) -> Response<'_> {
        self.fresh.response()
    }

    /// The page that acknowledges a vote.
    pub fn voted(&self, choice: Choice) -> Response<'_> {
        self.voted[choice.index()].response()
    }

    /// The page for a vote that was not counted.
    pub fn refused(&self, notice: Notice) -> Response<'_> {
        self.refused[notice as usize].response()
    }
}

fn refusal(names: &[String; 3], notice: Notice) -> Page {
    let headers = match notice.retry() {
        Retry::Never => PAGE_HEADERS,
        Retry::Soon => SOON_HEADERS,
        Retry::Later => LATER_HEADERS,
    };
    Page::new(notice.status(), HTML, headers, &render(names, None, " role=\"alert\"", notice.words()))
}

fn render(names: &[String; 3], chosen: Option<Choice>, tip_role: &str, tip: &str) -> String {
    let state = |choice| match chosen {
        None => "",
        Some(chosen) if chosen == choice => " disabled",
        Some(_) => " class=\"other\"",
    };
    let tick = |choice| if chosen == Some(choice) { " ✓" } else { "" };
    let values = [
        ("a", names[0].as_str()),
        ("b", &names[1]),
        ("instance", &names[2]),
        ("a_state", state(Choice::A)),
        ("b_state", state(Choice::B)),
        ("a_tick", tick(Choice::A)),
        ("b_tick", tick(Choice::B)),
        ("tip_role", tip_role),
        ("tip", tip),
    ];
    fill(TEMPLATE, &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a head of up to 460 bytes, a page of this size stays within one TCP segment.
    const PAGE_BYTES_GOAL: usize = 1_000;

    fn text(response: &Response<'_>) -> String {
        String::from_utf8(response.body.to_vec()).expect("UTF-8")
    }

    #[test]
    fn the_page_has_what_voters_and_scripts_look_for() {
        let page = text(&Pages::new("Cats", "Dogs", "vote-1").fresh());
        for part in [
            "<title>Cats vs Dogs!</title>",
            ">Cats vs Dogs!</h3>",
            "<form id=\"choice\" method=\"post\"",
            "<button id=\"a\" name=\"vote\" value=\"a\">Cats</button>",
            "<button id=\"b\" name=\"vote\" value=\"b\">Dogs</button>",
            "<p id=\"tip\">(Tip: you can change your vote)</p>",
            "<p id=\"hostname\">Processed by instance ID vote-1</p>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains(['{', '}']), "every placeholder is filled: {page}");
    }

    #[test]
    fn the_chosen_button_is_ticked_and_disabled_and_the_other_faded() {
        let page = text(&Pages::new("Cats", "Dogs", "vote-1").voted(Choice::B));
        assert!(page.contains("value=\"b\" disabled>Dogs ✓</button>"), "{page}");
        assert!(page.contains("value=\"a\" class=\"other\">Cats</button>"), "{page}");
        assert!(core::str::from_utf8(STYLE.body).expect("UTF-8").contains(".other {\n  opacity: 0.5;"));
    }

    #[test]
    fn settings_cannot_add_markup() {
        let page = text(&Pages::new("<script>", "\"{a}\"", "a&b").voted(Choice::A));
        assert!(page.contains("&lt;script&gt; ✓</button>"), "{page}");
        assert!(page.contains("&quot;{a}&quot;</button>"), "{page}");
        assert!(page.contains("instance ID a&amp;b<"), "{page}");
    }

    #[test]
    fn pages_stay_within_their_budget() {
        let pages = Pages::new("Cats", "Dogs", "vote-1");
        let refused = Notice::ALL.into_iter().map(|notice| pages.refused(notice));
        for page in [pages.fresh(), pages.voted(Choice::A), pages.voted(Choice::B)].into_iter().chain(refused)
        {
            assert!(page.body.len() <= PAGE_BYTES_GOAL, "{} bytes", page.body.len());
        }
    }
}
