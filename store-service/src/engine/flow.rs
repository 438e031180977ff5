//! The flow from input to requests and from replies to output.
//!
//! It knows no command.

use core::mem;

use kernel_app::connections::OUTPUT_LOW_WATER_BYTES;
use kernel_app::{Buffer, ConnectionId, Context, Instant};

use super::{Engine, LogPaces};
use crate::journal::Progress;
use crate::limits::{CLIENTS_MAX, COMMIT_WAIT_MAX, REPLY_STALL_MAX};
use crate::session::{Client, Session};

impl Engine {
    /// Takes a client on, or tells it that there are too many.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.sessions.len() >= CLIENTS_MAX {
            self.counts.clients_refused += 1;
            if let Some(connection) = context.connections.get_mut(id) {
                // Cannot be full: nothing else was written.
                let _ = connection.output.write(b"-ERR max number of clients reached\r\n");
            }
            return context.connections.close(id);
        }
        self.counts.clients += 1;
        self.sessions.add(Session::new(id, self.counts.clients));
    }

    /// Forgets a client, which then waits for nothing any more.
    pub fn closed(&mut self, id: ConnectionId) {
        let Some(mut session) = self.sessions.remove(id) else { return };
        self.stop_waiting(&mut session.client);
        self.forget_transaction(&mut session.client);
        self.replies_bytes = self.replies_bytes.saturating_sub(session.client.replies.len());
    }

    /// Works through a client's input.
    pub fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Some(mut session) = self.sessions.take(id) else { return };
        if let Some(connection) = context.connections.get_mut(id) {
            let mut input = mem::take(&mut connection.input);
            let (ended, waiting) = (connection.input_ended, connection.output.len());
            self.work_through(&mut session, &mut input, waiting, context);
            if let Some(connection) = context.connections.get_mut(id) {
                connection.input = input;
            }
            let client = &mut session.client;
            if ended && !client.paused && !client.held {
                // Nobody is there to take an element that comes later.
                self.stop_waiting(client);
                client.closing = true;
            }
            if !client.replies.is_empty() || client.closing || client.paused {
                self.list(client);
            }
        }
        self.sessions.put_back(session);
        self.relieve(context);
    }

    /// Deals with the requests in `input`, as long as the client takes the replies.
    fn work_through(
        &mut self,
        session: &mut Session,
        input: &mut Buffer,
        waiting: usize,
        context: &mut Context<'_>,
    ) {
        let Session { framer, client, .. } = session;
        let before = client.replies.len();
        let mut rest = input.as_slice();
        client.paused = false;
        while !client.closing && client.wait.is_none() {
            if client.replies.len() + waiting > OUTPUT_LOW_WATER_BYTES {
                client.paused = true;
                break;
            }
            match framer.next(rest) {
                Ok(Some(frame)) if self.holds(client, frame.args) => break,
                Ok(Some(frame)) => {
                    rest = rest.get(frame.bytes..).unwrap_or_default();
                    if !frame.args.is_empty() {
                        self.request(client, frame.args, context);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    log::debug!("a client sent no RESP: {error}");
                    client.error(&[alloc::format!("ERR {error}")]);
                    client.closing = true;
                }
            }
        }
        let left = if client.closing { 0 } else { rest.len() };
        input.consume(input.len() - left);
        self.replies_bytes += client.replies.len().saturating_sub(before);
    }

    /// The end of a turn: gives up waits whose time is up, commits, and hands replies to the network.
    pub fn turn(&mut self, context: &mut Context<'_>) {
        self.give_up_waits(context);
        loop {
            while let Some(id) = self.resumed.pop_front() {
                self.ready(id, context);
            }
            let progress = self.commit(context);
            self.release(progress, context);
            if self.resumed.is_empty() {
                return self.tell(context.now);
            }
        }
    }

    /// Disconnects the clients who have asked for nothing that they are still owed. Those who wait for an element
    /// are promised none.
    pub fn dismiss_clients(&mut self, context: &mut Context<'_>) {
        for client in self.sessions.clients().filter(|client| client.replies.is_empty()) {
            let connection = context.connections.get(client.id);
            if connection.is_some_and(|connection| connection.is_client() && connection.input.is_empty()) {
                context.connections.close(client.id);
            }
        }
    }

    /// When `turn` must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let stall = self.stall_since.map(|since| since + REPLY_STALL_MAX);
        let commit = self.uncommitted_since.map(|since| since + COMMIT_WAIT_MAX);
        let journal = self.journal.as_ref().and_then(|journal| journal.next_deadline());
        let loads = self.opening.as_ref().map(|_| Instant::ZERO);
        Instant::earliest([self.waiters.next_deadline(), stall, commit, journal, loads])
    }

    /// Notes that something is to be done for a client at the turn's end.
    pub(super) fn list(&mut self, client: &mut Client) {
        if !client.listed {
            client.listed = true;
            self.listed.push(client.id);
        }
    }

    /// Moves replies to the connections' outputs, as far as what they tell is durable; those that stay
    /// keep their clients listed.
    fn release(&mut self, progress: Progress, context: &mut Context<'_>) {
        let mut listed = mem::take(&mut self.listed);
        self.replies_bytes = 0;
        (self.stall_since, self.uncommitted_since) = (None, None);
        listed.retain(|id| {
            let Some(client) = self.sessions.client(*id) else { return false };
            client.note(progress);
            let resumes = hand_over(client, context, &mut self.log_paces);
            let listed = !client.replies.is_empty();
            client.listed = listed;
            self.replies_bytes += client.replies.len();
            keep_earlier(&mut self.stall_since, client.stalled_since);
            keep_earlier(&mut self.uncommitted_since, client.uncommitted_since);
            if resumes {
                self.resumed.push_back(*id);
            }
            self.sessions.recount(*id);
            listed
        });
        self.listed = listed;
    }
}

