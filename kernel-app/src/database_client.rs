//! The client side of one pipelined connection to PostgreSQL, as every service that keeps results there needs it.
//!
//! Logs in, prepares statements as they are first used, matches results to statements by their order, and gives up
//! on results that are late without losing that order. Does not dial (the runtime does) and knows nothing of what a
//! statement means.

mod login;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use wire::postgres::{Message, parse_message, write};
use wire::{Buffer, Instant};

use crate::connections::ConnectionId;
use crate::network::Unreachable;
use crate::pipeline::{PENDING_MAX, Pipeline};
use crate::service::Context;
use crate::usage::Usage;
pub use login::DatabaseLogin;
use login::{Login, LoginError};
pub use wire::postgres::{Row, Rows, ServerError};

/// How long logging in may take.
pub const LOGIN_WITHIN: Duration = Duration::from_millis(1_500);
/// A connection on which nothing is under way is tried this long after the last answer.
pub const SYNC_AFTER: Duration = Duration::from_secs(5);
/// How long the answer to that may take.
pub const SYNC_REPLY_WITHIN: Duration = Duration::from_millis(900);
/// Most bytes of the rows of one result.
pub const ROWS_BYTES_MAX: usize = 256 * 1024;
/// Storage for rows above this is given back.
const ROWS_BYTES_KEPT: usize = 16 * 1024;

/// A statement that is prepared once for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name, which no other statement has.
    pub name: &'static str,
    /// What it says, with parameters `$1`, `$2` and so on.
    pub sql: &'static str,
}

