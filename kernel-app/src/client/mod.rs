//! The client side of one pipelined connection to a store, a database or an HTTP server.
//!
//! It logs in, matches answers to requests by their order, times out late answers without losing that order, and
//! knows whether the server can be used. [`resp`], [`postgres`] and [`http`] contain what is specific to RESP,
//! PostgreSQL and HTTP. The runtime dials. The client does not know the meaning of a command or a statement.
//!
//! The owner of a client reports the events of the connection, and then pulls with [`Client::next_outcome`] until
//! nothing is left: after [`opened`](Client::opened), after [`closed`](Client::closed), after new input, and once in
//! each turn.
//!
//! ```
//! use core::time::Duration;
//! use kernel_app::client::{HttpClient, Outcome};
//! use kernel_app::{Connections, Context, Instant, Origin, Settings};
//!
//! # struct Zeros;
//! # impl kernel_app::Entropy for Zeros {
//! #     fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) }
//! # }
//! # fn call<R>(connections: &mut Connections, act: impl FnOnce(&mut Context<'_>) -> R) -> R {
//! #     let (now, unix_time) = (Instant::ZERO, core::time::Duration::ZERO);
//! #     act(&mut Context { now, unix_time, entropy: &mut Zeros, connections, disk: None })
//! # }
//! let hello = Settings::default().http("HELLO_URL", "http://hello:8090").unwrap();
//! let mut client = HttpClient::new(hello.host);
//! let mut connections = Connections::new();
//! let id = connections.open(0, Origin::Peer(0)).unwrap();
//! call(&mut connections, |context| {
//!     client.opened(id, context);
//!     client.get("/greeting", "a token of mine", Duration::from_secs(1), context)
//! })
//! .unwrap();
//!
//! // The server answers the client's own GET /healthz, and then the request.
//! let input = &mut connections.get_mut(id).unwrap().input;
//! input.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").unwrap();
//! input.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello").unwrap();
//! call(&mut connections, |context| {
//!     let (token, outcome) = client.next_outcome(context).unwrap();
//!     assert_eq!(token, "a token of mine");
//!     assert!(matches!(outcome, Outcome::Answer(answer) if answer.body == b"Hello"));
//!     assert!(client.next_outcome(context).is_none());
//! });
//! assert_eq!(client.readiness(), Ok(()));
//! ```

pub mod backend_service;
#[cfg(test)]
mod bench;
mod error;
mod fault;
pub mod http;
mod pipeline;
pub mod postgres;
mod protocol;
pub mod resp;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::connections::{Connection, ConnectionId};
use crate::network::Unreachable;
use crate::service::Context;
use crate::usage::Usage;
use wire::buffer::Full;
use wire::{Buffer, Instant};

pub use error::{Broken, Refusal, SendError};
pub use fault::{Fault, Words};
pub use http::{HttpClient, HttpHost};
use pipeline::Pipeline;
pub use pipeline::{OVERDUE_MAX, PENDING_MAX};
pub use postgres::{DatabaseClient, DatabaseLogin};
use protocol::Sent;
pub use protocol::{Line, Protocol};
pub use resp::{StoreClient, StoreLogin, StoreSendError};

/// A connection whose other side has another address now is left when nothing is under way on it, or else after this
/// time.
pub const MOVED_MAX: Duration = Duration::from_secs(2);

/// What became of something that was sent.
#[derive(Debug)]
pub enum Outcome<A> {
    /// The server answered; it may have refused.
    Answer(A),
    /// No answer in time. The server may still carry it out.
    Overdue,
    /// The connection ended before the answer. The server may have carried it out.
    Lost,
}

