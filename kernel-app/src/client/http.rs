//! HTTP/1.1, as the client of another service speaks it: `GET` requests, one behind the other on one connection.
//!
//! A connection that is new or quiet is tried with `GET /healthz`. What an answer says is the owner's business.

#[cfg(test)]
mod tests;

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use wire::buffer::Full;
use wire::http::reply::{Reply, ReplyError, reply};
use wire::{Buffer, Instant};

use super::Client;
use super::error::{Broken, SendError};
use super::fault::{Fault, Words};
use super::pipeline::PENDING_MAX;
use super::protocol::{Line, Protocol};
use crate::service::Context;
use crate::usage::Usage;

/// A connection on which nothing is under way is tried this long after the last answer.
pub const TRIAL_AFTER: Duration = Duration::from_secs(5);
/// How long the answer to a trial may take.
pub const TRIAL_ANSWER_WITHIN: Duration = Duration::from_millis(900);
/// What is asked for then.
const TRIAL: &str = "/healthz";
/// An answer with this status or a higher one says that the server is in trouble.
const SERVER_ERROR: u16 = 500;

/// A client of an HTTP server.
pub type HttpClient<T> = Client<Http, T>;
/// Why a request was not sent.
pub type HttpSendError = SendError<HttpFault>;

/// What requests say of the server, and the setting that says where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHost {
    /// The setting, for messages.
    pub setting: &'static str,
    /// The `Host` of requests, such as `hello:8090`.
    pub name: String,
}

/// A response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpAnswer<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// The protocol, and where the body of the last answer lies.
#[derive(Debug)]
pub struct Http {
    host: HttpHost,
    last: Reply,
}

/// What is wrong with a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpFault(ReplyError);

impl fmt::Display for HttpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Fault for HttpFault {
    const WORDS: Words = Words {
        answers: "the server answers",
        away: "the server is away: no connection yet",
        unreachable: "",
        silent: "the server is silent: connected, but its answers are overdue",
        busy: "the server is busy: too many requests wait for it",
        ended: "the server closed the connection",
        too_large: "an answer is larger than the input may be",
        unasked: "an answer came that nobody asked for: is it an HTTP server?",
        overdue: "the server was silent: its answers did not come",
        moved: "the server's name has another address now",
    };
}

fn write_get(path: &str, host: &str, output: &mut Buffer) -> Result<(), Full> {
    ["GET ", path, " HTTP/1.1\r\nHost: ", host, "\r\n\r\n"]
        .iter()
        .try_for_each(|part| output.write(part.as_bytes()))
}

impl Http {
    fn try_server<T>(&self, line: &mut Line<'_, T, ()>) {
        line.say((), TRIAL_ANSWER_WITHIN, |output| write_get(TRIAL, &self.host.name, output));
    }
}

impl Protocol for Http {
    type Purpose = ();
    type Fault = HttpFault;
    type Answer<'a> = HttpAnswer<'a>;

    fn setting(&self) -> &'static str {
        self.host.setting
    }

    fn is_open(&self) -> bool {
        true
    }

    fn open<T>(&mut self, line: &mut Line<'_, T, ()>) {
        self.try_server(line);
    }

    fn receive(
        &mut self,
        input: &mut Buffer,
        _: &mut Buffer,
        _: Option<()>,
    ) -> Result<Option<usize>, Broken<HttpFault>> {
        let found = reply(input.as_slice()).map_err(|error| Broken::Protocol(HttpFault(error)))?;
        match found {
            None if input.space() == 0 => Err(Broken::TooLarge),
            None => Ok(None),
            Some(found) => {
                self.last = found;
                Ok(Some(self.last.body.end))
            }
        }
    }

    fn settle<T>(&mut self, _: &[u8], (): (), _: bool, _: &mut Line<'_, T, ()>) -> bool {
        self.last.status < SERVER_ERROR
    }

    fn answer<'a>(&'a self, bytes: &'a [u8]) -> HttpAnswer<'a> {
        HttpAnswer { status: self.last.status, body: &bytes[self.last.body.clone()] }
    }

    fn due_at(&self, last_answer: Instant) -> Option<Instant> {
        Some(last_answer + TRIAL_AFTER)
    }

    fn act<T>(&mut self, line: &mut Line<'_, T, ()>) {
        self.try_server(line);
    }

    fn report_usage(&self, waiting: usize, overdue: usize, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("requests that wait for the server", waiting, PENDING_MAX));
        report(Usage::new("overdue requests", overdue, waiting));
    }
}

impl<T> HttpClient<T> {
    /// A client without a connection.
    pub const fn new(host: HttpHost) -> Self {
        Self::of(Http { host, last: Reply { status: 0, body: 0..0 } })
    }

    /// Asks for a path, which may have a query, and wants the answer within `within`.
    ///
    /// Answers come in order, so a request waits at least as long as those before it.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn get(
        &mut self,
        path: &str,
        token: T,
        within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), HttpSendError> {
        self.admits()?;
        self.enqueue(Some(token), (), within, context, |http, output| {
            write_get(path, &http.host.name, output)
        })
    }
}
