//! The client side of one pipelined connection to the store, as every service that has one needs it.
//!
//! Matches replies to commands by their order, and gives up on commands whose reply is late without
//! losing that order. Does not dial (the runtime does) and knows nothing of what a command means.

use alloc::collections::VecDeque;
use core::fmt;
use core::time::Duration;

use wire::resp::{Reply, parse_reply, write_command};
use wire::{Buffer, Instant};

use crate::connections::ConnectionId;
use crate::secret::Secret;
use crate::service::Context;
use crate::usage::Usage;

/// Most commands that wait for their replies; more are refused.
pub const PENDING_COMMANDS_MAX: usize = 4096;
/// A connection on which nothing is under way is tried with a `PING` this long after the last reply.
pub const PING_AFTER: Duration = Duration::from_secs(5);
/// How long the reply to a `PING` may take.
pub const PING_REPLY_WITHIN: Duration = Duration::from_millis(900);
/// A connection whose oldest reply is overdue for this long is dropped, so that it is dialled anew.
pub const OVERDUE_MAX: Duration = Duration::from_secs(3);

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

/// Why a command was not sent. It has had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// There is no connection to the store.
    Away,
    /// The store wants another password, or one at all.
    Refused,
    /// The store owes replies that are overdue.
    Silent,
    /// Too many commands, or too many bytes, wait already.
    Busy,
}

impl SendError {
    /// The same as [`Display`](fmt::Display) says.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away => "the store is away: no connection; is it running, and is REDIS_URL right?",
            Self::Refused => {
                "the store refuses the password: is it that of REQUIREPASS in redis://:password@host of \
                 REDIS_URL?"
            }
            Self::Silent => "the store is silent: connected, but its replies are overdue",
            Self::Busy => "the store is busy: too many commands wait for it",
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for SendError {}

/// One pipelined connection; `T` tells the owner which of its commands an [`Outcome`] belongs to.
///
/// Every token that `send` accepts comes back exactly once, through the `deliver` argument of
/// [`ready`](Self::ready), [`closed`](Self::closed) or [`turn`](Self::turn).
#[derive(Debug)]
pub struct StoreClient<T> {
    password: Option<Secret>,
    connection: Option<ConnectionId>,
    /// The store wants another password, or one at all.
    refused: bool,
    /// The store has answered on this connection: an accepted connection alone may be a proxy's.
    answered: bool,
    last_reply: Instant,
    pending: VecDeque<Pending<T>>,
    /// How many at the front of `pending` were given up; their replies are still to come.
    overdue: usize,
}

#[derive(Debug)]
struct Pending<T> {
    /// None when nobody waits (any longer).
    token: Option<T>,
    deadline: Instant,
}

/// Why a connection that was open is of no more use.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Ended,
    NotResp,
    TooLarge,
    Unasked,
    Overdue,
}

impl Broken {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "the store closed the connection",
            Self::NotResp => "what answers is not RESP: is REDIS_URL a Redis port?",
            Self::TooLarge => "a reply is larger than the input may be",
            Self::Unasked => "a reply came that nobody asked for",
            Self::Overdue => "no replies",
        }
    }
}

impl<T> Default for StoreClient<T> {
    fn default() -> Self {
        Self::new(None)
    }
}

impl<T> StoreClient<T> {
    /// A client without a connection, of a store with this password.
    pub const fn new(password: Option<Secret>) -> Self {
        Self {
            password,
            connection: None,
            refused: false,
            answered: false,
            last_reply: Instant::ZERO,
            pending: VecDeque::new(),
            overdue: 0,
        }
    }