/// One pipelined connection; `T` tells the owner which of its commands an [`Outcome`] belongs to.
///
/// Every token that was accepted comes back exactly once.
#[derive(Debug)]
pub struct Client<P: Protocol, T> {
    protocol: P,
    connection: Option<ConnectionId>,
    absence: Absence<P::Fault>,
    /// The server has answered on this connection: an accepted connection alone may be a proxy's.
    answered: bool,
    last_answer: Instant,
    /// The server's name has another address: when the connection is left at the latest.
    leave_at: Option<Instant>,
    pipeline: Pipeline<Sent<T, P::Purpose>>,
    /// The connection's input while outcomes are pulled, so that they can lie in it.
    input: Option<Buffer>,
    /// Bytes of the answer that was given out last.
    taken: usize,
    /// Bytes of the input that were looked at before and are no whole answer.
    left: usize,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Absence<F> {
    /// Nothing is known yet.
    New,
    Unreachable(Unreachable),
    Broken(Broken<F>),
}

/// What has happened to a token, which stays where it is until it is given out: it is large, and moved once.
enum Event {
    /// The oldest in the pipeline is answered.
    Answer,
    /// The one that was given up last.
    Overdue,
    /// The oldest in the pipeline is lost.
    Lost,
}

/// What has come.
enum Heard {
    /// No whole answer.
    Nothing,
    /// An answer that nobody waits for.
    Unawaited,
    /// The answer to the oldest in the pipeline.
    Awaited,
}

impl<P: Protocol, T> Client<P, T> {
    /// A client without a connection.
    const fn of(protocol: P) -> Self {
        Self {
            protocol,
            connection: None,
            absence: Absence::New,
            answered: false,
            last_answer: Instant::ZERO,
            leave_at: None,
            pipeline: Pipeline::new(),
            input: None,
            taken: 0,
            left: 0,
        }
    }

    /// The runtime reached the server: logs in.
    #[cold]
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        (self.connection, self.answered, self.last_answer) = (Some(id), false, context.now);
        self.on_line(context, |protocol, line| protocol.open(line));
    }

    /// The runtime could not reach the server.
    pub fn unreachable(&mut self, reason: Unreachable) {
        self.absence = Absence::Unreachable(reason);
    }

    /// The connection ended: all that wait are [`Outcome::Lost`].
    pub fn closed(&mut self, id: ConnectionId) {
        if self.is(id) {
            self.lose(Broken::Ended);
        }
    }

    /// Ends the connection, for it is of no use: all that wait are [`Outcome::Lost`].
    #[cold]
    pub fn give_up(&mut self, broken: Broken<P::Fault>, context: &mut Context<'_>) {
        if let Some(id) = self.connection {
            if let (Some(input), Some(connection)) = (self.input.take(), context.connections.get_mut(id)) {
                connection.input = input;
            }
            context.connections.abort(id);
            self.lose(broken);
        }
    }

    /// Whether this is the connection to the server.
    pub fn is(&self, id: ConnectionId) -> bool {
        self.connection == Some(id)
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// How much waits for an answer.
    pub fn pending(&self) -> usize {
        self.pipeline.len()
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.protocol.report_usage(self.pipeline.len(), self.pipeline.overdue(), report);
    }

    /// Whether the server has answered on this connection, refuses nothing, and owes nothing that is overdue.
    ///
    /// # Errors
    /// Why something sent now would fail or be in doubt.
    pub fn readiness(&self) -> Result<(), SendError<P::Fault>> {
        match (self.connection, self.protocol.refusal()) {
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
    /// Why something sent now would fail or be in doubt.
    pub fn explained_readiness(&self) -> Result<(), Cow<'static, str>> {
        self.readiness().map_err(|error| self.explained(error).into())
    }

    /// A reason, with the setting that leads to the server.
    pub fn explained(&self, reason: impl fmt::Display) -> String {
        format!("{}: {reason}", self.protocol.setting())
    }

    /// Whether something can be sent.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self) -> Result<(), SendError<P::Fault>> {
        match (self.connection, self.protocol.refusal()) {
            (None, _) => Err(self.away()),
            (Some(_), Some(refusal)) if refusal.is_final() => Err(SendError::Refused(refusal)),
            (Some(_), _) if self.pipeline.overdue() > 0 => Err(SendError::Silent),
            (Some(_), _) if !self.protocol.is_open() => Err(SendError::Away),
            (Some(_), _) => Ok(()),
        }
    }

    /// When [`Client::next_outcome`] has something to do even if nothing comes.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.pipeline.reply_deadline(), self.drop_at(), self.due_at(), self.leave_at];
        Instant::earliest(deadlines)
    }

