//! The client side of one pipelined connection to the store, as every service that has one needs it.
//!
//! Matches replies to commands by their order, and gives up on commands whose reply is late without
//! losing that order. Does not dial (the runtime does) and knows nothing of what a command means.

mod error;
mod trouble;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use wire::resp::{Reply, parse_reply, write_command};
use wire::{Buffer, Instant};

use crate::connections::ConnectionId;
use crate::network::Unreachable;
use crate::pipeline::{PENDING_MAX, Pipeline};
use crate::service::Context;
use crate::store_login::StoreLogin;
use crate::usage::Usage;
pub use error::{Broken, Refusal, SendError};
use trouble::Trouble;
pub use trouble::{RETRY_MAX, RETRY_MIN};

/// A connection on which nothing is under way is tried with a `PING` this long after the last reply.
pub const PING_AFTER: Duration = Duration::from_secs(5);
/// How long the reply to a `PING` may take.
pub const PING_REPLY_WITHIN: Duration = Duration::from_millis(900);

/// What became of a command.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// The store answered; the answer may be an error reply.
    Reply(Reply<'a>),
    /// No reply in time. The store may still carry the command out.
    Overdue,
    /// The connection ended before the reply. The store may have carried the command out.
    Lost,
}

/// One pipelined connection; `T` tells the owner which of its commands an [`Outcome`] belongs to.
///
/// Every token that `send` accepts comes back exactly once, through the `deliver` argument of
/// [`ready`](Self::ready), [`closed`](Self::closed) or [`turn`](Self::turn).
#[derive(Debug)]
pub struct StoreClient<T> {
    login: StoreLogin,
    /// What the store must be able to do, tried when a connection is new or something was refused.
    trial: &'static [&'static [u8]],
    connection: Option<ConnectionId>,
    absence: Absence,
    trouble: Trouble,
    /// Commands of the login that have not succeeded yet.
    logins_left: usize,
    /// The store has answered on this connection: an accepted connection alone may be a proxy's.
    answered: bool,
    last_reply: Instant,
    pipeline: Pipeline<Sent<T>>,
}

#[derive(Debug)]
struct Sent<T> {
    /// None when nobody waits (any longer).
    token: Option<T>,
    purpose: Purpose,
}

/// What a command is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The owner's business.
    Owner,
    /// The owner's business, and so is an error.
    Inquiry,
    /// To be let in.
    Login,
    /// A sign of life.
    Sign,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// Nothing is known yet.
    New,
    Unreachable(Unreachable),
    Broken(Broken),
}

impl<T> Default for StoreClient<T> {
    fn default() -> Self {
        Self::new(StoreLogin::default())
    }
}

impl<T> StoreClient<T> {
    /// A client without a connection.
    pub const fn new(login: StoreLogin) -> Self {
        Self {
            login,
            trial: &[b"PING"],
            connection: None,
            absence: Absence::New,
            trouble: Trouble::new(),
            logins_left: 0,
            answered: false,
            last_reply: Instant::ZERO,
            pipeline: Pipeline::new(),
        }
    }

