//! RESP, as the client of a store speaks it: `AUTH` and `SELECT` first, and `PING` after a quiet time.
//!
//! It reports why a store refuses, and retries after growing waits. It does not know the meaning of the owner's
//! commands.

mod login;
mod reply_reader;
#[cfg(test)]
mod tests;
mod trouble;

use core::fmt;
use core::time::Duration;

use wire::resp::{Command, Reply, write_command};
use wire::{Buffer, Instant};

use super::error::{Broken, Refusal, SendError};
use super::fault::{Fault, Words};
use super::pipeline::PENDING_MAX;
use super::protocol::{Line, Protocol};
use super::{Client, Outcome};
use crate::service::Context;
use crate::usage::Usage;
pub use login::StoreLogin;
use reply_reader::ReplyReader;
use trouble::Trouble;
pub use trouble::{RETRY_MAX, RETRY_MIN};

/// A connection on which nothing is under way is tried with a `PING` this long after the last reply.
pub const PING_AFTER: Duration = Duration::from_secs(5);
/// How long the reply to a `PING` may take.
pub const PING_REPLY_WITHIN: Duration = Duration::from_millis(900);

/// A client of a store.
pub type StoreClient<T> = Client<Resp, T>;
/// What became of a command; its reply may be an error.
pub type StoreOutcome<'a> = Outcome<Reply<'a>>;
/// Why a command was not sent.
pub type StoreSendError = SendError<StoreFault>;

/// The protocol, how far the login is, and what the store refuses.
#[derive(Debug)]
pub struct Resp {
    login: StoreLogin,
    /// What the store must be able to do, tried when a connection is new or something was refused.
    trial: &'static [&'static [u8]],
    trouble: Trouble,
    /// Commands of the login that have not succeeded yet.
    logins_left: usize,
    reader: ReplyReader,
}

/// What a command is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The owner's business.
    Owner,
    /// The owner's business, and so is an error.
    Inquiry,
    /// To be let in.
    Login,
    /// A sign of life.
    Sign,
}

/// What is wrong with a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// It does not speak RESP.
    NotResp,
    /// A reply is none that its command can have.
    Unexpected,
    /// What is to be sent at once does not fit into the output.
    OutputFull,
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotResp => "what answers is not RESP: is it the port of a Redis?",
            Self::Unexpected => "a reply does not belong to its command: is it a Redis?",
            Self::OutputFull => "the output has no room for one batch",
        })
    }
}

impl Fault for StoreFault {
    const WORDS: Words = Words {
        answers: "the store answers",
        away: "the store is away: no connection yet",
        unreachable: "",
        silent: "the store is silent: connected, but its replies are overdue",
        busy: "the store is busy: too many commands wait for it",
        ended: "the store closed the connection",
        too_large: "a reply is larger than the input may be: is it a store of this application?",
        unasked: "a reply came that nobody asked for: is it a Redis?",
        overdue: "the store was silent: its replies did not come",
        moved: "the store's name has another address now",
    };
}

impl Resp {
    /// Logs in, once more if need be. Nothing else is sent before that has succeeded: it might be done in
    /// another database than the one that is meant.
    fn log_in<T>(&mut self, line: &mut Line<'_, T, Purpose>) {
        self.trouble.begin_round();
        self.logins_left = 0;
        self.login.commands(|args| {
            self.logins_left += 1;
            say(line, args, Purpose::Login);
        });
        if self.logins_left == 0 {
            say(line, self.trial, Purpose::Sign);
        }
    }

    fn note_refusal<T>(&mut self, purpose: Purpose, message: &[u8], line: &mut Line<'_, T, Purpose>) {
        let refusal = Refusal::of(message, purpose == Purpose::Login);
        // `EXECABORT` follows the error that says why.
        if !message.starts_with(b"EXECABORT") && self.trouble.note(refusal, line.now, line.entropy) {
            let message = without_arguments(message).escape_ascii();
            log::warn!("{}: {}; it says: {message}", self.login.setting, refusal.as_str());
        }
    }
}

fn say<T>(line: &mut Line<'_, T, Purpose>, args: &[&[u8]], purpose: Purpose) {
    line.say(purpose, PING_REPLY_WITHIN, |output| write_command(output, args));
}

impl Protocol for Resp {
    type Purpose = Purpose;
    type Fault = StoreFault;
    type Answer<'a> = Reply<'a>;

