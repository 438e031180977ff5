//! The voting booth: takes forms, queues votes in the store, and answers once the store has them.
//!
//! Keeps no votes: what the store did not take, the voter is told to send again.

use alloc::borrow::Cow;
use core::time::Duration;

use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use kernel_app::metrics::{Counter, Exposition};
use kernel_app::store_backed::StoreUser;
use kernel_app::store_client::{Outcome, StoreClient};
use kernel_app::{ConnectionId, Context, Instant};
use wire::form;
use wire::resp::Reply;

use crate::ballot::{self, Choice};
use crate::journal::Journal;
use crate::pages::{ICON, Pages, STYLE};
use crate::rejection::{Rejection, Rejections};
use crate::voter::{COOKIE, CookieLine, Id};

/// How long the store may take for a vote: the voter has an answer within a second.
pub const STORE_REPLY_WITHIN: Duration = Duration::from_millis(900);

const STYLE_PATH: &str = "/static/style.css";
const ICON_PATH: &str = "/static/icon.svg";
const ROUTES: &[Route] = &[
    Route { path: "/", methods: &[Method::Get, Method::Post] },
    Route { path: STYLE_PATH, methods: &[Method::Get] },
    Route { path: ICON_PATH, methods: &[Method::Get] },
];

/// A vote on its way to the store. There is at most one for each HTTP connection.
#[derive(Clone, Copy, Debug)]
struct Pending {
    exchange: Exchange,
    voter: Id,
    choice: Choice,
}

/// See the module.
#[derive(Debug)]
pub struct Booth {
    store: StoreClient<Pending>,
    desk: Desk,
}

/// What answers are made from; beside the store client, whose callbacks need it.
#[derive(Debug)]
struct Desk {
    pages: Pages,
    cookie: CookieLine,
    accepted: [Counter; 2],
    journal: Journal,
    rejected: Rejections,
}

impl Booth {
    /// A booth that is not connected to the store yet.
    pub fn new(pages: Pages) -> Self {
        let (accepted, journal, rejected) = Default::default();
        let desk = Desk { pages, cookie: CookieLine::new(), accepted, journal, rejected };
        Self { store: StoreClient::new(), desk }
    }

    fn vote(&mut self, request: &Request<'_>, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        let voter = voter(request, context);
        let queued = read_choice(request).and_then(|choice| {
            let entry = ballot::entry(voter, choice, Id::random(context.entropy));
            let vote = Pending { exchange, voter, choice };
            let command: [&[u8]; 3] = [b"RPUSH", ballot::QUEUE, &entry];
            Ok(self.store.send(&command, vote, STORE_REPLY_WITHIN, context)?)
        });
        match queued {
            Ok(()) => Answer::Later,
            Err(rejection) => Answer::Now(self.desk.reject(rejection, voter)),
        }
    }
}

impl StoreUser for Booth {
    const NAME: &'static str = "vote";

    fn is_store(&self, id: ConnectionId) -> bool {
        self.store.is(id)
    }

    fn store_opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.store.opened(id, context);
    }

    fn store_ready(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        let Self { store, desk } = self;
        store.ready(context, |vote, outcome, context| desk.settle(vote, outcome, http, context));
    }

    fn store_closed(&mut self, id: ConnectionId, http: &mut HttpServer, context: &mut Context<'_>) {
        let Self { store, desk } = self;
        store.closed(id, context, |vote, outcome, context| desk.settle(vote, outcome, http, context));
    }

    /// A vote that is still under way is counted all the same; its answer finds nobody.
    fn forget(&mut self, _: Exchange) {}

    /// Gives up on votes that the store has left waiting, and tells the log of those that it has taken.
    fn turn(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        let Self { store, desk } = self;
        store.turn(context, |vote, outcome, context| desk.settle(vote, outcome, http, context));
        desk.journal.turn(context.now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.store.next_deadline(), self.desk.journal.next_deadline()].into_iter().flatten().min()
    }
}

impl Handler for Booth {
    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn handle(&mut self, request: &Request<'_>, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        match (request.path, request.method) {
            (STYLE_PATH, _) => Answer::Now(STYLE.respond(request)),
            (ICON_PATH, _) => Answer::Now(ICON.respond(request)),
            (_, Method::Post) => self.vote(request, exchange, context),
            _ => Answer::Now(self.desk.show(voter(request, context))),
        }
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.store.readiness().map_err(|error| Cow::Borrowed(error.as_str()))
    }

    fn metrics(&self, exposition: &mut Exposition) {
        let accepted =
            |choice: Choice| ([("option", choice.as_str())], self.desk.accepted[choice.index()].value());
        let accepted = Choice::ALL.map(accepted);
        let samples = accepted.each_ref().map(|(labels, value)| (&labels[..], *value));
        exposition.counters("votes_accepted_total", "Votes that the store has taken.", &samples);
        let rejected = Rejection::ALL
            .map(|rejection| ([("reason", rejection.label())], self.desk.rejected.value(rejection)));
        let samples = rejected.each_ref().map(|(labels, value)| (&labels[..], *value));
        exposition.counters("votes_rejected_total", "Votes that were not acknowledged.", &samples);
        let ready = i64::from(self.store.readiness().is_ok());
        exposition.gauge("store_ready", "1 while the store answers in time.", ready);
        let pending = i64::try_from(self.store.pending()).unwrap_or(i64::MAX);
        exposition.gauge("store_pending_commands", "Commands that wait for the store's reply.", pending);
    }
}

impl Desk {
    fn show(&mut self, voter: Id) -> Response<'_> {
        self.pages.fresh().with_cookie(Some(self.cookie.of(voter)))
    }

    fn accept(&mut self, choice: Choice, voter: Id) -> Response<'_> {
        self.journal.note(choice);
        self.accepted[choice.index()].increment();
        self.pages.voted(choice).with_cookie(Some(self.cookie.of(voter)))
    }

    fn reject(&mut self, rejection: Rejection, voter: Id) -> Response<'_> {
        log::debug!("vote rejected: {}", rejection.label());
        self.rejected.count(rejection);
        match rejection.fault() {
            Some(fault) => Response::text(400, fault),
            None => self.pages.away().with_cookie(Some(self.cookie.of(voter))),
        }
    }

    /// Tells the voter what became of a vote.
    fn settle(
        &mut self,
        vote: Pending,
        outcome: Outcome<'_>,
        http: &mut HttpServer,
        context: &mut Context<'_>,
    ) {
        let Pending { exchange, voter, choice } = vote;
        let response = match outcome {
            Outcome::Reply(Reply::Integer(_)) => self.accept(choice, voter),
            Outcome::Reply(reply) => {
                log::warn!("the store did not take a vote: {reply:?}");
                self.reject(Rejection::StoreError, voter)
            }
            Outcome::Overdue => self.reject(Rejection::StoreSilent, voter),
            Outcome::Lost => self.reject(Rejection::StoreAway, voter),
        };
        http.respond(exchange, &response, context);
    }
}

/// The voter whom the cookie names, or a new one.
fn voter(request: &Request<'_>, context: &mut Context<'_>) -> Id {
    request.cookie(COOKIE).and_then(Id::parse).unwrap_or_else(|| Id::random(context.entropy))
}

fn read_choice(request: &Request<'_>) -> Result<Choice, Rejection> {
    let field = form::field(request.header("content-type"), request.body, "vote");
    let text = field.map_err(|_| Rejection::NoForm)?.ok_or(Rejection::Missing)?;
    Choice::parse(&text).ok_or(Rejection::UnknownOption)
}
