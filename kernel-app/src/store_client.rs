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
mod tests {
    use super::*;
    use crate::connections::{Connections, Ending};
    use crate::entropy::Entropy;
    use crate::service::Origin;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use alloc::{format, vec};

    struct NoEntropy;
    impl Entropy for NoEntropy {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    /// A client whose connection's both ends are in the test's hands.
    struct Bench {
        client: StoreClient<u32>,
        connections: Connections,
        id: ConnectionId,
        now: Instant,
        outcomes: Vec<(u32, String)>,
    }

    const WITHIN: Duration = Duration::from_millis(100);

    impl Bench {
        /// Connected, and the first PING answered.
        fn new() -> Self {
            let mut connections = Connections::new();
            let id = connections.open(0, Origin::Peer(0)).expect("room");
            let now = Instant::from_millis(1_000);
            let mut bench = Self { client: StoreClient::new(None), connections, id, now, outcomes: vec![] };
            bench.with(|client, context, _| client.opened(id, context));
            assert_eq!(bench.client.readiness(), Err(SendError::Away), "no sign of life yet");
            bench.receive("+PONG\r\n");
            assert_eq!(bench.sent(), "*1\r\n$4\r\nPING\r\n");
            bench
        }

        fn with<R>(
            &mut self,
            act: impl FnOnce(&mut StoreClient<u32>, &mut Context<'_>, &mut Vec<(u32, String)>) -> R,
        ) -> R {
            let mut context = Context {
                now: self.now,
                unix_time: Duration::ZERO,
                entropy: &mut NoEntropy,
                connections: &mut self.connections,
                disk: None,
            };
            act(&mut self.client, &mut context, &mut self.outcomes)
        }

        fn send(&mut self, token: u32) -> Result<(), SendError> {
            self.with(|client, context, _| client.send(&[b"LLEN", b"votes"], token, WITHIN, context))
        }

        fn receive(&mut self, replies: &str) {
            let input = &mut self.connections.get_mut(self.id).expect("open").input;
            input.write(replies.as_bytes()).expect("fits");
            self.ready();
        }

        fn ready(&mut self) {
            self.with(|client, context, outcomes| client.ready(context, note(outcomes)));
        }

        fn turn_after(&mut self, millis: u64) {
            self.now = self.now + Duration::from_millis(millis);
            self.with(|client, context, outcomes| client.turn(context, note(outcomes)));
        }

        fn sent(&mut self) -> String {
            let output = &mut self.connections.get_mut(self.id).expect("open").output;
            let text = String::from_utf8_lossy(output.as_slice()).to_string();
            output.clear();
            text
        }

        fn outcomes(&mut self) -> String {
            let texts: Vec<_> =
                self.outcomes.drain(..).map(|(token, text)| format!("{token}={text}")).collect();
            texts.join(" ")
        }
    }

    fn note(outcomes: &mut Vec<(u32, String)>) -> impl FnMut(u32, Outcome<'_>, &mut Context<'_>) + '_ {
        |token, outcome, _| {
            let text = match outcome {
                Outcome::Reply(Reply::Integer(number)) => number.to_string(),
                Outcome::Reply(reply) => format!("{reply:?}"),
                Outcome::Overdue => "overdue".to_string(),
                Outcome::Lost => "lost".to_string(),
            };
            outcomes.push((token, text));
        }
    }

    #[test]
    fn replies_go_to_their_commands_however_they_are_cut() {
        let mut bench = Bench::new();
        for token in 1..=3 {
            bench.send(token).expect("connected");
        }
        for piece in [":1", "0\r", "\n:2", "0\r\n:30\r\n"] {
            bench.receive(piece);
        }
        assert_eq!(bench.outcomes(), "1=10 2=20 3=30");
        assert_eq!(bench.client.pending(), 0);
    }

    #[test]
    fn a_late_reply_is_nobody_elses() {
        let mut bench = Bench::new();
        bench.send(1).expect("connected");
        assert_eq!(bench.client.next_deadline(), Some(bench.now + WITHIN));
        bench.turn_after(60);
        bench.send(2).expect("connected");
        bench.turn_after(40);
        assert_eq!(bench.outcomes(), "1=overdue");
        assert_eq!(bench.send(3), Err(SendError::Silent), "nothing more into the silence");
        bench.receive(":10\r\n");
        assert_eq!(bench.outcomes(), "", "the late reply is dropped");
        assert_eq!(bench.client.readiness(), Ok(()));
        bench.send(4).expect("the store speaks again");
        bench.receive(":20\r\n:40\r\n");
        assert_eq!(bench.outcomes(), "2=20 4=40");
    }

