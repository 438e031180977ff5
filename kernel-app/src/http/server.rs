//! The server: one `wire::http::Session` for each connection, and the order of their events.
//!
//! It neither parses nor routes.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::builtin::{self, Outcome, Scope};
use super::statistics::Statistics;
use super::{Answer, Exchange, Handler, Method, PushError, Response};
use crate::connections::{
    CONNECTIONS_MAX, Connection, ConnectionId, Ending, INPUT_BYTES_MAX, OUTPUT_LOW_WATER_BYTES,
};
use crate::pace::LogPace;
use crate::service::Context;
use crate::shutdown::ShutdownPhase;
use crate::usage::Usage;
use wire::http::date::DateLine;
use wire::http::limits::{CHUNK_OVERHEAD_BYTES_MAX, HEAD_BYTES_MAX, SHORTEST_WAIT};
use wire::http::session::Expiry;
use wire::http::{HeadReader, Received, Refusal, Session};
use wire::{Buffer, Instant};

/// Most pipelined requests of one connection that are answered before others get their turn.
pub const REQUESTS_AT_ONCE_MAX: usize = 32;

/// How many heads are remembered: that of each connection, and of others whose place is the same by this number.
const HEADS: usize = 16;

/// A whole request must fit in the input of its connection.
const BODY_BYTES_MAX: usize = INPUT_BYTES_MAX - HEAD_BYTES_MAX - CHUNK_OVERHEAD_BYTES_MAX;

/// HTTP on the connections of a service; see the module above.
#[derive(Debug)]
pub struct HttpServer {
    body_bytes_max: usize,
    /// The listener that has `/metrics` and none of the handler's routes, if there is such a one.
    health_listener: Option<usize>,
    /// At each connection's [`ConnectionId::index`].
    sessions: Vec<Option<Tracked>>,
    open: usize,
    /// The last heads that were read; see [`HEADS`].
    heads: Box<[HeadReader; HEADS]>,
    /// Connections whose next request may be waiting in their input already, each of them once.
    unfinished: VecDeque<ConnectionId>,
    /// When deadlines must be looked at next; never later than the earliest of them.
    check_at: Option<Instant>,
    date: DateLine,
    statistics: Statistics,
    /// What connections have been told of the node's end.
    phase: ShutdownPhase,
    /// Of answers that have no room.
    log_pace: LogPace,
}

#[derive(Debug)]
struct Tracked {
    id: ConnectionId,
    session: Session,
    /// Whether it is among [`HttpServer::unfinished`].
    is_unfinished: bool,
}

/// Whether a connection's input is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    Event,
}

impl HttpServer {
    /// A server that takes request bodies of at most `body_bytes_max` bytes, or the 32 KiB that fit in any case.
    pub fn new(body_bytes_max: usize) -> Self {
        Self {
            body_bytes_max: body_bytes_max.min(BODY_BYTES_MAX),
            health_listener: None,
            sessions: Vec::new(),
            open: 0,
            heads: Box::default(),
            unfinished: VecDeque::new(),
            check_at: None,
            date: DateLine::default(),
            statistics: Statistics::default(),
            phase: ShutdownPhase::Open,
            log_pace: LogPace::default(),
        }
    }

    /// The same with `/metrics` for those only who come by the listener of this index; they have no other pages than
    /// those of every server.
    #[must_use]
    pub fn with_health_listener(self, index: usize) -> Self {
        Self { health_listener: Some(index), ..self }
    }