fn keep_earlier(earliest: &mut Option<Instant>, since: Option<Instant>) {
    *earliest = Instant::earliest([*earliest, since]);
}

/// Moves a client's durable replies to its connection's output, and ends the connection if those were all
/// and it is to end, if it takes nothing for too long, or if the disk takes too long. Says whether the client
/// may go on with its input.
fn hand_over(client: &mut Client, context: &mut Context<'_>, paces: &mut LogPaces) -> bool {
    let id = client.id;
    let Some(connection) = context.connections.get_mut(id) else { return false };
    let moved = connection.output.write_some(client.durable_replies());
    client.consume_replies(moved);
    if client.replies.is_empty() {
        (client.stalled_since, client.uncommitted_since) = (None, None);
        client.shrink_replies();
        let drained = connection.output.len() <= OUTPUT_LOW_WATER_BYTES;
        if client.closing {
            context.connections.close(id);
        }
        return client.paused && drained && !client.closing;
    }
    let waits_for_client = client.durable > 0;
    for (since, waits) in
        [(&mut client.stalled_since, waits_for_client), (&mut client.uncommitted_since, !waits_for_client)]
    {
        *since = since.filter(|_| waits && moved == 0).or(waits.then_some(context.now));
    }
    let past = |since: Option<Instant>, limit| since.is_some_and(|since| context.now.since(since) >= limit);
    if past(client.stalled_since, REPLY_STALL_MAX) {
        if paces.stalled.allows(context.now) {
            log::warn!("client {} has read no reply for {REPLY_STALL_MAX:?}: disconnected", client.number);
        }
        drop_client(client, context);
    } else if past(client.uncommitted_since, COMMIT_WAIT_MAX) {
        if paces.uncommitted.allows(context.now) {
            log::warn!("client {} has waited {COMMIT_WAIT_MAX:?} for the disk: disconnected", client.number);
        }
        drop_client(client, context);
    }
    false
}

/// Ends a connection at once; replies are lost.
pub(super) fn drop_client(client: &mut Client, context: &mut Context<'_>) {
    client.replies.clear();
    client.closing = true;
    (client.stalled_since, client.uncommitted_since) = (None, None);
    context.connections.abort(client.id);
}
