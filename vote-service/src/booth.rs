//! The voting booth: takes forms, queues votes in the store, and answers once the store has them.
//!
//! Keeps no votes: what the store did not take, the voter is told to send again. While the voter has time,
//! a vote whose connection to the store was lost is queued once more, as the same vote.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::net::IpAddr;
use core::time::Duration;

use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use kernel_app::metrics::{Counter, Exposition};
use kernel_app::network::Unreachable;
use kernel_app::pace::LogPace;
use kernel_app::store_backed::StoreUser;
use kernel_app::store_client::{Outcome, Refusal, SendError, StoreClient, without_arguments};
use kernel_app::store_login::StoreLogin;
use kernel_app::{ConnectionId, Context, Instant, Usage};
use votes::{Choice, Entry, keys, sequence};
use wire::form;
use wire::resp::Reply;

use crate::epoch::{Epoch, Step};
use crate::gate::Gate;
use crate::journal::Journal;
use crate::pages::{ICON, Pages, STYLE};
use crate::rejection::{Rejection, Rejections, Told};
use crate::sender::is_from_elsewhere;
use crate::voter::{COOKIE, CookieLine, Id, Voter};
use crate::waiting::{Grant, Vote, WAITING_MAX, Waiting};

/// How long the store may take for a vote: the voter has an answer within a second.
pub const STORE_REPLY_WITHIN: Duration = Duration::from_millis(900);

/// What tells at once whether a store takes votes: one that is read-only or full refuses it. The ticket that
/// it gives is nobody's.
const TRIAL: &[&[u8]] = &[b"INCR", keys::TICKETS];

const STYLE_PATH: &str = "/static/style.css";
const ICON_PATH: &str = "/static/icon.svg";
const ROUTES: &[Route] = &[
    Route { path: "/", methods: &[Method::Get, Method::Post] },
    Route { path: STYLE_PATH, methods: &[Method::Get] },
    Route { path: ICON_PATH, methods: &[Method::Get] },
];

/// How full the store is, and how much of that waits to be counted.
const MEMORY: &[&[u8]] = &[b"INFO", b"memory"];
const QUEUE_LENGTH: &[&[u8]] = &[b"LLEN", keys::QUEUE];

/// What the store was asked for.
#[derive(Debug)]
enum Asked {
    /// The next ticket.
    Ticket,
    /// To queue a vote.
    Queue(Vote),
    /// Whether its voter has voted before.
    Voter(Box<(Vote, IpAddr)>),
    /// How full it is.
    Memory,
    /// How many votes wait.
    QueueLength,
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
    gate: Gate,
    pages: Pages,
    cookie: CookieLine,
    accepted: [Counter; 2],
    journal: Journal,
    rejected: Rejections,
    /// For what the log says of tickets and of votes that the store refuses.
    log_paces: [LogPace; 2],
    wants_queue_length: bool,
}

impl Booth {
    /// A booth that is not connected yet to the store, which it logs in to like this.
    pub fn new(pages: Pages, gate: Gate, login: StoreLogin) -> Self {
        let (accepted, journal, rejected, log_paces) = Default::default();
        let cookie = CookieLine::new();
        let desk =
            Desk { gate, pages, cookie, accepted, journal, rejected, log_paces, wants_queue_length: false };
        Self { store: StoreClient::new(login).with_trial(TRIAL), line: Line::default(), desk }
    }

    fn vote(&mut self, request: &Request<'_>, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        let known = named_voter(request);
        let voter = known.unwrap_or_else(|| Voter::random(context.entropy));
        let taken = self.check(request, exchange, context).and_then(|choice| {
            let (id, deadline) = (Id::random(context.entropy), context.now + STORE_REPLY_WITHIN);
            let vote = Vote { exchange, voter, choice, id, deadline, sequence: None };
            if self.desk.gate.is_open() {
                return join(vote, &mut self.line.waiting);
            }
            let peer = context.connections.get(exchange.connection()).and_then(|it| it.peer_address);
            let address = self.desk.gate.address(request, peer);
            if known.is_some() {
                return self.look_up(vote, address, context);
            }
            self.desk.gate.admit(address, context.now)?;
            join(vote, &mut self.line.waiting)
        });
        match taken {
            Ok(()) => Answer::Later,
            Err(rejection) => Answer::Now(self.desk.reject(rejection, voter)),
        }
    }

    /// Whether a request is a vote that can be cast now, and for what.
    fn check(
        &self,
        request: &Request<'_>,
        exchange: Exchange,
        context: &Context<'_>,
    ) -> Result<Choice, Rejection> {
        if is_from_elsewhere(request) {
            return Err(Rejection::Foreign);
        }
        let choice = read_choice(request)?;
        if exchange.is_abandoned(context.connections) {
            return Err(Rejection::SenderEnded);
        }
        self.store.admits()?;
        match self.line.epoch.trouble() {
            Some(_) => Err(Rejection::StoreError),
            None => Ok(choice),
        }
    }