/// What became of a statement.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// It was carried out, and is as durable as the server makes it.
    Done(Rows<'a>),
    /// It was refused; it has changed nothing.
    Refused(ServerError<'a>),
    /// No answer in time. The server may still carry it out.
    Overdue,
    /// The connection ended before the answer. The server may have carried it out.
    Lost,
}

/// A statement was not sent: [`DatabaseClient::readiness`] says why, or too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSent;

/// One pipelined connection; `T` tells the owner which of its statements an [`Outcome`] belongs to.
///
/// Every token that `send` accepts comes back exactly once, through the `deliver` argument of
/// [`ready`](Self::ready), [`closed`](Self::closed) or [`turn`](Self::turn).
#[derive(Debug)]
pub struct DatabaseClient<T> {
    login: DatabaseLogin,
    connection: Option<ConnectionId>,
    /// Logging in, which must have ended by then.
    logging_in: Option<(Login, Instant)>,
    /// Why there is no connection that can be used, since the last one that could.
    trouble: Option<String>,
    last_answer: Instant,
    /// The name of the statement and its token; none when nobody waits (any longer).
    pipeline: Pipeline<Option<(&'static str, T)>>,
    prepared: Vec<&'static str>,
    result: Gathered,
}

/// The result that is being received.
#[derive(Debug, Default)]
struct Gathered {
    /// DataRow messages.
    rows: Vec<u8>,
    /// The ErrorResponse's code and message.
    error: Option<([u8; 5], Vec<u8>)>,
    /// The server has said that the statement was carried out.
    is_complete: bool,
}

/// Why a connection is of no more use.
#[derive(Debug)]
enum Broken {
    Ended,
    NotPostgres(String),
    TooLarge,
    Unasked,
    Overdue,
    Login(LoginError),
    /// The server ends the connection, with its reason.
    Fatal(String),
}

impl Broken {
    fn reason(self) -> String {
        match self {
            Self::Ended => "the database closed the connection".to_owned(),
            Self::NotPostgres(what) => format!("what answers is not PostgreSQL: {what}"),
            Self::TooLarge => "a result of the database is larger than is taken".to_owned(),
            Self::Unasked => {
                "the database sent a result that does not belong to what was asked for".to_owned()
            }
            Self::Overdue => "the database is silent: connected, but its answers are overdue".to_owned(),
            Self::Login(error) => format!("the database cannot be logged in to: {error}"),
            Self::Fatal(reason) => format!("the database refuses: {reason}"),
        }
    }
}

impl<T> DatabaseClient<T> {
    /// A client without a connection.
    pub const fn new(login: DatabaseLogin) -> Self {
        Self {
            login,
            connection: None,
            logging_in: None,
            trouble: None,
            last_answer: Instant::ZERO,
            pipeline: Pipeline::new(),
            prepared: Vec::new(),
            result: Gathered { rows: Vec::new(), error: None, is_complete: false },
        }
    }

    /// The runtime could not reach the server.
    pub fn unreachable(&mut self, reason: Unreachable) {
        self.trouble = Some(format!("the database cannot be reached: {reason}"));
    }

    /// The runtime reached the server: logs in.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.connection = Some(id);
        self.prepared.clear();
        self.logging_in = Some((Login::new(context.entropy), context.now + LOGIN_WITHIN));
        if let Some(connection) = context.connections.get_mut(id) {
            // Always fits: nothing else was sent yet.
            let _ = write::startup(&mut connection.output, &self.login.user, &self.login.database);
        }
    }

    /// Whether this is the connection to the database.
    pub fn is(&self, id: ConnectionId) -> bool {
        self.connection == Some(id)
    }

    /// How many statements wait for their results.
    pub fn pending(&self) -> usize {
        self.pipeline.len()
    }

    /// How much of what is bounded here is in use.
    pub fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        tell(Usage::new("statements that wait for the database", self.pipeline.len(), PENDING_MAX));
        tell(Usage::new("bytes of rows", self.result.rows.len(), ROWS_BYTES_MAX));
    }

    /// Whether the database can be used and owes nothing that is overdue.
    ///
    /// # Errors
    /// Why not, with the setting to look at.
    pub fn readiness(&self) -> Result<(), String> {
        let reason = match &self.trouble {
            _ if self.is_open() && self.pipeline.overdue() > 0 => &Broken::Overdue.reason(),
            _ if self.is_open() => return Ok(()),
            Some(trouble) => trouble.as_str(),
            None => "the database is away: no connection yet",
        };
        Err(format!("{}: {reason}", self.login.setting))
    }

    /// Sends a statement whose result is wanted within `reply_within`, whole or not at all.
    ///
    /// # Errors
    /// When nothing was sent; the token is then dropped.
    pub fn send(
        &mut self,
        statement: &Statement,
        parameters: &[&[u8]],
        token: T,
        reply_within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), NotSent> {
        if !self.is_open() || self.pipeline.overdue() > 0 || self.pipeline.is_full() {
            return Err(NotSent);
        }
        let connection = self.connection.and_then(|id| context.connections.get_mut(id)).ok_or(NotSent)?;
        let output = &mut connection.output;
        let before = output.len();
        let is_prepared = self.prepared.contains(&statement.name);
        let mut write = || {
            if !is_prepared {
                write::prepare(output, statement.name, statement.sql)?;
            }
            write::execute(output, statement.name, parameters)?;
            write::sync(output)
        };
        if write().is_err() {
            output.truncate(before);
            return Err(NotSent);
        }
        if !is_prepared {
            self.prepared.push(statement.name);
        }
        self.pipeline.push(Some((statement.name, token)), context.now + reply_within);
        Ok(())
    }

    /// Takes what has arrived.
    pub fn ready(
        &mut self,
        context: &mut Context<'_>,
        mut deliver: impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) {
        let Some(id) = self.connection else { return };
        let taken =
            context.with_input(id, |input, context| self.take_messages(id, input, context, &mut deliver));
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
        while let Some(waiting) = self.pipeline.give_up(context.now) {
            if let Some((_, token)) = waiting.take() {
                deliver(token, Outcome::Overdue, context);
            }
        }
        if self.drop_at().is_some_and(|at| at <= context.now) {
            self.drop_connection(Broken::Overdue, context, &mut deliver);
        } else if self.sync_at().is_some_and(|at| at <= context.now)
            && let Some(connection) = self.connection.and_then(|id| context.connections.get_mut(id))
            && write::sync(&mut connection.output).is_ok()
        {
            self.pipeline.push(None, context.now + SYNC_REPLY_WITHIN);
        }
    }

    /// When `turn` has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.pipeline.reply_deadline(), self.drop_at(), self.sync_at()].into_iter().flatten().min()
    }

    /// Whether statements can be sent, as far as the connection goes.
    fn is_open(&self) -> bool {
        self.connection.is_some() && self.logging_in.is_none()
    }

    fn drop_at(&self) -> Option<Instant> {
        self.logging_in.as_ref().map(|(_, deadline)| *deadline).or_else(|| self.pipeline.drop_at())
    }

    fn sync_at(&self) -> Option<Instant> {
        (self.is_open() && self.pipeline.is_empty()).then(|| self.last_answer + SYNC_AFTER)
    }

    fn take_messages(
        &mut self,
        id: ConnectionId,
        input: &mut Buffer,
        context: &mut Context<'_>,
        deliver: &mut impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) -> Result<(), Broken> {
        loop {
            let parsed =
                parse_message(input.as_slice()).map_err(|error| Broken::NotPostgres(error.to_string()))?;
            let Some((message, length)) = parsed else { return Ok(()) };
            if let Some((login, _)) = &mut self.logging_in {
                let output = context.connections.get_mut(id).map(|connection| &mut connection.output);
                let output = output.ok_or(Broken::Ended)?;
                if login.take(message, &self.login, output).map_err(Broken::Login)? {
                    self.note_open(context.now);
                }
            } else {
                self.take_message(message, &input.as_slice()[..length], context, deliver)?;
            }
            input.consume(length);
        }
    }

    fn note_open(&mut self, now: Instant) {
        (self.logging_in, self.trouble, self.last_answer) = (None, None, now);
        log::info!("{}: the database answers", self.login.setting);
    }

    fn take_message(
        &mut self,
        message: Message<'_>,
        bytes: &[u8],
        context: &mut Context<'_>,
        deliver: &mut impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) -> Result<(), Broken> {
        match message {
            Message::Row(_) if self.result.rows.len() + bytes.len() > ROWS_BYTES_MAX => Err(Broken::TooLarge),
            Message::Row(_) => {
                self.result.rows.extend_from_slice(bytes);
                Ok(())
            }
            // Nobody waits: the server is about to end the connection.
            Message::Error(error) if self.pipeline.is_empty() => Err(Broken::Fatal(error.to_string())),
            Message::Error(error) => {
                self.result.error = Some((error.sqlstate, error.message.to_vec()));
                Ok(())
            }
            Message::Ready => self.take_result(context, deliver),
            Message::Complete => {
                self.result.is_complete = true;
                Ok(())
            }
            Message::Other | Message::Authentication(_) => Ok(()),
        }
    }

    /// The result of the oldest statement is complete.
    fn take_result(
        &mut self,
        context: &mut Context<'_>,
        deliver: &mut impl FnMut(T, Outcome<'_>, &mut Context<'_>),
    ) -> Result<(), Broken> {
        let mut waiting = self.pipeline.answered().ok_or(Broken::Unasked)?;
        self.last_answer = context.now;
        let Gathered { mut rows, error, is_complete } = core::mem::take(&mut self.result);
        if let Some((_, token)) = waiting.take_if(|_| error.is_none() && !is_complete) {
            deliver(token, Outcome::Lost, context);
            return Err(Broken::Unasked);
        }
        if let Some((name, token)) = waiting {
            let outcome = match &error {
                Some((sqlstate, message)) => {
                    // It may be that it could not be prepared, or must be anew.
                    self.prepared.retain(|prepared| *prepared != name);
                    Outcome::Refused(ServerError { sqlstate: *sqlstate, message })
                }
                None => Outcome::Done(Rows::new(&rows)),
            };
            deliver(token, outcome, context);
        }
        rows.clear();
        rows.shrink_to(ROWS_BYTES_KEPT);
        self.result.rows = rows;
        Ok(())
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
        // What the server has said of the end tells more than that it came.
        let said = self.result.error.take().map(|(sqlstate, message)| {
            Broken::Fatal(ServerError { sqlstate, message: &message }.to_string())
        });
        let reason = said.unwrap_or(broken).reason();
        if self.trouble.as_ref() != Some(&reason) {
            let (setting, unanswered) = (self.login.setting, self.pipeline.len());
            log::warn!("{setting}: connection lost: {reason}; {unanswered} unanswered");
        }
        (self.connection, self.logging_in, self.trouble) = (None, None, Some(reason));
        self.result = Gathered::default();
        while let Some(waiting) = self.pipeline.lose() {
            if let Some((_, token)) = waiting {
                deliver(token, Outcome::Lost, context);
            }
        }
    }
}