    /// Takes a connection on.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.sessions.len() <= id.index() {
            self.sessions.reserve(context.connections.places().saturating_sub(self.sessions.len()));
            self.sessions.resize_with(id.index() + 1, || None);
        }
        let mut session = Session::new(self.body_bytes_max, context.now);
        if self.phase != ShutdownPhase::Open {
            session.dismiss();
        }
        let tracked = Tracked { id, session, is_unfinished: false };
        if self.sessions[id.index()].replace(tracked).is_none() {
            self.open += 1;
        }
        context.connections.set_idle(id, Some(context.now));
        self.statistics.start(context.now);
        self.check_by(context.now + SHORTEST_WAIT);
    }

    /// Works through a connection's input. Ignores connections that were not `opened` here.
    pub fn ready<H: Handler>(&mut self, id: ConnectionId, handler: &mut H, context: &mut Context<'_>) {
        self.check_by(context.now + SHORTEST_WAIT);
        for _ in 0..REQUESTS_AT_ONCE_MAX {
            if self.advance(id, handler, context) != Some(Next::Request) {
                return;
            }
        }
        self.go_on_later(id);
    }

    /// Notes that a connection's input is to be worked through in the next turn.
    fn go_on_later(&mut self, id: ConnectionId) {
        if let Some(tracked) = tracked(&mut self.sessions, id).filter(|tracked| !tracked.is_unfinished) {
            tracked.is_unfinished = true;
            self.unfinished.push_back(id);
        }
    }

    /// Forgets a connection and names its last exchange, which may still wait for an answer or be streamed.
    pub fn closed(&mut self, id: ConnectionId) -> Option<Exchange> {
        let place = self.sessions.get_mut(id.index())?;
        let Tracked { session, .. } = place.take_if(|tracked| tracked.id == id)?;
        self.open -= 1;
        Some(Exchange { connection: id, serial: session.serial() })
    }

    /// Acts on deadlines and goes on with connections that have more to do. Call it in `Service::turn`.
    pub fn turn<H: Handler>(&mut self, handler: &mut H, context: &mut Context<'_>) {
        self.statistics.start(context.now);
        if self.phase != context.connections.shutdown_phase() {
            self.phase = context.connections.shutdown_phase();
            self.dismiss_all(context);
        }
        for _ in 0..self.unfinished.len() {
            let Some(id) = self.unfinished.pop_front() else { break };
            let Some(tracked) = tracked(&mut self.sessions, id) else { continue };
            tracked.is_unfinished = false;
            self.ready(id, handler, context);
            context.connections.relieve_memory();
        }
        if self.check_at.is_some_and(|at| at <= context.now) {
            self.check_all(context);
        }
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("HTTP connections to go on with", self.unfinished.len(), CONNECTIONS_MAX));
        report(Usage::new("HTTP connections", self.open, CONNECTIONS_MAX));
    }

    /// When `turn` must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.unfinished.is_empty() { self.check_at } else { Some(Instant::ZERO) }
    }

    /// Answers an exchange whose handler said [`Answer::Later`]; does nothing when it is gone.
    pub fn respond(&mut self, exchange: Exchange, response: &Response<'_>, context: &mut Context<'_>) {
        let id = exchange.connection;
        let Some(session) = session(&mut self.sessions, id) else { return };
        context.connections.relieve_memory();
        if session.is_answering(exchange.serial) {
            self.write(id, response, context);
            self.go_on(id, context);
        }
    }

    /// Adds to a stream: all of `bytes`, or nothing.
    ///
    /// # Errors
    /// When the exchange is gone, or the output is full.
    pub fn push(
        &mut self,
        exchange: Exchange,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), PushError> {
        let waiting = context.connections.get(exchange.connection).map_or(0, |found| found.output.len());
        if !context.connections.allow(exchange.connection, waiting + bytes.len()) {
            return Err(PushError::Gone);
        }
        let Some((session, connection)) = self.stream(exchange, context) else { return Err(PushError::Gone) };
        let before = connection.output.len();
        session.push(bytes, &mut connection.output).map_err(|_| PushError::Full)?;
        let written = connection.output.len() - before;
        self.statistics.sent_bytes.add(written as u64);
        self.check_by(context.now + SHORTEST_WAIT);
        Ok(())
    }

    /// Ends a stream's body.
    pub fn finish(&mut self, exchange: Exchange, context: &mut Context<'_>) {
        let now = context.now;
        let Some((session, connection)) = self.stream(exchange, context) else { return };
        let id = exchange.connection;
        match session.finish(now, &mut connection.output) {
            Ok(()) => self.go_on(id, context),
            Err(_) => self.abort(id, context),
        }
    }

    /// Reads one request, if there is one, and has it answered.
    fn advance<H: Handler>(
        &mut self,
        id: ConnectionId,
        handler: &mut H,
        context: &mut Context<'_>,
    ) -> Option<Next> {
        let session = session(&mut self.sessions, id)?;
        let connection = context.connections.get(id)?;
        let output_bytes = connection.output.len();
        if connection.ending() == Ending::Abort || !context.connections.allow(id, output_bytes) {
            return None;
        }
        let connection = context.connections.get_mut(id)?;
        if session.is_over() {
            connection.input.clear();
            return None;
        }
        if session.is_receiving() && connection.output.len() > OUTPUT_LOW_WATER_BYTES {
            return None;
        }
        // Taken out for the moment, so that the handler may have the table while the request borrows the input.
        let mut input = core::mem::take(&mut connection.input);
        let heads = &mut self.heads[id.index() % HEADS];
        let ended = connection.input_ended;
        let scope = Scope::of(connection.origin, self.health_listener);
        let received = session.receive(input.as_slice(), ended, context.now, heads, &mut connection.output);
        match received {
            Received::Request { request, bytes, serial } => {
                let exchange = Exchange { connection: id, serial };
                let own = (&self.statistics, self.open, scope);
                let outcome = builtin::answer(&request, exchange, handler, own, context);
                input.consume(bytes);
                self.statistics.received_bytes.add(bytes as u64);
                give_back(id, input, context)?;
                self.settle(id, outcome, context);
                Some(self.after_answer(id, context))
            }
            Received::Wait => {
                give_back(id, input, context)?;
                note_activity(session, id, session.since(), context);
                Some(Next::Event)
            }
            Received::Refused(refusal) => {
                input.clear();
                give_back(id, input, context)?;
                self.refuse(id, refusal, context);
                Some(Next::Event)
            }
            Received::Ended => {
                input.clear();
                give_back(id, input, context)?;
                session.end();
                context.connections.close(id);
                Some(Next::Event)
            }
        }
    }

    fn settle(&mut self, id: ConnectionId, outcome: Outcome<'_>, context: &mut Context<'_>) {
        match outcome {
            Outcome::Handler(Answer::Now(response)) => self.write(id, &response, context),
            Outcome::Handler(Answer::Later) => {}
            Outcome::Handler(Answer::Stream { content_type, headers }) => {
                self.start_stream(id, content_type, headers, context);
            }
            Outcome::Page { status, content_type, body } => {
                self.write(id, &Response::new(status, content_type, body.as_bytes()), context);
            }
            Outcome::WithLine { status, line } => {
                self.write(id, &builtin::plain(status).with_headers(&[&line]), context);
            }
        }
    }

    /// Writes the answer to the request that a connection waits for; without room for it, a 500.
    fn write(&mut self, id: ConnectionId, response: &Response<'_>, context: &mut Context<'_>) {
        if !self.try_write(id, response, context) {
            self.write_too_large(id, response.body.len(), context);
        }
    }

    #[cold]
    fn write_too_large(&mut self, id: ConnectionId, bytes: usize, context: &mut Context<'_>) {
        if self.log_pace.allows(context.now) {
            log::error!("the answer of {bytes} bytes does not fit in the output: 500 instead");
        }
        if !self.try_write(id, &builtin::plain(500), context) {
            self.abort(id, context);
        }
    }

    fn try_write(&mut self, id: ConnectionId, response: &Response<'_>, context: &mut Context<'_>) -> bool {
        let Some(session) = session(&mut self.sessions, id) else { return true };
        let Some(connection) = context.connections.get_mut(id) else { return true };
        if connection.ending() == Ending::Abort {
            return true;
        }
        let date = self.date.at(context.unix_time.as_secs());
        let arrived = session.since();
        let before = connection.output.len();
        let written = session.answer(response, date, context.now, &mut connection.output).is_ok();
        if written {
            connection.has_answered = true;
            self.statistics.sent_bytes.add((connection.output.len() - before) as u64);
            self.statistics.answered(session.method(), response.status, context.now.since(arrived));
        }
        written
    }

    fn start_stream(
        &mut self,
        id: ConnectionId,
        content_type: &str,
        headers: &[&str],
        context: &mut Context<'_>,
    ) {
        let Some(session) = session(&mut self.sessions, id) else { return };
        let Some(connection) = context.connections.get_mut(id) else { return };
        let date = self.date.at(context.unix_time.as_secs());
        let before = connection.output.len();
        match session.start_stream(content_type, headers, date, context.now, &mut connection.output) {
            Ok(()) => {
                connection.has_answered = true;
                self.statistics.sent_bytes.add((connection.output.len() - before) as u64);
                self.statistics.refused(session.method(), 200);
            }
            Err(_) => self.abort(id, context),
        }
    }

    fn refuse(&mut self, id: ConnectionId, refusal: Refusal, context: &mut Context<'_>) {
        let Some(session) = session(&mut self.sessions, id) else { return };
        let Some(connection) = context.connections.get_mut(id) else { return };
        let date = self.date.at(context.unix_time.as_secs());
        let before = connection.output.len();
        let written = session.refuse(refusal, date, context.now, &mut connection.output).is_ok();
        self.statistics.sent_bytes.add((connection.output.len() - before) as u64);
        self.statistics.refused(Method::Other, refusal.status());
        if written {
            context.connections.close(id);
        } else {
            self.abort(id, context);
        }
    }

    fn abort(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if let Some(session) = session(&mut self.sessions, id) {
            session.end();
        }
        context.connections.abort(id);
    }

    /// What is left to do on a connection after an answer.
    fn after_answer(&mut self, id: ConnectionId, context: &mut Context<'_>) -> Next {
        let Some(session) = session(&mut self.sessions, id) else { return Next::Event };
        if session.is_over() {
            context.connections.close(id);
            return Next::Event;
        }
        let more = |connection: &Connection| connection.input_ended || !connection.input.is_empty();
        if context.connections.get(id).is_some_and(more) {
            return Next::Request;
        }
        note_activity(session, id, context.now, context);
        Next::Event
    }

    /// The same when there is no handler at hand for the next request.
    fn go_on(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.check_by(context.now + SHORTEST_WAIT);
        if self.after_answer(id, context) == Next::Request {
            self.go_on_later(id);
        }
    }

    fn stream<'a>(
        &'a mut self,
        exchange: Exchange,
        context: &'a mut Context<'_>,
    ) -> Option<(&'a mut Session, &'a mut Connection)> {
        let session = session(&mut self.sessions, exchange.connection)?;
        let connection = context.connections.get_mut(exchange.connection)?;
        session.is_streaming(exchange.serial).then_some((session, connection))
    }

    /// Makes the next answer of each connection its last one; once no more are taken, ends streams and what is
    /// idle, and in the end answers who waits for that.
    fn dismiss_all(&mut self, context: &mut Context<'_>) {
        for index in 0..self.sessions.len() {
            let Some(Tracked { id, session, .. }) = &mut self.sessions[index] else { continue };
            let id = *id;
            session.dismiss();
            if self.phase < ShutdownPhase::Draining {
                continue;
            }
            let (serial, is_idle) = (session.serial(), session.is_idle());
            let exchange = Exchange { connection: id, serial };
            let Some(connection) = context.connections.get_mut(id) else { continue };
            if session.is_streaming(serial) {
                self.finish(exchange, context);
            } else if is_idle && connection.input.is_empty() {
                connection.holds_drain = false;
                session.end();
                context.connections.close(id);
            } else if !connection.holds_drain
                && let Some(response) = builtin::drained(self.phase)
            {
                self.respond(exchange, &response, context);
            }
        }
    }

    fn check_by(&mut self, deadline: Instant) {
        if self.check_at.is_none_or(|at| deadline < at) {
            self.check_at = Some(deadline);
        }
    }

    /// Looks at the time of every connection.
    fn check_all(&mut self, context: &mut Context<'_>) {
        self.check_at = None;
        for index in 0..self.sessions.len() {
            let Some(Tracked { id, session, .. }) = &mut self.sessions[index] else { continue };
            let id = *id;
            let output_bytes = context.connections.get(id).map_or(0, |connection| connection.output.len());
            let check = session.check(context.now, output_bytes);
            if let Some(expiry) = check.expiry {
                self.expire(id, expiry, context);
            }
            let _ = check.next.map(|next| self.check_by(next.max(context.now + SHORTEST_WAIT / 100)));
        }
    }

    fn expire(&mut self, id: ConnectionId, expiry: Expiry, context: &mut Context<'_>) {
        match expiry {
            Expiry::Idle => {
                if let Some(session) = session(&mut self.sessions, id) {
                    session.end();
                }
                context.connections.close(id);
            }
            Expiry::Request => self.refuse(id, Refusal::TimedOut, context),
            Expiry::Answer => {
                self.write(id, &builtin::plain(503), context);
                self.go_on(id, context);
            }
            Expiry::Output => self.abort(id, context),
        }
    }
}

