//! The path of a request: its name, the number of its arguments, and its execution.

use alloc::vec::Vec;

use kernel_app::{Context, Instant};
use wire::resp::{Args, write};

use super::{Engine, connection, info, subcommand, transaction};
use crate::command::Command;
use crate::failure::Failure;
use crate::limits::{REPLIES_BYTES_MAX, REPLY_BYTES_MAX, REPLY_BYTES_SCARCE};
use crate::session::{Client, arguments_text, text_of};

impl Engine {
    /// Deals with one request, which has at least a name.
    pub(super) fn request(&mut self, client: &mut Client, args: Args<'_>, context: &mut Context<'_>) {
        let before = client.replies.len();
        let Some(command) = self.check(client, args, context.now) else {
            self.counts.errors += 1;
            client.transaction.spoil();
            return client.tell_at_once(before);
        };
        if client.transaction.is_open() && transaction::is_queued(command) {
            self.queue(client, command, args);
            return client.tell_at_once(before);
        }
        let bytes_max = self.reply_bytes_max();
        if command == Command::Exec {
            return self.exec(client, bytes_max, context);
        }
        if let Err(failure) = self.admit(command, args) {
            self.refused(failure);
            client.fail(command, failure);
            return client.tell_at_once(before);
        }
        self.perform(client, command, args, bytes_max, true, context);
        if command.tells_no_data() {
            client.tell_at_once(before);
        }
        // Mostly nobody waits.
        if self.waiters.len() > 0
            && let Some(key) = command.pushed_key(args)
        {
            self.serve(key, context);
        }
    }

    /// The command of a request that may be executed or queued; otherwise the client gets an error.
    fn check(&mut self, client: &mut Client, args: Args<'_>, now: Instant) -> Option<Command> {
        let Some(command) = Command::find_likely(&args[0], client.command) else {
            self.unknown(client, args, now);
            return None;
        };
        client.command = command;
        if !command.takes(args.len()) {
            let text = arguments_text(command.spec().name);
            if command == Command::Exec {
                self.forget_transaction(client);
                client.error(&["EXECABORT Transaction discarded because of: ", &text]);
            } else {
                client.error(&["ERR ", &text]);
            }
            return None;
        }
        if let Err(text) = subcommand::check(command, args) {
            client.error(&[text]);
            return None;
        }
        let reason = if connection::is_locked(client, command, self.password.as_ref()) {
            Failure::Locked.text()
        } else if !command.is_for_loading() && self.lacks_data_for(command) {
            Failure::Loading.text()
        } else {
            return Some(command);
        };
        if command == Command::Exec {
            client.error(&["EXECABORT Transaction discarded because of: ", reason]);
        } else {
            client.error(&[reason]);
        }
        None
    }

    /// Whether the data are not there, or not known to be durable; a change is then refused for what the disk says.
    pub(super) fn lacks_data_for(&self, command: Command) -> bool {
        let Some(journal) = &self.journal else { return self.is_loading() };
        journal.lacks_data() || (journal.is_in_doubt() && !command.is_write())
    }

    /// Tells a client that there is no such command, in Redis's words.
    #[cold]
    #[inline(never)]
    fn unknown(&mut self, client: &mut Client, args: Args<'_>, now: Instant) {
        const QUOTED_BYTES_MAX: usize = 128;
        let name = &args[0];
        if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
            if self.log_paces.http.allows(now) {
                log::warn!("a client speaks HTTP to the RESP port {}: disconnected", self.port);
            }
            client.replies.clear();
            client.closing = true;
            return;
        }
        let mut quoted = Vec::new();
        for argument in args.iter().skip(1) {
            if quoted.len() >= QUOTED_BYTES_MAX {
                break;
            }
            let room = QUOTED_BYTES_MAX - quoted.len();
            quoted.push(b'\'');
            quoted.extend_from_slice(text_of(argument, room));
            quoted.extend_from_slice(b"' ");
        }
        let name = text_of(name, QUOTED_BYTES_MAX);
        client.error(&[b"ERR unknown command '", name, b"', with args beginning with: ", &quoted]);
    }

    /// Carries a command out and counts it. `alone`: not as part of a transaction, so it may block.
    pub(super) fn perform(
        &mut self,
        client: &mut Client,
        command: Command,
        args: Args<'_>,
        bytes_max: usize,
        alone: bool,
        context: &mut Context<'_>,
    ) {
        self.counts.calls[command as usize] += 1;
        let result =
            client.reply(command, bytes_max, |client| self.run(client, command, args, alone, context));
        if let Err(failure) = result {
            self.refused(failure);
        }
        if alone {
            self.end_unit();
        }
    }

    fn run(
        &mut self,
        client: &mut Client,
        command: Command,
        args: Args<'_>,
        alone: bool,
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        if !command.is_of_keyspace()
            && let Some(result) = self.run_beside_data(client, command, args, alone, context)
        {
            return result;
        }
        self.execute(client, command, args)
    }

    /// Carries out a command that is about more than data, or about none; otherwise it does nothing.
    #[inline(never)]
    fn run_beside_data(
        &mut self,
        client: &mut Client,
        command: Command,
        args: Args<'_>,
        alone: bool,
        context: &mut Context<'_>,
    ) -> Option<Result<(), Failure>> {
        let result = match command {
            Command::Multi => transaction::multi(client),
            Command::Discard => self.discard(client),
            Command::Watch => self.watch(client, args),
            Command::Unwatch => self.unwatch(client),
            Command::Reset => self.reset(client),
            Command::BLPop | Command::BRPop => self.pop_or_wait(client, command, args, alone, context),
            Command::BLMove => self.move_or_wait(client, args, alone, context),
            Command::Ping => connection::ping(client, args),
            Command::Echo => write::bulk(&mut client.replies, &args[1]).map_err(Failure::from),
            Command::Quit => connection::quit(client),
            Command::Select => connection::select(client, args),
            Command::Hello => connection::hello(client, args, self.password.as_ref()),
            Command::Auth => connection::auth(client, args, self.password.as_ref()),
            Command::Time => connection::time(client, context),
            Command::Client => subcommand::client(client, args),
            Command::Command => subcommand::command(client, args),
            Command::Config => subcommand::config(client, args, self),
            Command::Info => info::info(client, args, self, context),
            _ => return None,
        };
        Some(result)
    }

    /// Carries a data command out; what it changes is logged and told to those who watch.
    pub(super) fn execute(
        &mut self,
        client: &mut Client,
        command: Command,
        args: Args<'_>,
    ) -> Result<(), Failure> {
        let before = self.keyspace.changes();
        // Mostly nobody watches anything.
        let doomed = (!self.watches.is_empty()).then(|| self.watches.doomed(command, args, &self.keyspace));
        let result = self.keyspace.execute(command, args, &mut client.replies);
        if self.keyspace.changes() != before {
            self.log_whole(args);
            if let Some(doomed) = doomed {
                command.changed_keys(args).for_each(|key| self.watches.touch(key));
                self.watches.spoil(doomed);
            }
        }
        result
    }

    /// How long the next reply may be: less while there is much that clients have not taken.
    pub(super) fn reply_bytes_max(&self) -> usize {
        if self.replies_bytes < REPLIES_BYTES_MAX { REPLY_BYTES_MAX } else { REPLY_BYTES_SCARCE }
    }
}