    fn setting(&self) -> &'static str {
        self.login.setting
    }

    fn is_open(&self) -> bool {
        self.logins_left == 0
    }

    fn refusal(&self) -> Option<Refusal> {
        self.trouble.refusal()
    }

    fn open<T>(&mut self, line: &mut Line<'_, T, Purpose>) {
        self.reader.restart();
        self.log_in(line);
    }

    fn close(&mut self, broken: Broken<StoreFault>) -> Broken<StoreFault> {
        if let Broken::Elsewhere(refusal) = broken {
            self.trouble.leave(refusal);
        }
        broken
    }

    /// A reply that says that another store is to be found ends the connection. What it answers was not carried out,
    /// but is [`Outcome::Lost`] with all that follows, so that owners have one case of a store that is gone.
    fn receive(
        &mut self,
        input: &mut Buffer,
        _: &mut Buffer,
        _: Option<Purpose>,
    ) -> Result<Option<usize>, Broken<StoreFault>> {
        let received = self.reader.receive(input).map_err(|_| Broken::Protocol(StoreFault::NotResp))?;
        let Some(length) = received else {
            return if input.space() == 0 { Err(Broken::TooLarge) } else { Ok(None) };
        };
        let message = input.as_slice()[..length].strip_prefix(b"-");
        match message.map(|message| Refusal::of(message, false)) {
            Some(refusal) if refusal.is_elsewhere() => Err(Broken::Elsewhere(refusal)),
            _ => Ok(Some(length)),
        }
    }

    fn settle<T>(
        &mut self,
        answer: &[u8],
        purpose: Purpose,
        is_awaited: bool,
        line: &mut Line<'_, T, Purpose>,
    ) -> bool {
        if let Some(message) = answer.strip_prefix(b"-") {
            let message = message.trim_ascii_end();
            // That the login is of no more use is the client's business, whoever is told.
            if purpose != Purpose::Inquiry || Refusal::of(message, false).is_final() {
                self.note_refusal(purpose, message, line);
            }
            return false;
        }
        match purpose {
            Purpose::Owner if is_awaited => self.trouble.succeeded(),
            Purpose::Owner | Purpose::Inquiry => return false,
            Purpose::Login => {
                self.logins_left = self.logins_left.saturating_sub(1);
                if self.logins_left == 0 {
                    say(line, self.trial, Purpose::Sign);
                }
                return false;
            }
            Purpose::Sign => self.trouble.end_round(),
        }
        true
    }

    fn answer<'a>(&'a self, bytes: &'a [u8]) -> Reply<'a> {
        self.reader.reply(bytes)
    }

    fn due_at(&self, last_answer: Instant) -> Option<Instant> {
        self.trouble.retry_at().or(Some(last_answer + PING_AFTER))
    }

    fn act<T>(&mut self, line: &mut Line<'_, T, Purpose>) {
        if self.trouble.retry_at().is_some() {
            self.log_in(line);
        } else {
            say(line, &[b"PING"], Purpose::Sign);
        }
    }

    fn report_usage(&self, waiting: usize, overdue: usize, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("commands that wait for the store", waiting, PENDING_MAX));
        report(Usage::new("overdue commands", overdue, waiting));
    }
}

impl<T> Default for StoreClient<T> {
    fn default() -> Self {
        Self::new(StoreLogin::default())
    }
}

impl<T> StoreClient<T> {
    /// A client without a connection.
    pub const fn new(login: StoreLogin) -> Self {
        let (trouble, reader) = (Trouble::new(), ReplyReader::new());
        Self::of(Resp { login, trial: &[b"PING"], trouble, logins_left: 0, reader })
    }

    /// The same, which tries this command instead of `PING`: one that tells whether the store is of use.
    #[must_use]
    pub fn with_trial(mut self, trial: &'static [&'static [u8]]) -> Self {
        self.protocol.trial = trial;
        self
    }

    /// The same, which skips strings of more bytes: they come as [`Reply::Oversized`].
    #[must_use]
    pub fn with_bulk_max(mut self, bytes: usize) -> Self {
        self.protocol.reader.set_bulk_max(bytes);
        self
    }

    /// Sends a command whose reply is wanted within `within`.
    ///
    /// Replies come in order, so a command waits at least as long as those before it.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn send(
        &mut self,
        args: &[&[u8]],
        token: T,
        within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), StoreSendError> {
        self.admits()?;
        self.command(args, Some(token), Purpose::Owner, within, context)
    }

    /// The same for a command that was encoded before, with its last word if that was left open.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn send_encoded(
        &mut self,
        command: &Command,
        last: Option<&[u8]>,
        token: T,
        within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), StoreSendError> {
        self.admits()?;
        self.enqueue(Some(token), Purpose::Owner, within, context, |_, output| match last {
            Some(last) => command.write_with(last, output),
            None => command.write(output),
        })
    }

    /// The same for a command whose refusal says nothing about the store, or which the owner reports.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn inquire(
        &mut self,
        args: &[&[u8]],
        token: T,
        within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), StoreSendError> {
        self.admits()?;
        self.command(args, Some(token), Purpose::Inquiry, within, context)
    }

    /// Sends commands that the store is to carry out as one, all of them or none; the outcome is that of `EXEC`.
    ///
    /// # Errors
    /// Why nothing was sent; the token is then dropped.
    pub fn send_transaction<'a>(
        &mut self,
        commands: impl IntoIterator<Item = &'a [&'a [u8]]>,
        token: T,
        within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), StoreSendError> {
        self.admits()?;
        let mark = self.mark(context);
        let mut send = |args: &[&[u8]], token| self.command(args, token, Purpose::Owner, within, context);
        let sent = send(&[b"MULTI"], None)
            .and_then(|()| commands.into_iter().try_for_each(|args| send(args, None)))
            .and_then(|()| send(&[b"EXEC"], Some(token)));
        if sent.is_err() {
            // A part of it would leave the connection inside of a transaction.
            self.take_back(mark, context);
        }
        sent
    }

    fn command(
        &mut self,
        args: &[&[u8]],
        token: Option<T>,
        purpose: Purpose,
        within: Duration,
        context: &mut Context<'_>,
    ) -> Result<(), StoreSendError> {
        self.enqueue(token, purpose, within, context, |_, output| write_command(output, args))
    }
}

/// An error without the arguments that it may quote, which can be a voter's id.
pub fn without_arguments(message: &[u8]) -> &[u8] {
    const QUOTED: &[u8] = b", with args";
    let end = message.windows(QUOTED.len()).position(|window| window == QUOTED);
    &message[..end.unwrap_or(message.len())]
}
