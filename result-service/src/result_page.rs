//! The scores as they are shown: page, chart, events and JSON, rendered when they change.
//!
//! It sends no queries and no answers.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::asset;
use kernel_app::assets::{Asset, escape, fill};
use kernel_app::http::Response;
use kernel_app::{Instant, Usage};
use serde::Serialize;
use votes::{Scores, json};

use crate::chart;
use crate::history::{History, SAMPLES_MAX, Sample};
use crate::scores::{api_json, percent, shares_tenths, summary, votes};

/// The page's looks.
pub static STYLE: Asset = asset!("text/css; charset=utf-8", include_bytes!("../assets/style.css"));
/// What keeps the page's numbers up to date.
pub static SCRIPT: Asset = asset!("text/javascript; charset=utf-8", include_bytes!("../assets/app.js"));
/// The page's icon.
pub static ICON: Asset = asset!("image/svg+xml", include_bytes!("../assets/icon.svg"));

/// While scores change, the chart is drawn this often.
pub const DRAW_EVERY: Duration = Duration::from_secs(1);

const TEMPLATE: &str = include_str!("../assets/page.html");
const UNKNOWN: &str = "–";
/// What keeps the results, unless told otherwise.
const STORE: &str = "store";
/// What follows the name of what keeps the results.
const AWAY: &str = " does not answer. These are the last known votes.";
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

/// The last scores, and what was rendered of them.
#[derive(Debug)]
pub struct ResultPage {
    names: [String; 2],
    scores: Option<Scores>,
    away: bool,
    /// What keeps the results: `store` or `database`.
    keeper: &'static str,
    history: History,
    /// The last count that the chart shows.
    drawn: Option<Sample>,
    chart: String,
    page: String,
    json: String,
    history_json: String,
    parts: [Part; 2],
}

/// Places among the [`ResultPage::parts`]: the scores with the source's state, and the chart.
const SCORES: usize = 0;
const CHART: usize = 1;

/// Something on the page that changes by itself, as server-sent events.
#[derive(Debug, Default)]
pub struct Part {
    /// Grows with every change; 0 is that of nothing yet.
    pub version: u64,
    /// All of it, not only what has changed.
    pub events: String,
}

impl Part {
    fn show(&mut self, events: String) {
        self.version += 1;
        self.events = events;
    }
}

impl ResultPage {
    /// A page for two options that knows no scores yet.
    pub fn new(option_a: &str, option_b: &str) -> Self {
        let mut page = Self {
            names: [escape(option_a), escape(option_b)],
            scores: None,
            away: true,
            keeper: STORE,
            history: History::default(),
            drawn: None,
            chart: String::new(),
            page: String::new(),
            json: String::new(),
            history_json: String::new(),
            parts: Default::default(),
        };
        page.show_scores();
        page.page = page.render_page();
        page
    }

    /// The same for results in a database: what does not answer then is not the store.
    #[must_use]
    pub fn of_database(mut self) -> Self {
        self.keeper = "database";
        self.show_scores();
        self.page = self.render_page();
        self
    }

    /// The last known scores.
    pub fn scores(&self) -> Option<Scores> {
        self.scores
    }

    /// How often the scores must be set for a chart without gaps.
    pub fn interval(&self) -> Duration {
        self.history.interval()
    }

    /// Shows the scores that were counted at `now`, if they are others, and draws the chart when it is time.
    pub fn set_scores(&mut self, scores: Scores, now: Instant) {
        self.history.record(now, scores);
        let (is_other, draws) = (self.scores != Some(scores), self.draws(scores, now));
        if is_other {
            self.scores = Some(scores);
            self.show_scores();
        }
        if draws {
            self.drawn = Some(Sample { at: now, scores });
            self.chart = chart::draw(&self.names, self.history.samples());
            let lines = self.chart.trim_end().replace('\n', "\ndata: ");
            self.parts[CHART].show(format!("event: chart\ndata: {lines}\n\n"));
        }
        if is_other || draws {
            self.page = self.render_page();
        }
    }

    /// Says whether the scores are the last known instead of the present ones.
    pub fn set_away(&mut self, away: bool) {
        if self.away != away {
            self.away = away;
            self.show_scores();
            self.page = self.render_page();
        }
    }

    /// What those who follow are to see.
    pub fn parts(&self) -> &[Part; 2] {
        &self.parts
    }

