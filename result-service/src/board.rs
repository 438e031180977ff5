//! The scores as they are shown: page, events and JSON, rendered when they change.
//!
//! Asks nobody and sends nothing.

use alloc::format;
use alloc::string::String;

use kernel_app::asset;
use kernel_app::assets::{Asset, escape, fill};
use kernel_app::http::Response;

use crate::scores::{Scores, percent, votes};

/// The page's looks.
pub static STYLE: Asset = asset!("text/css; charset=utf-8", include_bytes!("../assets/style.css"));
/// What keeps the page's numbers up to date.
pub static SCRIPT: Asset = asset!("text/javascript; charset=utf-8", include_bytes!("../assets/app.js"));
/// The page's icon.
pub static ICON: Asset = asset!("image/svg+xml", include_bytes!("../assets/icon.svg"));

const TEMPLATE: &str = include_str!("../assets/page.html");
const UNKNOWN: &str = "–";
const AWAY: &str = "The store does not answer. These are the last known votes.";
const NEVER_KNOWN: &str = "Waiting for the first count";

const PAGE_HEADERS: &[&str] = &["\
    Content-Security-Policy: default-src 'self';base-uri 'none';form-action 'none';frame-ancestors 'none'\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cache-Control: no-store\r\n"];
const JSON: &str = "application/json";
const JSON_LINES: &str = "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n";
const JSON_HEADERS: &[&str] = &[JSON_LINES];
const AWAY_HEADERS: &[&str] = &["Retry-After: 1\r\n", JSON_LINES];

/// See the module.
#[derive(Debug)]
pub struct Board {
    names: [String; 2],
    scores: Option<Scores>,
    away: bool,
    /// Grows with every change; 0 is never one's.
    version: u64,
    page: String,
    events: String,
    json: String,
}

impl Board {
    /// A board for two options that knows no scores yet.
    pub fn new(option_a: &str, option_b: &str) -> Self {
        let mut board = Self {
            names: [escape(option_a), escape(option_b)],
            scores: None,
            away: true,
            version: 0,
            page: String::new(),
            events: String::new(),
            json: String::new(),
        };
        board.render();
        board
    }

    /// The last known scores.
    pub fn scores(&self) -> Option<Scores> {
        self.scores
    }

    /// Shows other scores, if they are others.
    pub fn set_scores(&mut self, scores: Scores) {
        if self.scores != Some(scores) {
            self.scores = Some(scores);
            self.render();
        }
    }

    /// Says whether the scores are the last known instead of the present ones.
    pub fn set_away(&mut self, away: bool) {
        if self.away != away {
            self.away = away;
            self.render();
        }
    }

    /// Tells states of the board apart.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The state as server-sent events.
    pub fn events(&self) -> &str {
        &self.events
    }

    /// The page; it says itself when its numbers may be old.
    pub fn page(&self) -> Response<'_> {
        Response::new(200, "text/html; charset=utf-8", self.page.as_bytes()).with_headers(PAGE_HEADERS)
    }

    /// The scores as JSON; 503 when the present ones cannot be had.
    pub fn json(&self) -> Response<'_> {
        if self.away || self.scores.is_none() {
            let body = b"{\"error\":\"the store does not answer\"}\n";
            return Response::new(503, JSON, body).with_headers(AWAY_HEADERS);
        }
        Response::new(200, JSON, self.json.as_bytes()).with_headers(JSON_HEADERS)
    }

    fn render(&mut self) {
        self.version += 1;
        self.page = self.render_page();
        self.events = format!("event: store\ndata: {{\"ready\":{}}}\n\n", !self.away);
        if let Some(scores) = self.scores {
            self.events += &format!("event: scores\ndata: {}\n\n", scores.event_json());
            self.json = scores.api_json();
        }
    }

    fn render_page(&self) -> String {
        let scores = self.scores.unwrap_or_default();
        let counted = scores.total() > 0;
        let (share_a, share_b) = scores.shares_tenths();
        let [width_a, width_b] = [percent(share_a), percent(share_b)];
        let shown = |width| if counted { format!("{width}%") } else { String::from(UNKNOWN) };
        let count = |count| if counted { votes(count) } else { String::new() };
        let result = if self.scores.is_some() { scores.summary() } else { String::from(NEVER_KNOWN) };
        let values = [
            ("a", self.names[0].as_str()),
            ("b", &self.names[1]),
            ("width_a", &width_a),
            ("width_b", &width_b),
            ("percent_a", &shown(&width_a)),
            ("percent_b", &shown(&width_b)),
            ("count_a", &count(scores.a)),
            ("count_b", &count(scores.b)),
            ("result", &result),
            ("notice", if self.away { AWAY } else { "" }),
        ];
        fill(TEMPLATE, &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(board: &Board) -> String {
        String::from_utf8(board.page().body.to_vec()).expect("UTF-8")
    }

    fn board(a: u64, b: u64) -> Board {
        let mut board = Board::new("Cats", "Dogs");
        board.set_away(false);
        board.set_scores(Scores { a, b });
        board
    }

    #[test]
    fn the_page_shows_labelled_shares_counts_and_halves_without_any_script() {
        let page = page(&board(2, 1));
        for part in [
            "<title>Cats vs Dogs -- Result</title>",
            "<svg id=\"background-stats-1\" width=\"66.7%\">",
            "<svg id=\"background-stats-2\" width=\"33.3%\">",
            "<dt class=\"label\">Cats</dt><dd class=\"stat\" id=\"percent-a\">66.7%</dd>",
            "<dt class=\"label\">Dogs</dt><dd class=\"stat\" id=\"percent-b\">33.3%</dd>",
            "id=\"count-a\">2 votes<",
            "id=\"count-b\">1 vote<",
            "<p id=\"result\">3 votes</p>",
            "<p id=\"notice\" role=\"status\"></p>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains(['{', '}']), "every placeholder is filled: {page}");
    }

    #[test]
    fn nobody_has_half_the_votes_when_there_are_none() {
        let page = page(&board(0, 0));
        assert!(page.contains("<p id=\"result\">No votes yet</p>"), "{page}");
        assert!(page.contains("id=\"percent-a\">–</dd>"), "{page}");
        assert!(page.contains("id=\"background-stats-1\" width=\"50.0%\""), "{page}");
    }

    #[test]
    fn a_board_without_the_store_says_so() {
        let mut board = Board::new("Cats", "Dogs");
        assert!(page(&board).contains(NEVER_KNOWN));
        assert_eq!(board.json().status, 503);
        assert_eq!(board.events(), "event: store\ndata: {\"ready\":false}\n\n");
        board.set_scores(Scores { a: 1, b: 0 });
        board.set_away(true);
        assert!(page(&board).contains("1 vote</p>") && page(&board).contains(AWAY));
        assert_eq!(board.json().status, 503);
    }

    #[test]
    fn only_a_change_makes_a_new_version() {
        let mut board = board(1, 0);
        let version = board.version();
        board.set_scores(Scores { a: 1, b: 0 });
        board.set_away(false);
        assert_eq!(board.version(), version);
        board.set_scores(Scores { a: 0, b: 1 });
        assert_eq!(board.version(), version + 1);
        let expected = "event: store\ndata: {\"ready\":true}\n\nevent: scores\ndata: {\"a\":0,\"b\":1}\n\n";
        assert_eq!(board.events(), expected);
    }

    #[test]
    fn settings_cannot_add_markup() {
        let page = page(&Board::new("<script>", "{result}"));
        assert!(page.contains("&lt;script&gt; vs {result} -- Result</title>"), "{page}");
    }
}
