//! `MULTI`, `EXEC`, `DISCARD`, `RESET`, `WATCH` and `UNWATCH`.
//!
//! Atomic because nothing else runs in between; a command that fails does not undo the others.

use core::mem;

use kernel_app::Context;
use wire::resp::{Args, write};

use super::Engine;
use crate::command::Command;
use crate::failure::Failure;
use crate::limits::{QUEUE_BYTES_MAX, QUEUE_COMMANDS_MAX};
use crate::session::{Client, Transaction};

/// Whether a command waits for `EXEC`, or is carried out although a transaction is open.
pub fn is_queued(command: Command) -> bool {
    !matches!(
        command,
        Command::Multi | Command::Exec | Command::Discard | Command::Watch | Command::Quit | Command::Reset
    )
}

/// `MULTI`.
pub fn multi(client: &mut Client) -> Result<(), Failure> {
    if client.transaction.is_open() {
        return Err(Failure::NestedMulti);
    }
    client.transaction.open();
    Ok(write::simple(&mut client.replies, b"OK")?)
}

impl Engine {
    /// Queues a command for `EXEC`.
    #[inline(never)]
    pub(super) fn queue(&mut self, client: &mut Client, command: Command, args: Args<'_>) {
        let bytes = args.iter().fold(0, |sum, argument| sum + argument.len() + size_of::<u64>());
        let transaction = &mut client.transaction;
        if transaction.len() >= QUEUE_COMMANDS_MAX || self.queue_bytes + bytes > QUEUE_BYTES_MAX {
            transaction.spoil();
            self.refused(Failure::OutOfMemory);
            return client.fail(command, Failure::OutOfMemory);
        }
        // What a spoilt transaction queues is never carried out.
        if !transaction.is_broken() {
            let before = transaction.bytes();
            transaction.push(command, args);
            self.queue_bytes += transaction.bytes() - before;
        }
        // Always fits: a client with many replies is paused.
        let _ = write::simple(&mut client.replies, b"QUEUED");
    }

    /// `EXEC`: carries the queue out, and then serves those who waited for what it pushed.
    #[inline(never)]
    pub(super) fn exec(&mut self, client: &mut Client, bytes_max: usize, context: &mut Context<'_>) {
        self.counts.calls[Command::Exec as usize] += 1;
        let transaction = mem::take(&mut client.transaction);
        self.queue_bytes -= transaction.bytes();
        let stale = self.watches.is_stale(client.id);
        if transaction.is_open() {
            self.watches.forget(client.id);
        }
        match self.check_transaction(&transaction) {
            Ok(()) if stale => client.null_array(),
            Ok(()) => self.exec_queue(client, &transaction, bytes_max, context),
            Err(failure) => {
                self.refused(failure);
                client.fail(Command::Exec, failure);
            }
        }
        client.transaction = transaction;
        client.transaction.clear();
    }

    /// Whether a transaction may be carried out: all of it or nothing.
    fn check_transaction(&self, transaction: &Transaction) -> Result<(), Failure> {
        if !transaction.is_open() {
            return Err(Failure::ExecWithoutMulti);
        }
        if transaction.is_broken() {
            return Err(Failure::ExecAborted);
        }
        self.admit_all(transaction).map_err(Failure::of_exec)
    }

    fn exec_queue(
        &mut self,
        client: &mut Client,
        transaction: &Transaction,
        bytes_max: usize,
        context: &mut Context<'_>,
    ) {
        // Always fits: a client with many replies is paused.
        let _ = write::array(&mut client.replies, transaction.len());
        let limit = client.replies.len() + bytes_max;
        for (command, args) in transaction.iter() {
            let bytes_left = limit.saturating_sub(client.replies.len());
            self.perform(client, command, args, bytes_left, false, context);
        }
        self.end_unit();
        for (command, args) in transaction.iter() {
            if let Some(key) = command.pushed_key(args) {
                self.serve(key, context);
            }
        }
    }

    /// `DISCARD`.
    pub(super) fn discard(&mut self, client: &mut Client) -> Result<(), Failure> {
        if !client.transaction.is_open() {
            return Err(Failure::DiscardWithoutMulti);
        }
        self.forget_transaction(client);
        Ok(write::simple(&mut client.replies, b"OK")?)
    }

    /// `WATCH`.
    pub(super) fn watch(&mut self, client: &mut Client, args: Args<'_>) -> Result<(), Failure> {
        if client.transaction.is_open() {
            return Err(Failure::WatchInMulti);
        }
        self.watches.add(client.id, args.iter().skip(1))?;
        Ok(write::simple(&mut client.replies, b"OK")?)
    }

    /// `UNWATCH`.
    pub(super) fn unwatch(&mut self, client: &mut Client) -> Result<(), Failure> {
        self.watches.forget(client.id);
        Ok(write::simple(&mut client.replies, b"OK")?)
    }

    /// `RESET`: as if the client had just connected.
    pub(super) fn reset(&mut self, client: &mut Client) -> Result<(), Failure> {
        self.forget_transaction(client);
        client.name.clear();
        (client.logged_in, client.is_resp3) = (false, false);
        Ok(write::simple(&mut client.replies, b"RESET")?)
    }

    /// Drops a transaction, if there is one, and what it depended on.
    pub(super) fn forget_transaction(&mut self, client: &mut Client) {
        self.queue_bytes -= client.transaction.bytes();
        client.transaction.clear();
        self.watches.forget(client.id);
    }
}
