//! The voting booth: takes forms, queues votes in the store, and answers once the store has them.
//!
//! Keeps no votes: what the store did not take, the voter is told to send again. While the voter has time,
//! a vote whose connection to the store was lost is queued once more, as the same vote.

use alloc::borrow::Cow;
use core::time::Duration;

use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use kernel_app::metrics::{Counter, Exposition};
use kernel_app::network::Unreachable;
use kernel_app::store_backed::StoreUser;
use kernel_app::store_client::{Outcome, SendError, StoreClient, without_arguments};
use kernel_app::store_login::StoreLogin;
use kernel_app::{ConnectionId, Context, Instant, Usage};
use wire::form;
use wire::resp::Reply;

use crate::ballot::{self, Choice, Entry};
use crate::epoch::{Epoch, Step};
use crate::journal::Journal;
use crate::pages::{ICON, Pages, STYLE};
use crate::rejection::{Rejection, Rejections};
use crate::voter::{COOKIE, CookieLine, Id, Voter};
use crate::waiting::{self, Grant, Vote, WAITING_MAX, Waiting};

/// How long the store may take for a vote: the voter has an answer within a second.
pub const STORE_REPLY_WITHIN: Duration = Duration::from_millis(900);

/// What tells at once whether a store takes votes: one that is read-only or full refuses it. The ticket that
/// it gives is nobody's.
const TRIAL: &[&[u8]] = &[b"INCR", ballot::TICKETS];

const STYLE_PATH: &str = "/static/style.css";
const ICON_PATH: &str = "/static/icon.svg";
const ROUTES: &[Route] = &[
    Route { path: "/", methods: &[Method::Get, Method::Post] },
    Route { path: STYLE_PATH, methods: &[Method::Get] },
    Route { path: ICON_PATH, methods: &[Method::Get] },
];

/// What the store was asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// The next ticket.
    Ticket,
    /// To queue a vote.
    Queue(Vote),
    /// To begin an epoch.
    Epoch(Step),
}

/// See the module.
#[derive(Debug)]
pub struct Booth {
    store: StoreClient<Asked>,
    line: Line,
    desk: Desk,
}

/// The votes on their way to the store; beside its client, whose callbacks need it.
#[derive(Debug, Default)]
struct Line {
    epoch: Epoch,
    waiting: Waiting,
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
    /// A booth that is not connected yet to the store, which it logs in to like this.
    pub fn new(pages: Pages, login: StoreLogin) -> Self {
        let (accepted, journal, rejected) = Default::default();
        let desk = Desk { pages, cookie: CookieLine::new(), accepted, journal, rejected };
        Self { store: StoreClient::new(login).with_trial(TRIAL), line: Line::default(), desk }
    }

    fn vote(&mut self, request: &Request<'_>, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        let voter = voter(request, context);
        let joined = read_choice(request).and_then(|choice| {
            self.store.admits()?;
            if self.line.epoch.trouble().is_some() {
                return Err(Rejection::StoreError);
            }
            let (id, deadline) = (Id::random(context.entropy), context.now + STORE_REPLY_WITHIN);
            let vote = Vote { exchange, voter, choice, id, deadline, sequence: None };
            if self.line.waiting.join(vote) { Ok(()) } else { Err(Rejection::StoreBusy) }
        });
        match joined {
            Ok(()) => Answer::Later,
            Err(rejection) => Answer::Now(self.desk.reject(rejection, voter)),
        }
    }

    /// Goes on with what an epoch begins with.
    fn begin_epoch(&mut self, context: &mut Context<'_>) {
        let Self { store, line: Line { epoch, .. }, .. } = self;
        let Some(step) = epoch.next_step(context.now) else { return };
        let sent = epoch
            .command(step, |command| store.inquire(command, Asked::Epoch(step), STORE_REPLY_WITHIN, context));
        if sent.is_ok() {
            epoch.asked();
        }
    }