fn session(sessions: &mut [Option<Tracked>], id: ConnectionId) -> Option<&mut Session> {
    tracked(sessions, id).map(|tracked| &mut tracked.session)
}

fn tracked(sessions: &mut [Option<Tracked>], id: ConnectionId) -> Option<&mut Tracked> {
    sessions.get_mut(id.index())?.as_mut().filter(|tracked| tracked.id == id)
}

/// Tells the table whether the connection could make room for another.
fn note_activity(session: &Session, id: ConnectionId, since: Instant, context: &mut Context<'_>) {
    if session.is_streaming(session.serial()) {
        context.connections.set_streaming(id, session.since());
    } else {
        context.connections.set_idle(id, session.is_receiving().then_some(since));
    }
}

/// Puts the input back into the table; none when the connection has gone meanwhile.
fn give_back(id: ConnectionId, input: Buffer, context: &mut Context<'_>) -> Option<()> {
    context.connections.get_mut(id)?.input = input;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::{Connections, HeapUsage};
    use crate::service::Origin;
    use ether::random::NoEntropy;

    #[test]
    fn the_first_connection_allocates_memory_for_all() {
        let mut connections = Connections::new();
        connections.watch_memory(1_000, || false, || HeapUsage { used_bytes: 1, free_bytes: 1 });
        let mut server = HttpServer::new(64);
        let id = connections.open(0, Origin::Accepted(0)).expect("room");
        let mut context = Context {
            now: Instant::ZERO,
            unix_time: core::time::Duration::ZERO,
            entropy: &mut NoEntropy,
            connections: &mut connections,
            disk: None,
        };
        server.opened(id, &mut context);
        assert!(server.sessions.capacity() >= 1_000, "{}", server.sessions.capacity());
    }
}