    /// What became of something that was sent, as long as there is more to say: what has come is read, what is
    /// overdue given up, and a quiet connection tried. Pull until there is nothing: what comes is held back until then.
    pub fn next_outcome(&mut self, context: &mut Context<'_>) -> Option<(T, Outcome<P::Answer<'_>>)> {
        let event = self.next_event(context)?;
        let token = match event {
            Event::Answer => self.pipeline.answered()?.token?,
            Event::Overdue => self.pipeline.given_up()?.token.take()?,
            Event::Lost => self.pipeline.lose()?.token?,
        };
        let outcome = match event {
            Event::Answer => {
                let input = self.input.as_ref().map_or(&b""[..], Buffer::as_slice);
                Outcome::Answer(self.protocol.answer(&input[..self.taken]))
            }
            Event::Overdue => Outcome::Overdue,
            Event::Lost => Outcome::Lost,
        };
        Some((token, outcome))
    }

    /// What has happened to a token that somebody waits for.
    fn next_event(&mut self, context: &mut Context<'_>) -> Option<Event> {
        loop {
            if self.connection.is_none() {
                if self.pipeline.front()?.token.is_some() {
                    return Some(Event::Lost);
                }
                self.pipeline.lose();
                continue;
            }
            match self.take_answer(context) {
                Ok(Heard::Awaited) => return Some(Event::Answer),
                Ok(Heard::Unawaited) => continue,
                Ok(Heard::Nothing) => {}
                Err(broken) => {
                    self.give_up(broken, context);
                    continue;
                }
            }
            while let Some(sent) = self.pipeline.give_up(context.now) {
                if sent.token.is_some() {
                    return Some(Event::Overdue);
                }
            }
            if self.drop_at().is_some_and(|at| at <= context.now) {
                self.give_up(Broken::Overdue, context);
                continue;
            }
            if self.is_to_move(context) {
                self.give_up(Broken::Moved, context);
                continue;
            }
            if self.due_at().is_some_and(|at| at <= context.now) {
                self.on_line(context, |protocol, line| protocol.act(line));
            }
            return None;
        }
    }

    /// Looks for the next answer in the input, and gives the input back when there is none.
    fn take_answer(&mut self, context: &mut Context<'_>) -> Result<Heard, Broken<P::Fault>> {
        let Some(id) = self.connection else { return Ok(Heard::Nothing) };
        // A connection that is looked at for writing keeps the loop awake.
        let has_news = |it: &Connection| it.input.len() > self.left || it.input_ended;
        if self.input.is_none() && !context.connections.get(id).is_some_and(has_news) {
            return Ok(Heard::Nothing);
        }
        let Some(connection) = context.connections.get_mut(id) else { return Ok(Heard::Nothing) };
        let input = self.input.get_or_insert_with(|| core::mem::take(&mut connection.input));
        input.consume(core::mem::take(&mut self.taken));
        let oldest = self.pipeline.front().map(|sent| (sent.purpose, sent.token.is_some()));
        let purpose = oldest.map(|(purpose, _)| purpose);
        let Some(length) = self.protocol.receive(input, &mut connection.output, purpose)? else {
            connection.input = self.input.take().unwrap_or_default();
            self.left = connection.input.len();
            return if connection.input_ended { Err(Broken::Ended) } else { Ok(Heard::Nothing) };
        };
        (self.taken, self.left) = (length, 0);
        let (purpose, is_awaited) = oldest.ok_or(Broken::Unasked)?;
        if !is_awaited {
            self.pipeline.answered();
        }
        self.last_answer = context.now;
        let mut line = Line {
            output: &mut connection.output,
            pipeline: &mut self.pipeline,
            now: context.now,
            entropy: &mut *context.entropy,
        };
        let answer = &input.as_slice()[..length];
        let is_of_use = self.protocol.settle(answer, purpose, is_awaited, &mut line);
        if is_of_use && !self.answered && self.protocol.refusal().is_none() {
            self.answered = true;
            log::info!("{}: {}", self.protocol.setting(), P::Fault::WORDS.answers);
        }
        Ok(if is_awaited { Heard::Awaited } else { Heard::Unawaited })
    }

