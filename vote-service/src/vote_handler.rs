//! The request handler for votes: it reads forms, queues votes in the store, and answers when the store has them.
//!
//! It keeps no votes: if the store did not accept a vote, the voter is asked to send it again. If the connection to
//! the store was lost and the voter still has time, the handler queues the vote once more, as the same vote.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::net::IpAddr;
use core::time::Duration;

use kernel_app::client::backend_service::Backend;
use kernel_app::client::{Outcome, PENDING_MAX, Refusal, SendError, StoreClient, StoreLogin, StoreSendError};
use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Route};
use kernel_app::metrics::Exposition;
use kernel_app::network::Unreachable;
use kernel_app::{ConnectionId, Context, Instant, Usage};
use votes::{Choice, Entry, keys, sequence};
use wire::form;
use wire::resp::{Command, Reply};

use crate::copies::Copies;
use crate::epoch::{Epoch, Step};
use crate::gate::Gate;
use crate::pages::{ICON, Pages, STYLE};
use crate::rejection::Rejection;
use crate::responder::Responder;
use crate::sender::is_from_elsewhere;
use crate::ticket_queue::{Grant, TicketQueue, Vote, WAITING_MAX};
use crate::voter::{COOKIE, Id, Voter};

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
    /// To wait until its replicas have the votes.
    Copies,
    /// Whether its voter has voted before.
    Voter(Box<(Vote, IpAddr)>),
    /// How full it is.
    Memory,
    /// How many votes wait.
    QueueLength,
    /// To begin an epoch.
    Epoch(Step),
}

/// The votes under way, and the client of the store.
#[derive(Debug)]
pub struct VoteHandler {
    store: StoreClient<Asked>,
    epoch: Epoch,
    tickets: TicketQueue,
    copies: Copies,
    responder: Responder,
    commands: Commands,
}

/// What is sent for every vote, encoded once.
#[derive(Debug)]
struct Commands {
    /// Asks for the next ticket.
    ticket: Command,
    /// Queues the entry that follows.
    queue: Command,
}

impl VoteHandler {
    /// A handler that is not connected yet to the store, which it logs in to like this.
    pub fn new(pages: Pages, gate: Gate, copies: Copies, login: StoreLogin) -> Self {
        Self {
            store: StoreClient::new(login).with_trial(TRIAL),
            epoch: Epoch::default(),
            tickets: TicketQueue::default(),
            copies,
            responder: Responder::new(pages, gate),
            commands: Commands {
                ticket: Command::new(&[b"INCR", keys::TICKETS]),
                queue: Command::with_last(&[b"RPUSH", keys::QUEUE]),
            },
        }
    }

