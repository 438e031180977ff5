//! `BLPOP`, `BRPOP` and `BLMOVE`: clients that wait for elements, first come, first served.
//!
//! The order is that of Redis: clients that wait for a key are served immediately after a push to it, and after a
//! whole transaction for any of its keys.

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::{Buffer, ConnectionId, Context};
use wire::resp::{Args, write};

use super::Engine;
use crate::command::Command;
use crate::failure::Failure;
use crate::keyspace::{End, Keyspace};
use crate::limits::REPLY_BYTES_SCARCE;
use crate::session::Client;
use crate::timeout;
use crate::waiters::{Action, Wait};

impl Engine {
    /// `BLPOP` and `BRPOP`.
    pub(super) fn pop_or_wait(
        &mut self,
        client: &mut Client,
        command: Command,
        args: Args<'_>,
        alone: bool,
        context: &Context<'_>,
    ) -> Result<(), Failure> {
        let end = if command == Command::BLPop { End::Left } else { End::Right };
        let keys = args.len() - 2;
        let timeout = timeout::parse(&args[args.len() - 1], context.unix_time)?;
        for key in args.iter().skip(1).take(keys) {
            if pop_with_key(&mut self.keyspace, key, end, &mut client.replies)? {
                self.took(key, end);
                return Ok(());
            }
        }
        if !alone {
            return Ok(write::null_array(&mut client.replies)?);
        }
        let mut wanted: Vec<Box<[u8]>> = Vec::with_capacity(keys);
        for key in args.iter().skip(1).take(keys) {
            if !wanted.iter().any(|other| **other == *key) {
                wanted.push(key.into());
            }
        }
        let deadline = timeout.map(|timeout| context.now + timeout);
        self.wait(client, Wait { keys: wanted, action: Action::Pop(end), deadline })
    }

    /// `BLMOVE`.
    pub(super) fn move_or_wait(
        &mut self,
        client: &mut Client,
        args: Args<'_>,
        alone: bool,
        context: &Context<'_>,
    ) -> Result<(), Failure> {
        let ends = (End::parse(&args[3])?, End::parse(&args[4])?);
        let timeout = timeout::parse(&args[5], context.unix_time)?;
        let (source, destination) = (&args[1], &args[2]);
        if self.keyspace.move_one(source, destination, ends, &mut client.replies)? {
            self.moved(source, destination, ends);
            return Ok(());
        }
        if !alone {
            return Ok(write::null(&mut client.replies)?);
        }
        let deadline = timeout.map(|timeout| context.now + timeout);
        let action = Action::Move { destination: destination.into(), ends };
        self.wait(client, Wait { keys: Vec::from([source.into()]), action, deadline })
    }

    fn wait(&mut self, client: &mut Client, wait: Wait) -> Result<(), Failure> {
        self.waiters.add(client.id, &wait)?;
        client.wait = Some(wait);
        Ok(())
    }

    /// Ends a client's wait, if it has one, without a reply.
    pub(super) fn stop_waiting(&mut self, client: &mut Client) -> Option<Wait> {
        let wait = client.wait.take()?;
        self.waiters.remove(client.id, &wait);
        Some(wait)
    }

    /// Serves those who wait for `key`, and those who wait for what they then push in their turn.
    pub(super) fn serve(&mut self, key: &[u8], context: &mut Context<'_>) {
        if self.waiters.first(key).is_none() {
            return;
        }
        let mut pushed = Vec::from([Box::from(key)]);
        let mut next = 0;
        // Ends: every further key is that of a client that waits no more.
        while let Some(key) = pushed.get(next).cloned() {
            next += 1;
            while self.keyspace.list_len(&key) > 0
                && let Some(id) = self.waiters.first(&key)
            {
                pushed.extend(self.serve_one(id, &key, context));
            }
        }
    }

    /// Gives a waiting client the next element of `key`; the key it pushed it to, if it did.
    fn serve_one(&mut self, id: ConnectionId, key: &[u8], context: &mut Context<'_>) -> Option<Box<[u8]>> {
        let mut session = self.sessions.take(id)?;
        let client = &mut session.client;
        let wait = self.stop_waiting(client);
        let gone = context.connections.get(id).is_none_or(|connection| connection.input_ended);
        let mut pushed = None;
        match wait {
            // Whoever waits behind gets what the one who hung up cannot take.
            _ if gone => client.closing = true,
            Some(Wait { action: Action::Pop(end), .. }) => {
                let command = if end == End::Left { Command::BLPop } else { Command::BRPop };
                let keyspace = &mut self.keyspace;
                let popped = client.reply(command, REPLY_BYTES_SCARCE, |client| {
                    pop_with_key(keyspace, key, end, &mut client.replies).map(|_| ())
                });
                if popped.is_ok() {
                    self.took(key, end);
                }
            }
            Some(Wait { action: Action::Move { destination, ends }, .. }) => {
                let keyspace = &mut self.keyspace;
                let moved = client.reply(Command::BLMove, REPLY_BYTES_SCARCE, |client| {
                    keyspace.admit_move(&destination)?;
                    keyspace.move_one(key, &destination, ends, &mut client.replies).map(|_| ())
                });
                match moved {
                    Err(failure) => self.refused(failure),
                    Ok(()) => {
                        self.moved(key, &destination, ends);
                        pushed = Some(destination);
                    }
                }
            }
            None => {}
        }
        self.end_unit();
        self.resume(client);
        self.sessions.put_back(session);
        pushed
    }

    /// Notes that an element was taken, as `LPOP` or `RPOP`.
    fn took(&mut self, key: &[u8], end: End) {
        self.watches.touch(key);
        self.log([end.pop(), key]);
    }

    /// Notes that an element was moved, as `LMOVE`.
    fn moved(&mut self, source: &[u8], destination: &[u8], ends: (End, End)) {
        self.watches.touch(source);
        self.watches.touch(destination);
        self.log([b"LMOVE", source, destination, ends.0.word(), ends.1.word()]);
    }

    /// Tells the clients whose time is up that there was nothing.
    pub(super) fn give_up_waits(&mut self, context: &Context<'_>) {
        while let Some(id) = self.waiters.due(context.now) {
            let Some(mut session) = self.sessions.take(id) else { return };
            self.stop_waiting(&mut session.client);
            session.client.null_array();
            self.resume(&mut session.client);
            self.sessions.put_back(session);
        }
    }

    /// Lets a client that waits no more have its reply and go on with its input.
    fn resume(&mut self, client: &mut Client) {
        self.list(client);
        self.resumed.push_back(client.id);
    }
}

/// Takes an element and writes it after its key; `false` and nothing written when there is none.
fn pop_with_key(keyspace: &mut Keyspace, key: &[u8], end: End, out: &mut Buffer) -> Result<bool, Failure> {
    let start = out.len();
    write::array(out, 2)?;
    write::bulk(out, key)?;
    let popped = keyspace.pop_one(key, end, out)?;
    if !popped {
        out.truncate(start);
    }
    Ok(popped)
}