    /// Asks whether somebody has voted, in both hashes at once: a worker may move the voter in between.
    fn look_up(&mut self, vote: Vote, address: IpAddr, context: &mut Context<'_>) -> Result<(), Rejection> {
        let voter = vote.voter;
        let commands = keys::RESULTS.map(|hash| [b"HGET", hash, voter.as_str().as_bytes()]);
        let commands = commands.iter().map(|command| &command[..]);
        let asked = Asked::Voter(Box::new((vote, address)));
        Ok(self.store.send_transaction(commands, asked, STORE_REPLY_WITHIN, context)?)
    }

    /// Asks how full the store is, when it is time.
    fn ask_memory(&mut self, context: &mut Context<'_>) {
        let fullness = &mut self.desk.gate.fullness;
        if self.store.admits().is_ok() && fullness.due_at().is_some_and(|at| at <= context.now) {
            fullness.asked(context.now);
            if self.store.inquire(MEMORY, Asked::Memory, STORE_REPLY_WITHIN, context).is_err() {
                fullness.missed();
            }
        }
        if core::mem::take(&mut self.desk.wants_queue_length) {
            // What is not asked now is asked with the next answer.
            let _ = self.store.inquire(QUEUE_LENGTH, Asked::QueueLength, STORE_REPLY_WITHIN, context);
        }
    }

    /// When the store is to be asked how full it is, while it can be.
    fn memory_due_at(&self) -> Option<Instant> {
        self.desk.gate.fullness.due_at().filter(|_| self.store.admits().is_ok())
    }

    /// Goes on with what an epoch begins with.
    fn begin_epoch(&mut self, context: &mut Context<'_>) {
        let Self { store, line: Line { epoch, .. }, .. } = self;
        let Some(step) = epoch.next_step(context.now, context.entropy) else { return };
        let sent = epoch
            .command(step, |command| store.inquire(command, Asked::Epoch(step), STORE_REPLY_WITHIN, context));
        match sent {
            Ok(()) => epoch.asked(),
            Err(_) => epoch.postpone(context.now),
        }
    }

    /// Asks for a ticket for the votes that came since the last was asked for.
    fn ask_ticket(&mut self, context: &mut Context<'_>) {
        if !self.line.waiting.wants_ticket() || !self.line.epoch.has_begun() {
            return;
        }
        // Without the store, votes wait for its return until their time is up.
        let command: [&[u8]; 2] = [b"INCR", keys::TICKETS];
        if self.store.send(&command, Asked::Ticket, STORE_REPLY_WITHIN, context).is_ok() {
            self.line.waiting.asked();
        }
    }

    /// Queues the votes that have their sequence in time.
    fn queue_granted(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.give_up(http, context);
        while let Some(vote) = self.line.waiting.take_granted() {
            // Whoever has given up may have voted elsewhere since, and that vote must not be overridden by this one.
            let queued = if vote.exchange.is_abandoned(context.connections) {
                Err(Rejection::SenderEnded)
            } else {
                self.queue(vote, context).map_err(Rejection::from)
            };
            if let Err(rejection) = queued {
                self.desk.answer(vote, Err(rejection), http, context);
            }
        }
    }

