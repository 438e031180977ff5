//! The request handler: it answers requests from the result page, and asks for new scores when the page may be
//! outdated.
//!
//! It polls the store often while clients follow the scores, and otherwise only as often as the chart needs. A
//! request that needs newer scores asks for them itself.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::client::backend_service::Backend;
use kernel_app::connections::CONNECTIONS_MAX;
use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use kernel_app::metrics::Exposition;
use kernel_app::network::Unreachable;
use kernel_app::{ConnectionId, Context, Instant, Usage};

use crate::result_page::{ICON, ResultPage, SCRIPT, STYLE};
use crate::score_poller::{News, ScorePoller};
use crate::source::Source;
use crate::subscribers::{SUBSCRIBERS_MAX, Subscribers};

/// Most requests that wait for the store's answer: one for each connection.
pub const WAITING_MAX: usize = CONNECTIONS_MAX;

const STYLE_PATH: &str = "/static/style.css";
const SCRIPT_PATH: &str = "/static/app.js";
const ICON_PATH: &str = "/static/icon.svg";
const EVENTS_PATH: &str = "/events";
const SCORES_PATH: &str = "/api/scores";
const HISTORY_PATH: &str = "/api/history";
const ROUTES: &[Route] = &[
    Route { path: "/", methods: &[Method::Get] },
    Route { path: SCORES_PATH, methods: &[Method::Get] },
    Route { path: HISTORY_PATH, methods: &[Method::Get] },
    Route { path: EVENTS_PATH, methods: &[Method::Get] },
    Route { path: STYLE_PATH, methods: &[Method::Get] },
    Route { path: SCRIPT_PATH, methods: &[Method::Get] },
    Route { path: ICON_PATH, methods: &[Method::Get] },
];
/// Proxies hold answers back until a buffer is full, or to compress them; they are asked not to: nginx by a header of
/// its own.
const LIVE: &[&str] = &["Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n"];
const RETRY: &[&str] = &["Retry-After: 1\r\n"];

/// The page, who follows it, and what asks for its scores.
#[derive(Debug)]
pub struct ResultHandler {
    poller: ScorePoller,
    page: ResultPage,
    subscribers: Subscribers,
    waiting: Vec<Waiting>,
    poll_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    exchange: Exchange,
    want: Want,
}

#[derive(Clone, Copy, Debug)]
enum Want {
    Page,
    Json,
    History,
}

impl ResultHandler {
    /// A handler that is not connected to the source of the scores yet.
    pub fn new(page: ResultPage, source: Source) -> Self {
        Self {
            poller: ScorePoller::new(source),
            page,
            subscribers: Subscribers::default(),
            waiting: Vec::new(),
            poll_at: Instant::ZERO,
        }
    }

    fn next_poll(&self) -> Option<Instant> {
        self.poller.can_ask().then_some(self.poll_at)
    }

    /// How long after a question the next one is asked without a request.
    fn pace(&self) -> Duration {
        let pace = self.poller.interval();
        if self.subscribers.is_empty() { pace.max(self.page.interval()) } else { pace }
    }

    /// Shows what the source has answered, and answers those who waited for it.
    fn settle(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.poller.take_answers(context);
        let news = self.poller.take_news();
        if let Some(News::Scores(scores)) = news {
            self.page.set_scores(scores, context.now);
        }
        self.page.set_away(self.poller.is_in_trouble());
        if news.is_none() {
            return;
        }
        self.subscribers.release();
        for Waiting { exchange, want } in self.waiting.drain(..) {
            http.respond(exchange, &self.page.show(want), context);
        }
    }

    /// Answers from the page when it is fresh or cannot become so, and after the store's answer otherwise.
    fn answer(&mut self, want: Want, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        if !self.poller.is_fresh(context.now) && self.waiting.len() < WAITING_MAX {
            if self.poller.ask(context) {
                self.waiting.push(Waiting { exchange, want });
                return Answer::Later;
            }
            self.page.set_away(true);
        }
        Answer::Now(self.page.show(want))
    }