    /// The runtime reached the store; tells it the password, and asks it for a first sign of life.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.connection = Some(id);
        self.answered = false;
        self.refused = false;
        self.last_reply = context.now;
        if let Some(password) = self.password.take() {
            // Always fits: nothing else was sent yet.
            let _ = self.enqueue(&[b"AUTH", password.as_bytes()], None, PING_REPLY_WITHIN, context);
            self.password = Some(password);
        }
        self.ping(context);
    }

    /// Whether this is the connection to the store.
    pub fn is(&self, id: ConnectionId) -> bool {
        self.connection == Some(id)
    }

    /// How much of what is bounded here is in use.
    pub fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        tell(Usage::new("commands that wait for the store", self.pending.len(), PENDING_COMMANDS_MAX));
        tell(Usage::new("overdue commands", self.overdue, self.pending.len()));
    }

    /// How many commands wait for their replies.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether the store has answered on this connection and owes nothing that is overdue.
    ///
    /// # Errors
    /// Why a command sent now would fail or be in doubt.
    pub fn readiness(&self) -> Result<(), SendError> {
        match self.connection {
            Some(_) if self.refused => Err(SendError::Refused),
            Some(_) if self.overdue > 0 => Err(SendError::Silent),
            Some(_) if self.answered => Ok(()),
            _ => Err(SendError::Away),
        }
    }

    /// Whether a command can be sent.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self) -> Result<(), SendError> {
        match self.connection {
            None => Err(SendError::Away),
            Some(_) if self.refused => Err(SendError::Refused),
            Some(_) if self.overdue > 0 => Err(SendError::Silent),
            Some(_) => Ok(()),
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
        self.enqueue(args, Some(token), reply_within, context)
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
            .enqueue(&[b"MULTI"], None, reply_within, context)
            .and_then(|()| {
                commands.into_iter().try_for_each(|args| self.enqueue(args, None, reply_within, context))
            })
            .and_then(|()| self.enqueue(&[b"EXEC"], Some(token), reply_within, context));
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
        let Some(connection) = context.connections.get_mut(id) else { return };
        let mut input = core::mem::take(&mut connection.input);
        let mut result = self.take_replies(&mut input, context, &mut deliver);
        if let Some(connection) = context.connections.get_mut(id) {
            connection.input = input;
            if result.is_ok() && connection.input_ended {
                result = Err(Broken::Ended);
            }
        }
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
        while let Some(pending) = self.pending.get_mut(self.overdue)
            && pending.deadline <= context.now
        {
            self.overdue += 1;
            if let Some(token) = pending.token.take() {
                deliver(token, Outcome::Overdue, context);
            }
        }
        if self.drop_at().is_some_and(|at| at <= context.now) {
            self.drop_connection(Broken::Overdue, context, &mut deliver);
        } else if self.ping_at().is_some_and(|at| at <= context.now) {
            self.ping(context);
        }
    }

    /// When `turn` has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let reply = self.pending.get(self.overdue).map(|pending| pending.deadline);
        [reply, self.drop_at(), self.ping_at()].into_iter().flatten().min()
    }

    fn drop_at(&self) -> Option<Instant> {
        let oldest = self.pending.front().filter(|_| self.overdue > 0)?;
        Some(oldest.deadline + OVERDUE_MAX)
    }

    fn ping_at(&self) -> Option<Instant> {
        (self.connection.is_some() && self.pending.is_empty()).then(|| self.last_reply + PING_AFTER)
    }

    fn ping(&mut self, context: &mut Context<'_>) {
        // A connection that cannot take a PING has commands waiting, whose deadlines do its work.
        let _ = self.enqueue(&[b"PING"], None, PING_REPLY_WITHIN, context);
    }

    fn enqueue(
        &mut self,
        args: &[&[u8]],
        token: Option<T>,
        reply_within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), SendError> {
        let id = self.connection.ok_or(SendError::Away)?;
        if self.pending.len() >= PENDING_COMMANDS_MAX {
            return Err(SendError::Busy);
        }
        let connection = context.connections.get_mut(id).ok_or(SendError::Away)?;
        write_command(&mut connection.output, args).map_err(|_| SendError::Busy)?;
        self.pending.push_back(Pending { token, deadline: context.now + reply_within });
        Ok(())
    }

    /// What was sent until now: bytes and commands.
    fn mark(&self, context: &mut Context<'_>) -> (usize, usize) {
        let connection = self.connection.and_then(|id| context.connections.get_mut(id));
        (connection.map_or(0, |connection| connection.output.len()), self.pending.len())
    }

    /// Takes back what was sent since that mark, all of it in this call and so still in the output.
    fn take_back(&mut self, (bytes, commands): (usize, usize), context: &mut Context<'_>) {
        self.pending.truncate(commands);
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
            let pending = self.pending.pop_front().ok_or(Broken::Unasked)?;
            self.note_reply(context.now);
            match (pending.token, reply) {
                (Some(token), reply) => deliver(token, Outcome::Reply(reply), context),
                (None, Reply::Error(message)) => self.note_refusal(message),
                (None, _) => {}
            }
            input.consume(length);
        }
        Ok(())
    }

    fn note_reply(&mut self, now: Instant) {
        self.overdue = self.overdue.saturating_sub(1);
        self.last_reply = now;
        if !self.answered {
            self.answered = true;
            log::info!("the store answers");
        }
    }

    /// A command of this client's own was refused: for want of the right password, or for a reason that will
    /// pass.
    fn note_refusal(&mut self, message: &[u8]) {
        let is_final =
            [&b"NOAUTH"[..], b"WRONGPASS", b"ERR AUTH"].iter().any(|code| message.starts_with(code));
        if is_final && !self.refused {
            self.refused = true;
            log::warn!("{}: {}", SendError::Refused, without_arguments(message).escape_ascii());
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
        log::warn!("store connection lost: {}; {} unanswered", broken.as_str(), self.pending.len());
        self.connection = None;
        self.overdue = 0;
        while let Some(pending) = self.pending.pop_front() {
            if let Some(token) = pending.token {
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