    /// Whether the server is to be found at another address, and now is the time for it.
    fn is_to_move(&mut self, context: &Context<'_>) -> bool {
        let connection = self.connection.and_then(|id| context.connections.get(id));
        if !connection.is_some_and(|connection| connection.peer_has_moved) {
            return false;
        }
        let leave_at = *self.leave_at.get_or_insert(context.now + MOVED_MAX);
        self.pipeline.is_empty() || leave_at <= context.now
    }

    /// When the connection is to be dropped because of the oldest answer.
    fn drop_at(&self) -> Option<Instant> {
        let (sent, deadline) = self.pipeline.oldest_overdue()?;
        Some(deadline + P::overdue_max(sent.purpose))
    }

    fn due_at(&self) -> Option<Instant> {
        let is_idle = self.connection.is_some() && self.pipeline.is_empty();
        if is_idle { self.protocol.due_at(self.last_answer) } else { None }
    }

    fn on_line(&mut self, context: &mut Context<'_>, act: impl FnOnce(&mut P, &mut Line<'_, T, P::Purpose>)) {
        if let Some(connection) = self.connection.and_then(|id| context.connections.get_mut(id)) {
            let mut line = Line {
                output: &mut connection.output,
                pipeline: &mut self.pipeline,
                now: context.now,
                entropy: &mut *context.entropy,
            };
            act(&mut self.protocol, &mut line);
        }
    }

    fn away(&self) -> SendError<P::Fault> {
        match &self.absence {
            Absence::New => SendError::Away,
            Absence::Unreachable(reason) => SendError::Unreachable(*reason),
            Absence::Broken(broken) => SendError::Broken(broken.clone()),
        }
    }

    /// Sends what is written, whole or not at all.
    fn enqueue(
        &mut self,
        token: Option<T>,
        purpose: P::Purpose,
        within: Duration,
        context: &mut Context<'_>,
        write: impl FnOnce(&mut P, &mut Buffer) -> Result<(), Full>,
    ) -> Result<(), SendError<P::Fault>> {
        let id = self.connection.ok_or(SendError::Away)?;
        if self.pipeline.is_full() {
            return Err(SendError::Busy);
        }
        let output = &mut context.connections.get_mut(id).ok_or(SendError::Away)?.output;
        let before = output.len();
        if write(&mut self.protocol, output).is_err() {
            output.truncate(before);
            return Err(SendError::Busy);
        }
        self.pipeline.push(Sent { token, purpose }, context.now + within);
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

    /// The connection is gone.
    #[cold]
    fn lose(&mut self, broken: Broken<P::Fault>) {
        let broken = self.protocol.close(broken);
        // Once, while it happens again and again; and that it ended says less than why it was of no use.
        let is_news = match &self.absence {
            Absence::Broken(before) if !self.answered => broken != *before && broken != Broken::Ended,
            _ => true,
        };
        if is_news {
            let (setting, unanswered) = (self.protocol.setting(), self.pipeline.len());
            log::warn!("{setting}: connection lost: {broken}; {unanswered} unanswered");
            self.absence = Absence::Broken(broken);
        }
        (self.connection, self.answered, self.input) = (None, false, None);
        (self.taken, self.left, self.leave_at) = (0, 0, None);
    }
}