    fn vote(&mut self, request: &Request<'_>, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        let known = named_voter(request);
        let voter = known.unwrap_or_else(|| Voter::random(context.entropy));
        let taken = self.check(request, exchange, context).and_then(|choice| {
            let (id, deadline) = (Id::random(context.entropy), context.now + STORE_REPLY_WITHIN);
            let vote = Vote { exchange, voter, choice, id, deadline, sequence: None };
            if self.responder.gate.is_open() {
                return join(vote, &mut self.tickets);
            }
            let peer = context.connections.get(exchange.connection()).and_then(|it| it.peer_address);
            let address = self.responder.gate.address(request, peer);
            if known.is_some() {
                return self.look_up(vote, address, context);
            }
            self.responder.gate.admit(address, context.now)?;
            join(vote, &mut self.tickets)
        });
        match taken {
            Ok(()) => Answer::Later,
            Err(rejection) => Answer::Now(self.responder.reject(rejection, voter)),
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
        match self.epoch.trouble() {
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
        let fullness = &mut self.responder.gate.fullness;
        if self.store.admits().is_ok() && fullness.due_at().is_some_and(|at| at <= context.now) {
            fullness.asked(context.now);
            if self.store.inquire(MEMORY, Asked::Memory, STORE_REPLY_WITHIN, context).is_err() {
                fullness.missed();
            }
        }
        if core::mem::take(&mut self.responder.wants_queue_length) {
            // What is not asked now is asked with the next answer.
            let _ = self.store.inquire(QUEUE_LENGTH, Asked::QueueLength, STORE_REPLY_WITHIN, context);
        }
    }

    /// When the store is to be asked how full it is, while it can be.
    fn memory_due_at(&self) -> Option<Instant> {
        self.responder.gate.fullness.due_at().filter(|_| self.store.admits().is_ok())
    }

    /// Goes on with what an epoch begins with.
    fn begin_epoch(&mut self, context: &mut Context<'_>) {
        let Self { store, epoch, .. } = self;
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
        if !self.tickets.wants_ticket() || !self.epoch.has_begun() {
            return;
        }
        // Without the store, votes wait for its return until their time is up.
        let command = &self.commands.ticket;
        if self.store.send_encoded(command, None, Asked::Ticket, STORE_REPLY_WITHIN, context).is_ok() {
            self.tickets.asked();
        }
    }

    /// Queues the votes that have their sequence in time.
    fn queue_granted(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.give_up(http, context);
        let mut is_any_queued = false;
        while let Some(vote) = self.tickets.take_granted() {
            // Whoever has given up may have voted elsewhere since, and that vote must not be overridden by this one.
            let queued = if vote.exchange.is_abandoned(context.connections) {
                Err(Rejection::SenderEnded)
            } else {
                self.queue(vote, context).map_err(Rejection::from)
            };
            is_any_queued |= queued.is_ok();
            if let Err(rejection) = queued {
                self.responder.answer(vote, Err(rejection), http, context);
            }
        }
        if is_any_queued && self.copies.are_wanted() {
            let Self { store, copies, .. } = self;
            // Votes that are not asked about now are with the next ones, or run out of time.
            let _ =
                copies.command(|command| store.inquire(command, Asked::Copies, STORE_REPLY_WITHIN, context));
        }
    }

    fn queue(&mut self, vote: Vote, context: &mut Context<'_>) -> Result<(), StoreSendError> {
        let entry = Entry {
            voter_id: vote.voter.as_str().into(),
            choice: vote.choice,
            id: vote.id.as_str().into(),
            sequence: vote.sequence.unwrap_or_default(),
        };
        let entry = entry.to_json().ok_or(SendError::Busy)?;
        let within = vote.deadline.since(context.now);
        let command = &self.commands.queue;
        self.store.send_encoded(command, Some(entry.as_bytes()), Asked::Queue(vote), within, context)
    }

    /// Refuses the votes whose time is up.
    fn give_up(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        while let Some(vote) = self.tickets.take_overdue(context.now) {
            let reason = self.store.readiness().map_or_else(Rejection::from, |()| Rejection::StoreSilent);
            self.responder.answer(vote, Err(reason), http, context);
        }
        while let Some(vote) = self.copies.take_overdue(context.now) {
            self.responder.answer(vote, Err(Rejection::NotCopied), http, context);
        }
    }

    /// Votes of a connection that is gone, whose copies nobody will tell of, are queued once more as the same votes.
    fn recall(&mut self) {
        while let Some(vote) = self.copies.take() {
            self.tickets.rejoin(vote);
        }
    }

    /// Acts on what became of commands.
    fn take_outcomes(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        let Self { store, epoch, tickets, copies, responder, .. } = self;
        while let Some((asked, outcome)) = store.next_outcome(context) {
            match (asked, outcome) {
                (Asked::Ticket, Outcome::Answer(reply)) => match ticket(&reply).map(|it| tickets.grant(it)) {
                    Some(Grant::Granted) => {}
                    Some(Grant::WentBack) => epoch.renew(),
                    None => responder.refuse_waiting(reply, tickets, http, context),
                },
                (Asked::Ticket, Outcome::Overdue | Outcome::Lost) => tickets.missed(),
                (Asked::Epoch(step), outcome) => {
                    let begin = epoch.answered(step, outcome, context.now);
                    begin.into_iter().for_each(|begin| tickets.begin(begin));
                }
                (Asked::Queue(vote), Outcome::Lost) if vote.deadline > context.now => tickets.rejoin(vote),
                (Asked::Queue(vote), Outcome::Answer(Reply::Integer(_))) if copies.are_wanted() => {
                    copies.hold(vote);
                }
                (Asked::Copies, Outcome::Lost) => {}
                (Asked::Copies, outcome) => {
                    let result = copies.judge(outcome);
                    while let Some(vote) = copies.take() {
                        responder.answer(vote, result, http, context);
                    }
                }
                (Asked::Queue(vote), outcome) => {
                    let result = responder.taken(outcome, context.now);
                    responder.answer(vote, result, http, context);
                }
                (Asked::Voter(asked), outcome) => {
                    let (vote, address) = *asked;
                    let result = responder.let_in(address, outcome, context.now);
                    if let Err(rejection) = result.and_then(|()| join(vote, tickets)) {
                        responder.answer(vote, Err(rejection), http, context);
                    }
                }
                (Asked::Memory, Outcome::Answer(reply)) => {
                    responder.wants_queue_length = responder.gate.fullness.answered(reply);
                }
                (Asked::Memory, Outcome::Overdue | Outcome::Lost) => responder.gate.fullness.missed(),
                (Asked::QueueLength, Outcome::Answer(reply)) => responder.gate.fullness.queue_is(reply),
                (Asked::QueueLength, Outcome::Overdue | Outcome::Lost) => {}
            }
        }
    }
}

impl Backend for VoteHandler {
    const NAME: &'static str = "vote";

    fn is_backend(&self, id: ConnectionId) -> bool {
        self.store.is(id)
    }

    fn backend_opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.responder.gate.fullness.reached(context.now);
        self.epoch.renew();
        self.store.opened(id, context);
    }

    fn backend_unreachable(&mut self, reason: Unreachable) {
        self.store.unreachable(reason);
    }

    fn backend_ready(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.take_outcomes(http, context);
        self.queue_granted(http, context);
    }

    fn backend_closed(&mut self, id: ConnectionId, http: &mut HttpServer, context: &mut Context<'_>) {
        self.store.closed(id);
        self.take_outcomes(http, context);
        self.recall();
        self.epoch.end();
    }

    /// A vote that is not queued yet is not cast: its voter may have another answer from elsewhere by now.
    /// One that is queued is counted all the same; its answer finds nobody.
    fn forget(&mut self, exchange: Exchange) {
        self.tickets.leave(exchange);
    }

    /// Gives up on votes that the store has left waiting, asks for the ticket of those that have come, and
    /// tells the log of those that the store has taken.
    fn turn(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.take_outcomes(http, context);
        self.give_up(http, context);
        self.begin_epoch(context);
        self.ask_ticket(context);
        self.ask_memory(context);
        self.responder.log.turn(context.now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.store.next_deadline(),
            self.epoch.next_deadline(),
            self.tickets.next_deadline(),
            self.copies.next_deadline(),
            self.responder.log.next_deadline(),
            self.memory_due_at(),
        ];
        Instant::earliest(deadlines)
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.store.report_usage(report);
        report(Usage::new("votes that wait for a ticket", self.tickets.len(), WAITING_MAX));
        report(Usage::new("votes that wait for replicas", self.copies.len(), PENDING_MAX));
        self.responder.gate.report_usage(report);
    }
}

impl Handler for VoteHandler {
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
                Answer::Now(self.responder.show(voter))
            }
        }
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.store.explained_readiness()?;
        if self.responder.gate.fullness.is_exhausted() {
            return Err(self.store.explained(Refusal::OutOfMemory.as_str()).into());
        }
        match self.epoch.trouble() {
            Some(trouble) => Err(self.store.explained(trouble).into()),
            None => Ok(()),
        }
    }

    fn remark(&self) -> Option<Cow<'_, str>> {
        self.responder.gate.remark().map(Cow::Borrowed)
    }

    fn metrics(&self, exposition: &mut Exposition) {
        let accepted =
            |choice: Choice| ([("option", choice.as_str())], self.responder.accepted[choice.index()].value());
        let accepted = Choice::ALL.map(accepted);
        let samples = accepted.each_ref().map(|(labels, value)| (&labels[..], *value));
        exposition.counters("votes_accepted_total", "Votes that the store has taken.", &samples);
        let rejected = Rejection::ALL
            .map(|rejection| ([("reason", rejection.label())], self.responder.rejected.value(rejection)));
        let samples = rejected.each_ref().map(|(labels, value)| (&labels[..], *value));
        exposition.counters("votes_rejected_total", "Votes that were not acknowledged.", &samples);
        let ready = i64::from(self.store.readiness().is_ok());
        exposition.gauge("backend_ready", "1 while the store answers in time.", ready);
        let full = i64::from(self.responder.gate.remark().is_some());
        exposition.gauge("poll_full", "1 while there is no room for new voters.", full);
        let waiting = i64::try_from(self.tickets.len()).unwrap_or(i64::MAX);
        exposition.gauge("votes_waiting", "Votes that wait for a ticket from the store.", waiting);
        let pending = i64::try_from(self.store.pending()).unwrap_or(i64::MAX);
        exposition.gauge("store_pending_commands", "Commands that wait for the store's reply.", pending);
    }
}

fn join(vote: Vote, tickets: &mut TicketQueue) -> Result<(), Rejection> {
    if tickets.join(vote) { Ok(()) } else { Err(Rejection::StoreBusy) }
}

fn ticket(reply: &Reply<'_>) -> Option<u64> {
    match reply {
        Reply::Integer(number) => sequence::ticket(*number),
        _ => None,
    }
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
