//! PostgreSQL's protocol, as the client of a database speaks it.
//!
//! It logs in, prepares statements when they are first used, collects the messages of one result, and sends `Sync`
//! after a quiet time. It does not know the meaning of a statement.

mod login;
#[cfg(test)]
mod tests;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use wire::postgres::{Message, parse_message, write};
use wire::{Buffer, Instant};

use super::error::{Broken, SendError};
use super::fault::{Fault, Words};
use super::pipeline::{OVERDUE_MAX, PENDING_MAX};
use super::protocol::{Line, Protocol};
use super::{Client, Outcome};
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
/// What a server refuses anything for whose place another may have taken: it is a standby (25006), is shutting down
/// (57P01), has crashed (57P02) or is starting (57P03). PostgreSQL 15, Appendix A.
const ELSEWHERE: [&[u8; 5]; 4] = [b"25006", b"57P01", b"57P02", b"57P03"];
/// Storage for rows above this is given back.
const ROWS_BYTES_KEPT: usize = 16 * 1024;

/// A client of a database.
pub type DatabaseClient<T> = Client<Postgres, T>;
/// What became of a statement. One that was carried out is as durable as the server makes it; one that was refused
/// has changed nothing.
pub type DatabaseOutcome<'a> = Outcome<Result<Rows<'a>, ServerError<'a>>>;

/// A statement that is prepared once for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name, which no other statement has.
    pub name: &'static str,
    /// What it says, with parameters `$1`, `$2` and so on.
    pub sql: &'static str,
}

/// The protocol, and how far the login is.
#[derive(Debug)]
pub struct Postgres {
    login: DatabaseLogin,
    logging_in: Option<Login>,
    prepared: Vec<&'static str>,
    result: Gathered,
}

/// The result that is being received.
#[derive(Debug)]
struct Gathered {
    /// DataRow messages.
    rows: Vec<u8>,
    /// The ErrorResponse's code and message.
    error: Option<([u8; 5], Vec<u8>)>,
    /// The server has said that the statement was carried out.
    is_complete: bool,
    /// It was given out: the next one begins.
    is_over: bool,
}

impl Gathered {
    const fn new() -> Self {
        Self { rows: Vec::new(), error: None, is_complete: false, is_over: false }
    }

    fn begin(&mut self) {
        self.rows.clear();
        self.rows.shrink_to(ROWS_BYTES_KEPT);
        (self.error, self.is_complete, self.is_over) = (None, false, false);
    }

    fn error(&self) -> Option<ServerError<'_>> {
        let (sqlstate, message) = self.error.as_ref()?;
        Some(ServerError { sqlstate: *sqlstate, message })
    }
}

/// What something is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be let in.
    Login,
    /// The owner's statement of this name.
    Statement(&'static str),
    /// A sign of life.
    Sync,
}

/// Why the database is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseFault {
    /// What answers speaks another protocol.
    NotPostgres(String),
    /// It does not let us in.
    Login(LoginError),
    /// It ends the connection, with its reason.
    Fatal(String),
}

impl fmt::Display for DatabaseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPostgres(what) => write!(f, "what answers is not PostgreSQL: {what}"),
            Self::Login(error) => write!(f, "the database cannot be logged in to: {error}"),
            Self::Fatal(reason) => write!(f, "the database refuses: {reason}"),
        }
    }
}

impl Fault for DatabaseFault {
    const WORDS: Words = Words {
        answers: "the database answers",
        away: "the database is away: no connection yet",
        unreachable: "the database cannot be reached: ",
        silent: "the database is silent: connected, but its answers are overdue",
        busy: "the database is busy: what was sent before has not left yet",
        ended: "the database closed the connection",
        too_large: "a result of the database is larger than is taken",
        unasked: "the database sent a result that does not belong to what was asked for",
        overdue: "the database is silent: connected, but its answers are overdue",
        moved: "the database's name has another address now",
    };
}

impl Postgres {
    /// Takes one message; says whether the result of the oldest statement is whole with it.
    fn take(
        &mut self,
        message: Message<'_>,
        bytes: &[u8],
        awaited: Option<Purpose>,
    ) -> Result<bool, Broken<DatabaseFault>> {
        match message {
            Message::Row(_) if self.result.rows.len() + bytes.len() > ROWS_BYTES_MAX => {
                return Err(Broken::TooLarge);
            }
            Message::Row(_) => self.result.rows.extend_from_slice(bytes),
            // Nobody waits, so the server is about to end the connection; or another has taken its place.
            Message::Error(error) if awaited.is_none() || ELSEWHERE.contains(&&error.sqlstate) => {
                return Err(Broken::Protocol(DatabaseFault::Fatal(error.to_string())));
            }
            Message::Error(error) => self.result.error = Some((error.sqlstate, error.message.to_vec())),
            Message::Complete => self.result.is_complete = true,
            Message::Ready => {
                let is_said = self.result.error.is_some() || self.result.is_complete;
                return match awaited {
                    None => Err(Broken::Unasked),
                    Some(Purpose::Statement(_)) if !is_said => Err(Broken::Unasked),
                    Some(_) => Ok(true),
                };
            }
            Message::Other | Message::Authentication(_) => {}
        }
        Ok(false)
    }
}

