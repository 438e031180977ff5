//! The answers to voters, and the matching entries of log and metrics.
//!
//! It sends nothing to the store: the handler passes it the store's replies.

use core::net::IpAddr;

use kernel_app::client::Outcome;
use kernel_app::client::resp::{StoreOutcome, without_arguments};
use kernel_app::http::{HttpServer, Response};
use kernel_app::metrics::Counter;
use kernel_app::pace::LogPace;
use kernel_app::{Context, Instant};
use votes::Choice;
use wire::resp::Reply;

use crate::gate::Gate;
use crate::pages::Pages;
use crate::rejection::{Rejection, Rejections, Told};
use crate::ticket_queue::{TicketQueue, Vote};
use crate::vote_log::VoteLog;
use crate::voter::{CookieLine, Voter};

/// The counts of answers, and when the next line may be logged.
#[derive(Debug)]
pub struct Responder {
    /// Whether new voters are let in.
    pub gate: Gate,
    pages: Pages,
    cookie: CookieLine,
    /// Votes that the store has taken.
    pub accepted: [Counter; 2],
    /// What the log says of votes.
    pub log: VoteLog,
    /// Votes that were not acknowledged.
    pub rejected: Rejections,
    /// For what the log says of tickets and of votes that the store refuses.
    log_paces: [LogPace; 2],
    /// The store is full: it is to be asked how many votes wait.
    pub wants_queue_length: bool,
}

impl Responder {
    /// What answers with these pages.
    pub fn new(pages: Pages, gate: Gate) -> Self {
        let (accepted, log, rejected, log_paces) = Default::default();
        let cookie = CookieLine::new();
        Self { gate, pages, cookie, accepted, log, rejected, log_paces, wants_queue_length: false }
    }

    /// The page of a voter who has not voted yet.
    pub fn show(&mut self, voter: Voter) -> Response<'_> {
        self.pages.fresh().with_cookie(self.cookie.of(voter))
    }

    fn accept(&mut self, choice: Choice, voter: Voter) -> Response<'_> {
        self.log.note(choice);
        self.gate.fullness.note_vote();
        self.accepted[choice.index()].increment();
        self.pages.voted(choice).with_cookie(self.cookie.of(voter))
    }

    /// The answer to a vote that was not counted.
    pub fn reject(&mut self, rejection: Rejection, voter: Voter) -> Response<'_> {
        self.rejected.count(rejection);
        match rejection.told() {
            Told::Fault(fault) => Response::text(400, fault),
            Told::Page(notice) => {
                self.log.note_refusal(rejection);
                let cookie = if notice.names_voter() { self.cookie.of(voter) } else { &[] };
                self.pages.refused(notice).with_cookie(cookie)
            }
        }
    }

    /// Refuses the votes that the store has given no ticket.
    pub fn refuse_waiting(
        &mut self,
        reply: Reply<'_>,
        tickets: &mut TicketQueue,
        http: &mut HttpServer,
        context: &mut Context<'_>,
    ) {
        if self.log_paces[0].allows(context.now) {
            log::warn!("the store gives no ticket: {}", shown(reply));
        }
        let rejection = self.refused(reply);
        while let Some(vote) = tickets.take_refused() {
            self.answer(vote, Err(rejection), http, context);
        }
    }

    /// Lets somebody in who has voted before, or who may as a new voter.
    pub fn let_in(
        &mut self,
        address: IpAddr,
        outcome: StoreOutcome<'_>,
        now: Instant,
    ) -> Result<(), Rejection> {
        let has_voted = match outcome {
            Outcome::Answer(Reply::Array(mut items)) => items.any(|item| matches!(item, Reply::Bulk(_))),
            Outcome::Answer(reply) => return Err(self.refused(reply)),
            Outcome::Overdue => return Err(Rejection::StoreSilent),
            Outcome::Lost => return Err(Rejection::StoreAway),
        };
        if has_voted { Ok(()) } else { self.gate.admit(address, now) }
    }

    /// Whether the store has taken a vote.
    pub fn taken(&mut self, outcome: StoreOutcome<'_>, now: Instant) -> Result<(), Rejection> {
        match outcome {
            Outcome::Answer(Reply::Integer(_)) => Ok(()),
            Outcome::Answer(reply) => {
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
    pub fn answer(
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

/// A reply that should be a number, for the log: nothing of it that could be a voter's.
fn shown(reply: Reply<'_>) -> impl core::fmt::Display {
    match reply {
        Reply::Error(message) => without_arguments(message),
        _ => b"not with a number that can be one",
    }
    .escape_ascii()
}