    /// Asks for a ticket for the votes that came since the last was asked for.
    fn ask_ticket(&mut self, context: &mut Context<'_>) {
        if !self.line.waiting.wants_ticket() || !self.line.epoch.has_begun() {
            return;
        }
        // Without the store, votes wait for its return until their time is up.
        let command: [&[u8]; 2] = [b"INCR", ballot::TICKETS];
        if self.store.send(&command, Asked::Ticket, STORE_REPLY_WITHIN, context).is_ok() {
            self.line.waiting.asked();
        }
    }

    /// Queues the votes that have their sequence in time.
    fn queue_granted(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.give_up(http, context);
        while let Some(vote) = self.line.waiting.take_granted() {
            if let Err(error) = self.queue(vote, context) {
                self.desk.answer(vote, Err(error.into()), http, context);
            }
        }
    }

    fn queue(&mut self, vote: Vote, context: &mut Context<'_>) -> Result<(), SendError> {
        let sequence = vote.sequence.unwrap_or_default();
        let entry = Entry::new(vote.voter, vote.choice, vote.id, sequence);
        let command: [&[u8]; 3] = [b"RPUSH", ballot::QUEUE, entry.as_bytes()];
        self.store.send(&command, Asked::Queue(vote), vote.deadline.since(context.now), context)
    }

    /// Refuses the votes whose time is up.
    fn give_up(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        while let Some(vote) = self.line.waiting.take_overdue(context.now) {
            let reason = self.store.readiness().map_or_else(Rejection::from, |()| Rejection::StoreSilent);
            self.desk.answer(vote, Err(reason), http, context);
        }
    }
}

impl StoreUser for Booth {
    const NAME: &'static str = "vote";

    fn is_store(&self, id: ConnectionId) -> bool {
        self.store.is(id)
    }