    #[test]
    fn a_silent_store_is_dialled_anew() {
        let mut bench = Bench::new();
        bench.send(1).expect("connected");
        bench.turn_after(100);
        let dropped_at = bench.client.next_deadline().expect("has one");
        assert_eq!(dropped_at, bench.now + OVERDUE_MAX);
        bench.turn_after(3_000);
        assert_eq!(bench.outcomes(), "1=overdue", "once, although the connection is lost as well");
        assert_eq!(bench.connections.get(bench.id).expect("open").ending(), Ending::Abort);
        assert_eq!(bench.send(2), Err(SendError::Away));
    }

    #[test]
    fn what_waits_at_the_end_of_the_connection_is_lost() {
        let mut bench = Bench::new();
        bench.send(1).expect("connected");
        bench.send(2).expect("connected");
        bench.receive(":10\r\n");
        let id = bench.id;
        bench.with(|client, context, outcomes| client.closed(id, context, note(outcomes)));
        assert_eq!(bench.outcomes(), "1=10 2=lost");
        assert_eq!(bench.client.readiness(), Err(SendError::Away));
        assert_eq!(bench.client.next_deadline(), None);
    }

    #[test]
    fn replies_before_the_stores_fin_still_count() {
        let mut bench = Bench::new();
        bench.send(1).expect("connected");
        bench.send(2).expect("connected");
        bench.connections.get_mut(bench.id).expect("open").input_ended = true;
        bench.receive(":10\r\n");
        assert_eq!(bench.outcomes(), "1=10 2=lost");
    }

    #[test]
    fn answers_that_are_no_replies_end_the_connection() {
        for wrong in ["HTTP/1.1 400 Bad Request\r\n", ":1\r\n:2\r\n"] {
            let mut bench = Bench::new();
            bench.send(1).expect("connected");
            bench.receive(wrong);
            assert_eq!(bench.connections.get(bench.id).expect("open").ending(), Ending::Abort, "{wrong}");
            assert_eq!(bench.send(2), Err(SendError::Away));
        }
    }

    #[test]
    fn a_quiet_connection_is_tried_now_and_then() {
        let mut bench = Bench::new();
        assert_eq!(bench.client.next_deadline(), Some(bench.now + PING_AFTER));
        bench.turn_after(5_000);
        assert_eq!(bench.sent(), "*1\r\n$4\r\nPING\r\n");
        bench.turn_after(900);
        assert_eq!(bench.client.readiness(), Err(SendError::Silent));
        bench.receive("+PONG\r\n");
        assert_eq!(bench.client.readiness(), Ok(()));
    }

    #[test]
    fn the_password_comes_first_and_its_refusal_is_told() {
        let mut bench = Bench::new();
        let id = bench.id;
        bench.client = StoreClient::new(Secret::new(b"open"));
        for refusal in ["-WRONGPASS invalid\r\n-NOAUTH Authentication required.\r\n", "+OK\r\n-NOAUTH x\r\n"]
        {
            bench.with(|client, context, _| client.opened(id, context));
            assert_eq!(bench.sent(), "*2\r\n$4\r\nAUTH\r\n$4\r\nopen\r\n*1\r\n$4\r\nPING\r\n");
            bench.receive(refusal);
            assert_eq!(bench.client.readiness(), Err(SendError::Refused));
            assert_eq!(bench.send(1), Err(SendError::Refused));
        }
        bench.with(|client, context, _| client.opened(id, context));
        bench.receive("+OK\r\n+PONG\r\n");
        assert_eq!(bench.client.readiness(), Ok(()));
        assert!(!format!("{:?}", bench.client).contains("open"));
    }

    #[test]
    fn errors_are_shown_without_what_they_quote() {
        let error = b"ERR unknown command 'RPUSH', with args beginning with: 'votes' '{\"voter_id\":\"00ff";
        assert_eq!(without_arguments(error), b"ERR unknown command 'RPUSH'");
        assert_eq!(without_arguments(b"OOM x"), b"OOM x");
    }

    #[test]
    fn the_number_of_waiting_commands_is_bounded() {
        let mut bench = Bench::new();
        for token in 0..PENDING_COMMANDS_MAX {
            bench.send(u32::try_from(token).expect("small")).expect("connected");
            bench.sent();
        }
        assert_eq!(bench.send(9_999), Err(SendError::Busy));
    }
}