impl Protocol for Postgres {
    type Purpose = Purpose;
    type Fault = DatabaseFault;
    type Answer<'a> = Result<Rows<'a>, ServerError<'a>>;

    fn setting(&self) -> &'static str {
        self.login.setting
    }

    fn is_open(&self) -> bool {
        self.logging_in.is_none()
    }

    fn overdue_max(purpose: Purpose) -> Duration {
        if purpose == Purpose::Login { Duration::ZERO } else { OVERDUE_MAX }
    }

    fn open<T>(&mut self, line: &mut Line<'_, T, Purpose>) {
        self.prepared.clear();
        self.result.begin();
        self.logging_in = Some(Login::new(line.entropy));
        let DatabaseLogin { user, database, .. } = &self.login;
        line.say(Purpose::Login, LOGIN_WITHIN, |output| write::startup(output, user, database));
    }

    fn close(&mut self, broken: Broken<DatabaseFault>) -> Broken<DatabaseFault> {
        let said = self.result.error().filter(|_| !self.result.is_over);
        let said = said.map(|error| Broken::Protocol(DatabaseFault::Fatal(error.to_string())));
        self.result.begin();
        self.logging_in = None;
        said.unwrap_or(broken)
    }

    fn receive(
        &mut self,
        input: &mut Buffer,
        output: &mut Buffer,
        awaited: Option<Purpose>,
    ) -> Result<Option<usize>, Broken<DatabaseFault>> {
        if self.result.is_over {
            self.result.begin();
        }
        loop {
            let parsed = parse_message(input.as_slice())
                .map_err(|error| Broken::Protocol(DatabaseFault::NotPostgres(error.to_string())))?;
            let Some((message, length)) = parsed else { return Ok(None) };
            let is_answer = match &mut self.logging_in {
                Some(login) => login
                    .take(message, &self.login, output)
                    .map_err(|error| Broken::Protocol(DatabaseFault::Login(error)))?,
                None => self.take(message, &input.as_slice()[..length], awaited)?,
            };
            input.consume(length);
            if is_answer {
                (self.logging_in, self.result.is_over) = (None, true);
                return Ok(Some(0));
            }
        }
    }

    fn settle<T>(&mut self, _: &[u8], purpose: Purpose, _: bool, _: &mut Line<'_, T, Purpose>) -> bool {
        if let (Purpose::Statement(name), Some(_)) = (purpose, &self.result.error) {
            // It may be that it could not be prepared, or must be anew.
            self.prepared.retain(|prepared| *prepared != name);
        }
        purpose == Purpose::Login
    }

    fn answer<'a>(&'a self, _: &'a [u8]) -> Self::Answer<'a> {
        self.result.error().map_or_else(|| Ok(Rows::new(&self.result.rows)), Err)
    }

    fn due_at(&self, last_answer: Instant) -> Option<Instant> {
        Some(last_answer + SYNC_AFTER)
    }

    fn act<T>(&mut self, line: &mut Line<'_, T, Purpose>) {
        line.say(Purpose::Sync, SYNC_REPLY_WITHIN, write::sync);
    }

    fn report_usage(&self, waiting: usize, _: usize, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("statements that wait for the database", waiting, PENDING_MAX));
        report(Usage::new("bytes of rows", self.result.rows.len(), ROWS_BYTES_MAX));
    }
}

impl<T> DatabaseClient<T> {
    /// A client without a connection.
    pub const fn new(login: DatabaseLogin) -> Self {
        Self::of(Postgres { login, logging_in: None, prepared: Vec::new(), result: Gathered::new() })
    }

    /// Sends a statement whose result is wanted within `within`, whole or not at all.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn send(
        &mut self,
        statement: &Statement,
        parameters: &[&[u8]],
        token: T,
        within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), SendError<DatabaseFault>> {
        self.admits()?;
        let Statement { name, sql } = *statement;
        let is_prepared = self.protocol.prepared.contains(&name);
        self.enqueue(Some(token), Purpose::Statement(name), within, context, |protocol, output| {
            if !is_prepared {
                write::prepare(output, name, sql)?;
            }
            write::execute(output, name, parameters)?;
            write::sync(output)?;
            if !is_prepared {
                protocol.prepared.push(name);
            }
            Ok(())
        })
    }
}