    /// The same, which tries this command instead of `PING`: one that tells whether the store is of use.
    #[must_use]
    pub fn with_trial(self, trial: &'static [&'static [u8]]) -> Self {
        Self { trial, ..self }
    }

    /// The runtime reached the store; logs in, and tries it.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.connection = Some(id);
        self.answered = false;
        self.last_reply = context.now;
        self.log_in(context);
    }

    /// The runtime could not reach the store.
    pub fn unreachable(&mut self, reason: Unreachable) {
        self.absence = Absence::Unreachable(reason);
    }

    /// Logs in, once more if need be. Nothing else is sent before that has succeeded: it might be done in
    /// another database than the one that is meant.
    fn log_in(&mut self, context: &mut Context<'_>) {
        self.trouble.begin_round();
        self.logins_left = 0;
        let login = core::mem::take(&mut self.login);
        // Always fits: nothing waits.
        let _ = login.commands(|args| {
            self.logins_left += 1;
            self.enqueue(args, None, Purpose::Login, PING_REPLY_WITHIN, context)
        });
        self.login = login;
        if self.logins_left == 0 {
            self.try_store(context);
        }
    }

    fn try_store(&mut self, context: &mut Context<'_>) {
        // Always fits: nothing waits.
        let _ = self.enqueue(self.trial, None, Purpose::Sign, PING_REPLY_WITHIN, context);
    }

    /// Whether this is the connection to the store.
    pub fn is(&self, id: ConnectionId) -> bool {
        self.connection == Some(id)
    }

    /// How much of what is bounded here is in use.
    pub fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        tell(Usage::new("commands that wait for the store", self.pipeline.len(), PENDING_MAX));
        tell(Usage::new("overdue commands", self.pipeline.overdue(), self.pipeline.len()));
    }

    /// How many commands wait for their replies.
    pub fn pending(&self) -> usize {
        self.pipeline.len()
    }

    /// Whether the store has answered on this connection, refuses nothing, and owes nothing that is overdue.
    ///
    /// # Errors
    /// Why a command sent now would fail or be in doubt.
    pub fn readiness(&self) -> Result<(), SendError> {
        match (self.connection, self.trouble.refusal()) {
            (None, Some(refusal)) if self.absence == Absence::Broken(Broken::Ended) => {
                Err(SendError::Refused(refusal))
            }
            (None, _) => Err(self.away()),
            (Some(_), Some(refusal)) => Err(SendError::Refused(refusal)),
            (Some(_), None) if self.pipeline.overdue() > 0 => Err(SendError::Silent),
            (Some(_), None) if self.answered => Ok(()),
            (Some(_), None) => Err(self.away()),
        }
    }

    /// The same in words for operators, with the setting that they can mend.
    ///
    /// # Errors
    /// Why a command sent now would fail or be in doubt.
    pub fn explained_readiness(&self) -> Result<(), Cow<'static, str>> {
        self.readiness().map_err(|error| self.explained(error.as_str()).into())
    }

    /// A reason, with the setting that leads to the store.
    pub fn explained(&self, reason: &str) -> String {
        format!("{}: {reason}", self.login.setting)
    }

    /// Whether a command can be sent.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self) -> Result<(), SendError> {
        match (self.connection, self.trouble.refusal()) {
            (None, _) => Err(self.away()),
            (Some(_), Some(refusal)) if refusal.is_final() => Err(SendError::Refused(refusal)),
            (Some(_), _) if self.pipeline.overdue() > 0 => Err(SendError::Silent),
            (Some(_), _) if self.logins_left > 0 => Err(SendError::Away),
            (Some(_), _) => Ok(()),
        }
    }

    fn away(&self) -> SendError {
        match self.absence {
            Absence::New => SendError::Away,
            Absence::Unreachable(reason) => SendError::Unreachable(reason),
            Absence::Broken(broken) => SendError::Broken(broken),
        }
    }

    /// Sends a command whose reply is wanted within `reply_within`.
    ///
    /// Replies come in order, so a command waits at least as long as those before it.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn send(
        &mut self,
        args: &[&[u8]],
        token: T,
        reply_within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), SendError> {
        self.admits()?;
        self.enqueue(args, Some(token), Purpose::Owner, reply_within, context)
    }

    /// The same for a command whose refusal says nothing about the store, or is told by the owner.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn inquire(
        &mut self,
        args: &[&[u8]],
        token: T,
        reply_within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), SendError> {
        self.admits()?;
        self.enqueue(args, Some(token), Purpose::Inquiry, reply_within, context)
    }

    /// Sends commands that the store is to carry out as one, all of them or none; the outcome is that of `EXEC`.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn send_transaction<'a>(
        &mut self,
        commands: impl IntoIterator<Item = &'a [&'a [u8]]>,
        token: T,
        reply_within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), SendError> {
        self.admits()?;
        let mark = self.mark(context);
        let sent = self
            .enqueue(&[b"MULTI"], None, Purpose::Owner, reply_within, context)
            .and_then(|()| {
                commands
                    .into_iter()
                    .try_for_each(|args| self.enqueue(args, None, Purpose::Owner, reply_within, context))
            })
            .and_then(|()| self.enqueue(&[b"EXEC"], Some(token), Purpose::Owner, reply_within, context));
        if sent.is_err() {
            // A part of it would leave the connection inside of a transaction.
            self.take_back(mark, context);
        }
        sent
    }

    /// Takes the replies that have arrived.
    pub fn ready(
        &mut self,
        context: &mut Context<'_>,
        mut deliver: impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) {
        let Some(id) = self.connection else { return };
        let taken = context.with_input(id, |input, context| self.take_replies(input, context, &mut deliver));
        let has_ended = context.connections.get(id).is_some_and(|connection| connection.input_ended);
        let result = match taken {
            Some(Ok(())) if has_ended => Err(Broken::Ended),
            Some(result) => result,
            None => return,
        };
        if let Err(broken) = result {
            self.drop_connection(broken, context, &mut deliver);
        }
    }

    /// The connection ended: all that wait are [`Outcome::Lost`].
    pub fn closed(
        &mut self,
        id: ConnectionId,
        context: &mut Context<'_>,
        mut deliver: impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) {
        if self.is(id) {
            self.lose_all(Broken::Ended, context, &mut deliver);
        }
    }

    /// Gives up on what is overdue, and tries a connection that has been quiet.
    pub fn turn(
        &mut self,
        context: &mut Context<'_>,
        mut deliver: impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) {
        while let Some(sent) = self.pipeline.give_up(context.now) {
            if let Some(token) = sent.token.take() {
                deliver(token, Outcome::Overdue, context);
            }
        }
        if self.pipeline.drop_at().is_some_and(|at| at <= context.now) {
            self.drop_connection(Broken::Overdue, context, &mut deliver);
        } else if self.retry_at().is_some_and(|at| at <= context.now) {
            self.log_in(context);
        } else if self.ping_at().is_some_and(|at| at <= context.now) {
            self.ping(context);
        }
    }

    /// When `turn` has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let of_pipeline = [self.pipeline.reply_deadline(), self.pipeline.drop_at()];
        of_pipeline.into_iter().chain([self.retry_at(), self.ping_at()]).flatten().min()
    }

    fn ping_at(&self) -> Option<Instant> {
        (self.connection.is_some() && self.pipeline.is_empty() && self.trouble.retry_at().is_none())
            .then(|| self.last_reply + PING_AFTER)
    }

    fn retry_at(&self) -> Option<Instant> {
        self.trouble.retry_at().filter(|_| self.connection.is_some() && self.pipeline.is_empty())
    }

    fn ping(&mut self, context: &mut Context<'_>) {
        // A connection that cannot take a PING has commands waiting, whose deadlines do its work.
        let _ = self.enqueue(&[b"PING"], None, Purpose::Sign, PING_REPLY_WITHIN, context);
    }

    fn enqueue(
        &mut self,
        args: &[&[u8]],
        token: Option<T>,
        purpose: Purpose,
        reply_within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), SendError> {
        let id = self.connection.ok_or(SendError::Away)?;
        if self.pipeline.is_full() {
            return Err(SendError::Busy);
        }
        let connection = context.connections.get_mut(id).ok_or(SendError::Away)?;
        write_command(&mut connection.output, args).map_err(|_| SendError::Busy)?;
        self.pipeline.push(Sent { token, purpose }, context.now + reply_within);
        Ok(())
    }

    /// What was sent until now: bytes and commands.
    fn mark(&self, context: &mut Context<'_>) -> (usize, usize) {
        let connection = self.connection.and_then(|id| context.connections.get_mut(id));
        (connection.map_or(0, |connection| connection.output.len()), self.pipeline.len())
    }

    /// Takes back what was sent since that mark, all of it in this call and so still in the output.
    fn take_back(&mut self, (bytes, commands): (usize, usize), context: &mut Context<'_>) {
        self.pipeline.truncate(commands);
        if let Some(connection) = self.connection.and_then(|id| context.connections.get_mut(id)) {
            connection.output.truncate(bytes);
        }
    }

    fn take_replies(
        &mut self,
        input: &mut Buffer,
        context: &mut Context<'_>,
        deliver: &mut impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) -> Result<(), Broken> {
        while !input.is_empty() {
            let (reply, length) = match parse_reply(input.as_slice()) {
                Ok(Some(parsed)) => parsed,
                Ok(None) if input.space() == 0 => return Err(Broken::TooLarge),
                Ok(None) => return Ok(()),
                Err(_) => return Err(Broken::NotResp),
            };
            let sent = self.pipeline.answered().ok_or(Broken::Unasked)?;
            self.last_reply = context.now;
            match &reply {
                Reply::Error(_) if sent.purpose == Purpose::Inquiry => {}
                Reply::Error(message) => self.note_refusal(sent.purpose, message, context),
                _ => self.note_success(&sent, context),
            }
            if let Some(token) = sent.token {
                deliver(token, Outcome::Reply(reply), context);
            }
            input.consume(length);
        }
        Ok(())
    }

    fn note_success(&mut self, sent: &Sent<T>, context: &mut Context<'_>) {
        match sent.purpose {
            Purpose::Owner if sent.token.is_some() => self.trouble.succeeded(),
            Purpose::Owner | Purpose::Inquiry => return,
            Purpose::Login => {
                self.logins_left -= 1;
                return if self.logins_left == 0 {
                    self.try_store(context)
                };
            }
            Purpose::Sign => self.trouble.end_round(),
        }
        if !self.answered && self.trouble.refusal().is_none() {
            self.answered = true;
            log::info!("{}: the store answers", self.login.setting);
        }
    }

    fn note_refusal(&mut self, purpose: Purpose, message: &[u8], context: &mut Context<'_>) {
        let refusal = Refusal::of(message, purpose == Purpose::Login);
        // `EXECABORT` follows the error that says why.
        if !message.starts_with(b"EXECABORT") && self.trouble.note(refusal, context.now, context.entropy) {
            let message = without_arguments(message).escape_ascii();
            log::warn!("{}: {}; it says: {message}", self.login.setting, refusal.as_str());
        }
    }

    fn drop_connection(
        &mut self,
        broken: Broken,
        context: &mut Context<'_>,
        deliver: &mut impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) {
        if let Some(id) = self.connection {
            context.connections.abort(id);
        }
        self.lose_all(broken, context, deliver);
    }

    fn lose_all(
        &mut self,
        broken: Broken,
        context: &mut Context<'_>,
        deliver: &mut impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) {
        // Once, while it happens again and again; and that it ended says less than why it was of no use.
        let is_news = match self.absence {
            Absence::Broken(before) if !self.answered => broken != before && broken != Broken::Ended,
            _ => true,
        };
        if is_news {
            let (setting, unanswered) = (self.login.setting, self.pipeline.len());
            log::warn!("{setting}: connection lost: {}; {unanswered} unanswered", broken.as_str());
            self.absence = Absence::Broken(broken);
        }
        self.answered = false;
        self.connection = None;
        while let Some(sent) = self.pipeline.lose() {
            if let Some(token) = sent.token {
                deliver(token, Outcome::Lost, context);
            }
        }
    }
}

/// An error without the arguments that it may quote, which can be a voter's id.
pub fn without_arguments(message: &[u8]) -> &[u8] {
    const QUOTED: &[u8] = b", with args";
    let end = message.windows(QUOTED.len()).position(|window| window == QUOTED);
    &message[..end.unwrap_or(message.len())]
}

#[cfg(test)]
mod tests;