    fn subscribe(&mut self, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        let waits = !self.poller.is_fresh(context.now) && self.poller.ask(context);
        if !self.subscribers.join(exchange, waits, context.now) {
            let full = Response::text(503, "Too many follow the scores already. Try again later.\n");
            return Answer::Now(full.with_headers(RETRY));
        }
        self.poll_at = self.poll_at.min(context.now + self.pace());
        Answer::Stream { content_type: "text/event-stream", headers: LIVE }
    }
}

impl ResultPage {
    fn show(&mut self, want: Want) -> Response<'_> {
        match want {
            Want::Page => self.page(),
            Want::Json => self.json(),
            Want::History => self.history_json(),
        }
    }
}

impl Backend for ResultHandler {
    const NAME: &'static str = "result";

    fn is_backend(&self, id: ConnectionId) -> bool {
        self.poller.is_source(id)
    }

    fn backend_opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.poller.opened(id, context);
    }

    fn backend_unreachable(&mut self, reason: Unreachable) {
        self.poller.unreachable(reason);
    }

    fn backend_ready(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.settle(http, context);
    }

    fn backend_closed(&mut self, id: ConnectionId, http: &mut HttpServer, context: &mut Context<'_>) {
        self.poller.closed(id);
        self.settle(http, context);
    }

    fn forget(&mut self, exchange: Exchange) {
        self.subscribers.leave(exchange);
        self.waiting.retain(|waiting| waiting.exchange != exchange);
    }

    /// Polls, and sends those who follow what is new.
    fn turn(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.settle(http, context);
        if self.next_poll().is_some_and(|at| at <= context.now) {
            self.poll_at = context.now + self.pace();
            // A question that cannot be asked is one that the page's state already tells of.
            self.poller.ask(context);
        }
        self.subscribers.turn(&self.page, http, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.poller.next_deadline(), self.next_poll(), self.subscribers.next_deadline()];
        Instant::earliest(deadlines)
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.poller.report_usage(report);
        self.page.report_usage(report);
        report(Usage::new("requests that wait for the scores", self.waiting.len(), WAITING_MAX));
        report(Usage::new("followers of the scores", self.subscribers.len(), SUBSCRIBERS_MAX));
    }
}

impl Handler for ResultHandler {
    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn handle(&mut self, request: &Request<'_>, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        match request.path {
            STYLE_PATH => Answer::Now(STYLE.respond(request)),
            SCRIPT_PATH => Answer::Now(SCRIPT.respond(request)),
            ICON_PATH => Answer::Now(ICON.respond(request)),
            EVENTS_PATH => self.subscribe(exchange, context),
            SCORES_PATH => self.answer(Want::Json, exchange, context),
            HISTORY_PATH => self.answer(Want::History, exchange, context),
            _ => self.answer(Want::Page, exchange, context),
        }
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.poller.readiness()
    }

    fn metrics(&self, exposition: &mut Exposition) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        if let Some(scores) = self.page.scores() {
            let samples: [(&[(&str, &str)], i64); 2] =
                [(&[("option", "a")], signed(scores.a)), (&[("option", "b")], signed(scores.b))];
            exposition.gauges("votes", "Voters of each option, as last asked.", &samples);
        }
        exposition.gauge(
            "events_subscribers",
            "Clients that follow the scores.",
            signed(self.subscribers.len() as u64),
        );
        exposition.counter(
            "events_pushed_total",
            "States of the page sent to clients.",
            self.subscribers.pushed(),
        );
        exposition.counter("score_polls_total", "Questions to the store.", self.poller.asked());
        let ready = i64::from(self.poller.readiness().is_ok());
        exposition.gauge("backend_ready", "1 while the store or database answers in time.", ready);
        let pending = signed(self.poller.pending() as u64);
        exposition.gauge("store_pending_commands", "Commands that wait for the store's reply.", pending);
    }
}