    fn queue(&mut self, vote: Vote, context: &mut Context<'_>) -> Result<(), SendError> {
        let entry = Entry {
            voter_id: vote.voter.as_str().into(),
            choice: vote.choice,
            id: vote.id.as_str().into(),
            sequence: vote.sequence.unwrap_or_default(),
        };
        let entry = entry.to_json().ok_or(SendError::Busy)?;
        let command: [&[u8]; 3] = [b"RPUSH", keys::QUEUE, entry.as_bytes()];
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
        self.desk.gate.fullness.reached(context.now);
        self.line.epoch.renew();
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
        self.ask_memory(context);
        self.desk.journal.turn(context.now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let Line { epoch, waiting } = &self.line;
        let deadlines = [
            self.store.next_deadline(),
            epoch.next_deadline(),
            waiting.next_deadline(),
            self.desk.journal.next_deadline(),
            self.memory_due_at(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        self.store.usages(tell);
        tell(Usage::new("votes that wait for a ticket", self.line.waiting.len(), WAITING_MAX));
        self.desk.gate.usages(tell);
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
            _ => {
                let voter = named_voter(request).unwrap_or_else(|| Voter::random(context.entropy));
                Answer::Now(self.desk.show(voter))
            }
        }
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.store.explained_readiness()?;
        if self.desk.gate.fullness.is_exhausted() {
            return Err(self.store.explained(Refusal::OutOfMemory.as_str()).into());
        }
        match self.line.epoch.trouble() {
            Some(trouble) => Err(self.store.explained(trouble).into()),
            None => Ok(()),
        }
    }

    fn remark(&self) -> Option<Cow<'_, str>> {
        self.desk.gate.remark().map(Cow::Borrowed)
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
        let full = i64::from(self.desk.gate.remark().is_some());
        exposition.gauge("poll_full", "1 while there is no room for new voters.", full);
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
        self.gate.fullness.note_vote();
        self.accepted[choice.index()].increment();
        self.pages.voted(choice).with_cookie(Some(self.cookie.of(voter)))
    }

    fn reject(&mut self, rejection: Rejection, voter: Voter) -> Response<'_> {
        self.rejected.count(rejection);
        match rejection.told() {
            Told::Fault(fault) => Response::text(400, fault),
            Told::Page(notice) => {
                self.journal.note_refusal(rejection);
                let cookie = notice.names_voter().then(|| self.cookie.of(voter));
                self.pages.refused(notice).with_cookie(cookie)
            }
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
                let Some(ticket) = number(&reply).and_then(sequence::ticket) else {
                    return self.refuse_waiting(reply, waiting, http, context);
                };
                if waiting.grant(ticket) == Grant::WentBack {
                    epoch.renew();
                }
            }
            (Asked::Epoch(step), outcome) => {
                epoch.answered(step, outcome, context.now).into_iter().for_each(|begin| waiting.begin(begin))
            }
            (Asked::Ticket, Outcome::Overdue | Outcome::Lost) => waiting.missed(),
            (Asked::Queue(vote), Outcome::Lost) if vote.deadline > context.now => waiting.rejoin(vote),
            (Asked::Queue(vote), outcome) => {
                let result = self.taken(outcome, context.now);
                self.answer(vote, result, http, context);
            }
            (Asked::Voter(asked), outcome) => {
                let (vote, address) = *asked;
                let result = self.let_in(&vote, address, outcome, waiting, context);
                if let Err(rejection) = result {
                    self.answer(vote, Err(rejection), http, context);
                }
            }
            (Asked::Memory, Outcome::Reply(reply)) => {
                self.wants_queue_length = self.gate.fullness.answered(reply);
            }
            (Asked::Memory, Outcome::Overdue | Outcome::Lost) => self.gate.fullness.missed(),
            (Asked::QueueLength, Outcome::Reply(reply)) => self.gate.fullness.queue_is(reply),
            (Asked::QueueLength, Outcome::Overdue | Outcome::Lost) => {}
        }
    }

    /// Refuses the votes that the store has given no ticket.
    fn refuse_waiting(
        &mut self,
        reply: Reply<'_>,
        waiting: &mut Waiting,
        http: &mut HttpServer,
        context: &mut Context<'_>,
    ) {
        if self.log_paces[0].allows(context.now) {
            log::warn!("the store gives no ticket: {}", shown(reply));
        }
        let rejection = self.refused(reply);
        while let Some(vote) = waiting.take_refused() {
            self.answer(vote, Err(rejection), http, context);
        }
    }

    /// Lets a vote join those that wait if its voter has voted before, or may as a new one.
    fn let_in(
        &mut self,
        vote: &Vote,
        address: IpAddr,
        outcome: Outcome<'_>,
        waiting: &mut Waiting,
        context: &Context<'_>,
    ) -> Result<(), Rejection> {
        let has_voted = match outcome {
            Outcome::Reply(Reply::Array(mut items)) => items.any(|item| matches!(item, Reply::Bulk(_))),
            Outcome::Reply(reply) => return Err(self.refused(reply)),
            Outcome::Overdue => return Err(Rejection::StoreSilent),
            Outcome::Lost => return Err(Rejection::StoreAway),
        };
        if !has_voted {
            self.gate.admit(address, context.now)?;
        }
        join(*vote, waiting)
    }

    /// Whether the store has taken a vote.
    fn taken(&mut self, outcome: Outcome<'_>, now: Instant) -> Result<(), Rejection> {
        match outcome {
            Outcome::Reply(Reply::Integer(_)) => Ok(()),
            Outcome::Reply(reply) => {
                if self.log_paces[1].allows(now) {
                    log::warn!("the store did not take a vote: {}", shown(reply));
                }
                Err(self.refused(reply))
            }
            Outcome::Overdue => Err(Rejection::StoreSilent),
            Outcome::Lost => Err(Rejection::StoreAway),
        }
    }

    /// Why a vote is refused to which the store has replied this.
    fn refused(&mut self, reply: Reply<'_>) -> Rejection {
        match reply {
            Reply::Error(message) if message.starts_with(b"OOM") => {
                self.gate.fullness.note_exhaustion();
                Rejection::StoreFull
            }
            _ => Rejection::StoreError,
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

fn join(vote: Vote, waiting: &mut Waiting) -> Result<(), Rejection> {
    if waiting.join(vote) { Ok(()) } else { Err(Rejection::StoreBusy) }
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

/// The voter whom the cookie names.
fn named_voter(request: &Request<'_>) -> Option<Voter> {
    request.cookie(COOKIE).and_then(Voter::parse)
}

fn read_choice(request: &Request<'_>) -> Result<Choice, Rejection> {
    let field = form::field(request.header_bytes("content-type"), request.body, "vote");
    let text = field.map_err(|_| Rejection::NoForm)?.ok_or(Rejection::Missing)?;
    Choice::parse(&text).ok_or(Rejection::UnknownOption)
}