    fn store_opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.line.epoch.renew(context.entropy);
        self.store.opened(id, context);
    }

    fn store_unreachable(&mut self, reason: Unreachable) {
        self.store.unreachable(reason);
    }

    fn store_ready(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        let Self { store, line, desk } = self;
        store.ready(context, |asked, outcome, context| {
            desk.settle(asked, outcome, line, http, context);
        });
        self.queue_granted(http, context);
    }

    fn store_closed(&mut self, id: ConnectionId, http: &mut HttpServer, context: &mut Context<'_>) {
        let Self { store, line, desk } = self;
        store.closed(id, context, |asked, outcome, context| {
            desk.settle(asked, outcome, line, http, context);
        });
        line.epoch.end();
    }

    /// A vote that is not queued yet is not cast: its voter may have another answer from elsewhere by now.
    /// One that is queued is counted all the same; its answer finds nobody.
    fn forget(&mut self, exchange: Exchange) {
        self.line.waiting.leave(exchange);
    }

    /// Gives up on votes that the store has left waiting, asks for the ticket of those that have come, and
    /// tells the log of those that the store has taken.
    fn turn(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        let Self { store, line, desk } = self;
        store.turn(context, |asked, outcome, context| {
            desk.settle(asked, outcome, line, http, context);
        });
        self.give_up(http, context);
        self.begin_epoch(context);
        self.ask_ticket(context);
        self.desk.journal.turn(context.now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let Line { epoch, waiting } = &self.line;
        let deadlines = [
            self.store.next_deadline(),
            epoch.next_deadline(),
            waiting.next_deadline(),
            self.desk.journal.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        self.store.usages(tell);
        tell(Usage::new("votes that wait for a ticket", self.line.waiting.len(), WAITING_MAX));
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
        self.store.explained_readiness()?;
        match self.line.epoch.trouble() {
            Some(trouble) => Err(self.store.explained(trouble).into()),
            None => Ok(()),
        }
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
        let waiting = i64::try_from(self.line.waiting.len()).unwrap_or(i64::MAX);
        exposition.gauge("votes_waiting", "Votes that wait for a ticket from the store.", waiting);
        let pending = i64::try_from(self.store.pending()).unwrap_or(i64::MAX);
        exposition.gauge("store_pending_commands", "Commands that wait for the store's reply.", pending);
    }
}

impl Desk {
    fn show(&mut self, voter: Voter) -> Response<'_> {
        self.pages.fresh().with_cookie(Some(self.cookie.of(voter)))
    }

    fn accept(&mut self, choice: Choice, voter: Voter) -> Response<'_> {
        self.journal.note(choice);
        self.accepted[choice.index()].increment();
        self.pages.voted(choice).with_cookie(Some(self.cookie.of(voter)))
    }

    fn reject(&mut self, rejection: Rejection, voter: Voter) -> Response<'_> {
        log::debug!("vote rejected: {}", rejection.label());
        self.rejected.count(rejection);
        match rejection.fault() {
            Some(fault) => Response::text(400, fault),
            None => self.pages.away().with_cookie(Some(self.cookie.of(voter))),
        }
    }

    /// Acts on what became of a command.
    fn settle(
        &mut self,
        asked: Asked,
        outcome: Outcome<'_>,
        Line { epoch, waiting }: &mut Line,
        http: &mut HttpServer,
        context: &mut Context<'_>,
    ) {
        match (asked, outcome) {
            (Asked::Ticket, Outcome::Reply(reply)) => {
                let Some(ticket) = number(&reply).and_then(waiting::ticket) else {
                    log::warn!("the store gives no ticket: {}", shown(reply));
                    while let Some(vote) = waiting.take_refused() {
                        self.answer(vote, Err(Rejection::StoreError), http, context);
                    }
                    return;
                };
                if waiting.grant(ticket) == Grant::WentBack {
                    epoch.renew(context.entropy);
                }
            }
            (Asked::Epoch(step), outcome) => {
                epoch.answered(step, outcome, context.now).into_iter().for_each(|begin| waiting.begin(begin))
            }
            (Asked::Ticket, Outcome::Overdue | Outcome::Lost) => waiting.missed(),
            (Asked::Queue(vote), Outcome::Lost) if vote.deadline > context.now => waiting.rejoin(vote),
            (Asked::Queue(vote), outcome) => self.answer(vote, taken(outcome), http, context),
        }
    }

    /// Tells the voter what became of a vote.
    fn answer(
        &mut self,
        vote: Vote,
        result: Result<(), Rejection>,
        http: &mut HttpServer,
        context: &mut Context<'_>,
    ) {
        let response = match result {
            Ok(()) => self.accept(vote.choice, vote.voter),
            Err(rejection) => self.reject(rejection, vote.voter),
        };
        http.respond(vote.exchange, &response, context);
    }
}

/// Whether the store has taken a vote.
fn taken(outcome: Outcome<'_>) -> Result<(), Rejection> {
    match outcome {
        Outcome::Reply(Reply::Integer(_)) => Ok(()),
        Outcome::Reply(reply) => {
            log::warn!("the store did not take a vote: {}", shown(reply));
            Err(Rejection::StoreError)
        }
        Outcome::Overdue => Err(Rejection::StoreSilent),
        Outcome::Lost => Err(Rejection::StoreAway),
    }
}

fn number(reply: &Reply<'_>) -> Option<i64> {
    match reply {
        Reply::Integer(number) => Some(*number),
        _ => None,
    }
}

/// A reply that should be a number, for the log: nothing of it that could be a voter's.
fn shown(reply: Reply<'_>) -> impl core::fmt::Display {
    match reply {
        Reply::Error(message) => without_arguments(message),
        _ => b"not with a number that can be one",
    }
    .escape_ascii()
}

/// The voter whom the cookie names, or a new one.
fn voter(request: &Request<'_>, context: &mut Context<'_>) -> Voter {
    request.cookie(COOKIE).and_then(Voter::parse).unwrap_or_else(|| Voter::random(context.entropy))
}

fn read_choice(request: &Request<'_>) -> Result<Choice, Rejection> {
    let field = form::field(request.header("content-type"), request.body, "vote");
    let text = field.map_err(|_| Rejection::NoForm)?.ok_or(Rejection::Missing)?;
    Choice::parse(&text).ok_or(Rejection::UnknownOption)
}
