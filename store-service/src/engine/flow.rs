//! Input to requests and replies to output: what makes the engine move.
//!
//! Knows no command.

use core::mem;

use kernel_app::connections::OUTPUT_LOW_WATER_BYTES;
use kernel_app::{Buffer, ConnectionId, Context, Instant};

use super::Engine;
use crate::keyspace::Keyspace;
use crate::limits::{CLIENTS_MAX, REPLY_STALL_MAX};
use crate::session::{Client, Session};

impl Engine {
    /// Takes a client on, or tells it that there are too many.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.started.is_none() {
            self.started = Some(context.now);
            // The first entropy there is. Data would have to be hashed again, but there is none yet.
            let secret = [context.entropy.next_u64(), context.entropy.next_u64()];
            self.keyspace = Keyspace::new(self.keyspace.bytes_max(), secret);
        }
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
            if ended && !client.paused {
                // Nobody is there to take an element that comes later.
                self.stop_waiting(client);
                client.closing = true;
            }
            if !client.replies.is_empty() || client.closing || client.paused {
                self.list(client);
            }
        }
        self.sessions.put_back(session);
    }

    /// Deals with the requests in `input`, as long as the client takes the replies.
    fn work_through(
        &mut self,
        session: &mut Session,
        input: &mut Buffer,
        waiting: usize,
        context: &mut Context<'_>,
    ) {
        let Session { framer, client } = session;
        let before = client.replies.len();
        let mut consumed = 0;
        client.paused = false;
        while !client.closing && client.wait.is_none() {
            if client.replies.len() + waiting > OUTPUT_LOW_WATER_BYTES {
                client.paused = true;
                break;
            }
            match framer.next(&input.as_slice()[consumed..]) {
                Ok(Some(frame)) => {
                    consumed += frame.bytes;
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
        input.consume(if client.closing { input.len() } else { consumed });
        self.replies_bytes += client.replies.len().saturating_sub(before);
    }

    /// The end of a turn: gives up waits whose time is up, commits, and hands replies to the network.
    pub fn turn(&mut self, context: &mut Context<'_>) {
        self.give_up_waits(context);
        loop {
            while let Some(id) = self.resumed.pop_front() {
                self.ready(id, context);
            }
            self.commit();
            self.release(context);
            if self.resumed.is_empty() {
                return;
            }
        }
    }

    /// Makes the turn's changes durable, all at once. Until this returns no client has seen a reply to
    /// any of them. Data lives in memory only, so there is nothing to be done.
    fn commit(&mut self) {
        if self.full && self.keyspace.bytes() <= self.keyspace.bytes_max() {
            self.full = false;
            log::info!("memory is no longer full: pushes are accepted again");
        }
    }

    /// When `turn` must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let stall = self.stall_since.map(|since| since + REPLY_STALL_MAX);
        [self.waiters.next_deadline(), stall].into_iter().flatten().min()
    }

    /// Notes that something is to be done for a client at the turn's end.
    pub(super) fn list(&mut self, client: &mut Client) {
        if !client.listed {
            client.listed = true;
            self.listed.push(client.id);
        }
    }

    /// Moves replies to the connections' outputs; those that do not fit stay listed.
    fn release(&mut self, context: &mut Context<'_>) {
        let mut listed = mem::take(&mut self.listed);
        self.replies_bytes = 0;
        self.stall_since = None;
        listed.retain(|id| {
            let Some(client) = self.sessions.client(*id) else { return false };
            let resumes = hand_over(client, context);
            client.listed = !client.replies.is_empty();
            self.replies_bytes += client.replies.len();
            if let Some(since) = client.stalled_since {
                self.stall_since = Some(self.stall_since.map_or(since, |earliest| earliest.min(since)));
            }
            if resumes {
                self.resumed.push_back(*id);
            }
            client.listed
        });
        self.listed = listed;
    }
}

/// Moves a client's replies to its connection's output, and ends the connection if that was all or it
/// takes nothing for too long. Says whether the client may go on with its input.
fn hand_over(client: &mut Client, context: &mut Context<'_>) -> bool {
    let id = client.id;
    let Some(connection) = context.connections.get_mut(id) else { return false };
    let moved = connection.output.write_some(client.replies.as_slice());
    client.replies.consume(moved);
    if client.replies.is_empty() {
        client.stalled_since = None;
        client.shrink_replies();
        let drained = connection.output.len() <= OUTPUT_LOW_WATER_BYTES;
        if client.closing {
            context.connections.close(id);
        }
        return client.paused && drained && !client.closing;
    }
    let since = *client.stalled_since.get_or_insert(context.now);
    if moved > 0 {
        client.stalled_since = Some(context.now);
    } else if context.now.since(since) >= REPLY_STALL_MAX {
        log::warn!(
            "client {} has taken no reply for {} s: dropped",
            client.number,
            REPLY_STALL_MAX.as_secs()
        );
        client.replies.clear();
        client.stalled_since = None;
        context.connections.abort(id);
    }
    false
}