    /// The page; it says itself when its numbers may be old.
    pub fn page(&self) -> Response<'_> {
        Response::new(200, "text/html; charset=utf-8", self.page.as_bytes()).with_headers(PAGE_HEADERS)
    }

    /// The scores as JSON; 503 when the current ones are not available.
    pub fn json(&self) -> Response<'_> {
        self.present_json(&self.json)
    }

    /// The scores over time as JSON, up to the current ones; 503 when those are not available.
    pub fn history_json(&mut self) -> Response<'_> {
        self.history_json = self.render_history();
        self.present_json(&self.history_json)
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("samples of the scores over time", self.history.samples().len(), SAMPLES_MAX));
    }

    fn present_json<'a>(&self, json: &'a str) -> Response<'a> {
        if self.away || self.scores.is_none() {
            let body = match self.keeper {
                STORE => &b"{\"error\":\"the store does not answer\"}\n"[..],
                _ => b"{\"error\":\"the database does not answer\"}\n",
            };
            return Response::new(503, JSON, body).with_headers(AWAY_HEADERS);
        }
        Response::new(200, JSON, json.as_bytes()).with_headers(JSON_HEADERS)
    }

    /// Whether the chart is out of date. There is none before the first vote. Scores that stay the same move it too,
    /// but seldom visibly.
    fn draws(&self, scores: Scores, now: Instant) -> bool {
        let is_old = |drawn: Sample| {
            now >= drawn.at + if drawn.scores == scores { self.interval() } else { DRAW_EVERY }
        };
        !self.history.is_blank() && self.drawn.is_none_or(is_old)
    }

    fn show_scores(&mut self) {
        let keeper = match self.keeper {
            STORE => String::new(),
            keeper => format!(",\"keeper\":\"{keeper}\""),
        };
        let mut events = format!("event: store\ndata: {{\"ready\":{}{keeper}}}\n\n", !self.away);
        if let Some(scores) = self.scores {
            events += &format!("event: scores\ndata: {}\n\n", json::to_string(&scores));
            self.json = api_json(scores);
        }
        self.parts[SCORES].show(events);
    }

    fn notice(&self) -> String {
        ["The ", self.keeper, AWAY].concat()
    }

    fn render_history(&self) -> String {
        #[derive(Serialize)]
        struct Body {
            samples: Vec<Aged>,
        }
        #[derive(Serialize)]
        struct Aged {
            age_ms: u64,
            a: u64,
            b: u64,
        }
        let samples = self.history.samples();
        let end = samples.last().map_or(Instant::ZERO, |last| last.at);
        let aged = |Sample { at, scores: Scores { a, b } }: &Sample| {
            let age_ms = u64::try_from(end.since(*at).as_millis()).unwrap_or(u64::MAX);
            Aged { age_ms, a: *a, b: *b }
        };
        json::to_string(&Body { samples: samples.iter().map(aged).collect() }) + "\n"
    }

    fn render_page(&self) -> String {
        let scores = self.scores.unwrap_or_default();
        let counted = scores.total() > 0;
        let (share_a, share_b) = shares_tenths(scores);
        let [width_a, width_b] = [percent(share_a), percent(share_b)];
        let shown = |width| if counted { format!("{width}%") } else { String::from(UNKNOWN) };
        let count = |count| if counted { votes(count) } else { String::new() };
        let result = if self.scores.is_some() { summary(scores) } else { String::from(NEVER_KNOWN) };
        let notice = if self.away { self.notice() } else { String::new() };
        let values = [
            ("a", self.names[0].as_str()),
            ("b", &self.names[1]),
            ("empty", if counted { "" } else { " class=\"empty\"" }),
            ("width_a", &width_a),
            ("width_b", &width_b),
            ("percent_a", &shown(&width_a)),
            ("percent_b", &shown(&width_b)),
            ("count_a", &count(scores.a)),
            ("count_b", &count(scores.b)),
            ("chart", &self.chart),
            ("result", &result),
            ("notice", &notice),
        ];
        fill(TEMPLATE, &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(page: &ResultPage) -> String {
        String::from_utf8(page.page().body.to_vec()).expect("UTF-8")
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn counted(a: u64, b: u64) -> ResultPage {
        let mut page = ResultPage::new("Cats", "Dogs");
        page.set_away(false);
        page.set_scores(Scores { a, b }, at(0));
        page
    }

    #[test]
    fn the_page_shows_labelled_shares_counts_and_halves_without_any_script() {
        let page = html(&counted(2, 1));
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
    fn without_votes_no_share_is_shown() {
        assert!(!html(&counted(1, 1)).contains("empty"));
        let page = html(&counted(0, 0));
        assert!(page.contains("<div id=\"background-stats\" class=\"empty\""), "{page}");
        assert!(page.contains("<p id=\"result\">No votes yet</p>"), "{page}");
        assert!(page.contains("id=\"percent-a\">–</dd>"), "{page}");
        assert!(page.contains("id=\"background-stats-1\" width=\"50.0%\""), "{page}");
    }

    #[test]
    fn a_page_without_the_database_blames_no_store() {
        let mut page = ResultPage::new("Cats", "Dogs").of_database();
        assert_eq!(page.json().body, b"{\"error\":\"the database does not answer\"}\n");
        assert_eq!(
            page.parts()[SCORES].events,
            "event: store\ndata: {\"ready\":false,\"keeper\":\"database\"}\n\n"
        );
        assert!(html(&page).contains("The database does not answer. These are the last known votes."));
        page.set_scores(Scores { a: 0, b: 1 }, Instant::ZERO);
        page.set_away(false);
        assert!(!html(&page).contains("does not answer"));
    }

    #[test]
    fn a_page_without_the_store_says_so() {
        let mut page = ResultPage::new("Cats", "Dogs");
        assert!(html(&page).contains(NEVER_KNOWN));
        assert_eq!(page.json().status, 503);
        assert_eq!(page.parts()[SCORES].events, "event: store\ndata: {\"ready\":false}\n\n");
        assert_eq!(page.history_json().status, 503);
        page.set_scores(Scores { a: 1, b: 0 }, at(0));
        page.set_away(true);
        assert!(html(&page).contains("1 vote</p>") && html(&page).contains(&page.notice()));
        assert_eq!(page.json().status, 503);
    }

    #[test]
    fn only_a_change_makes_a_new_version() {
        let mut page = counted(1, 0);
        let version = page.parts()[SCORES].version;
        page.set_scores(Scores { a: 1, b: 0 }, at(100));
        page.set_away(false);
        assert_eq!(page.parts()[SCORES].version, version);
        page.set_scores(Scores { a: 0, b: 1 }, at(200));
        assert_eq!(page.parts()[SCORES].version, version + 1);
        let expected = "event: store\ndata: {\"ready\":true}\n\nevent: scores\ndata: {\"a\":0,\"b\":1}\n\n";
        assert_eq!(page.parts()[SCORES].events, expected);
    }

    #[test]
    fn the_chart_follows_changes_every_second_and_is_what_the_page_shows() {
        let mut page = counted(1, 0);
        let drawn = |page: &ResultPage| page.parts()[CHART].version;
        assert_eq!(drawn(&page), 1);
        page.set_scores(Scores { a: 1, b: 1 }, at(900));
        assert_eq!(drawn(&page), 1, "not yet");
        page.set_scores(Scores { a: 1, b: 1 }, at(1_000));
        assert_eq!(drawn(&page), 2);
        assert!(html(&page).contains("In 1 s: Cats from 1 to 1 vote, Dogs from 0 to 1 vote"));
        let lines = page.parts()[CHART].events.strip_prefix("event: chart\n").expect("an event").trim_end();
        for line in lines.lines() {
            let line = line.strip_prefix("data: ").expect("one line of the chart");
            assert!(html(&page).contains(line), "{line}");
        }
    }

    #[test]
    fn a_chart_of_hours_is_drawn_seldom_unless_something_changes() {
        let mut page = counted(1, 0);
        let day = 24 * 60 * 60;
        let mut second = 0;
        let mut pass = |page: &mut ResultPage, until: u64, a: u64| {
            let before = page.parts()[CHART].version;
            while second < until {
                second += 1;
                page.set_scores(Scores { a, b: 0 }, at(second * 1_000));
            }
            page.parts()[CHART].version - before
        };
        pass(&mut page, day, 1);
        let interval = page.interval().as_secs();
        assert!(interval > 600, "{interval}");
        assert_eq!(pass(&mut page, day + 2 * interval, 1), 2);
        assert_eq!(pass(&mut page, day + 2 * interval + 1, 2), 1);
    }

    #[test]
    fn the_history_ends_with_the_present_scores() {
        let mut page = counted(1, 0);
        page.set_scores(Scores { a: 1, b: 0 }, at(1_000));
        page.set_scores(Scores { a: 0, b: 2 }, at(1_500));
        let expected = "{\"samples\":[{\"age_ms\":1500,\"a\":1,\"b\":0},{\"age_ms\":500,\"a\":1,\"b\":0},\
                        {\"age_ms\":0,\"a\":0,\"b\":2}]}\n";
        assert_eq!(page.history_json().body, expected.as_bytes());
    }

    #[test]
    fn settings_cannot_add_markup() {
        let page = html(&ResultPage::new("<script>", "{result}"));
        assert!(page.contains("&lt;script&gt; vs {result} -- Result</title>"), "{page}");
    }
}
