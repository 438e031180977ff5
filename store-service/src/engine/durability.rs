//! The link between engine and journal: what is logged, what the disk allows, and what happens when it fails.
//!
//! It knows no format. Without a disk it does nothing.

use alloc::format;
use alloc::string::{String, ToString};

use kernel_app::disk::SECTOR_BYTES;
use kernel_app::{Context, Disk};
use wire::resp::Args;

use super::Engine;
use super::flow::drop_client;
use crate::command::Command;
use crate::failure::Failure;
use crate::journal::{Journal, Opening, Progress, Recovered, Unit};
use crate::keyspace::Keyspace;
use crate::session::{Client, Transaction};

/// How many steps of reading are taken before anybody can ask for something: a short log is there at once.
const START_STEPS: usize = 24;

impl Engine {
    /// Reads the data from the disk, if there is one, or begins to. Comes before anything else.
    ///
    /// # Errors
    /// When the disk must not be used, in one line.
    pub fn start(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        self.started = context.now;
        let secret = [context.entropy.next_u64(), context.entropy.next_u64()];
        self.keyspace = Keyspace::new(self.keyspace.bytes_max(), secret);
        self.fit_machine(context);
        let bytes_max = self.keyspace.bytes_max();
        let Some(disk) = context.disk.as_deref_mut() else {
            log::info!(
                "the data is in memory only, at most {bytes_max} bytes: it is lost when the store stops"
            );
            return Ok(());
        };
        self.opening = Some(Opening::new(disk, self.accept_loss).map_err(|error| error.to_string())?);
        for _ in 0..START_STEPS {
            if !self.open_further(context)? {
                break;
            }
        }
        Ok(())
    }

    /// Reads a little more of the log; whether there is more.
    fn open_further(&mut self, context: &mut Context<'_>) -> Result<bool, String> {
        let (Some(opening), Some(disk)) = (&mut self.opening, context.disk.as_deref_mut()) else {
            return Ok(false);
        };
        let step = opening.step(disk, &mut self.keyspace, context.now, context.entropy);
        let Some((journal, recovered)) = step.map_err(|error| error.to_string())? else { return Ok(true) };
        self.opening = None;
        if let Some(damage) = recovered.as_ref().and_then(|recovered| recovered.damage.as_ref()) {
            let copy = damage.copy.as_ref().map_or(String::new(), |copy| format!("; a copy is at {copy}"));
            log::warn!("{damage}; RECOVER=accept-loss: continuing with the data before the damage{copy}");
        }
        self.found = Some(describe(&journal, recovered, &self.keyspace, disk));
        self.journal = Some(journal);
        Ok(false)
    }

    /// Whether memory and disk allow a command; to be asked before it is carried out.
    pub(super) fn admit(&self, command: Command, args: Args<'_>) -> Result<(), Failure> {
        if !self.keyspace.admits_any() {
            self.keyspace.admit(core::iter::once((command, args)))?;
        }
        let Some(journal) = &self.journal else { return Ok(()) };
        journal.admit(command, Unit::serving(self.waiters.bytes()).with(args), &self.keyspace)
    }

    /// The same for all commands of a transaction.
    pub(super) fn admit_all(&self, transaction: &Transaction) -> Result<(), Failure> {
        self.keyspace.admit(transaction.iter())?;
        let is_told = |(command, _): (Command, _)| self.lacks_data_for(command) && !command.tells_no_data();
        let Some(journal) = &self.journal else {
            return if transaction.iter().any(is_told) { Err(Failure::Loading) } else { Ok(()) };
        };
        let unit = Unit::serving(self.waiters.bytes());
        let unit = transaction.iter().fold(unit, |unit, (_, args)| unit.with(args));
        transaction.iter().try_for_each(|(command, _)| journal.admit(command, unit, &self.keyspace))?;
        if transaction.iter().any(is_told) { Err(Failure::Loading) } else { Ok(()) }
    }

    /// Logs a command that has changed something.
    pub(super) fn log_whole(&mut self, args: Args<'_>) {
        if let Some(journal) = &mut self.journal {
            journal.append(args.iter());
        }
    }

    /// Logs a command that was not carried out as it came.
    pub(super) fn log<const COUNT: usize>(&mut self, args: [&[u8]; COUNT]) {
        if let Some(journal) = &mut self.journal {
            journal.append(args.into_iter());
        }
    }

    /// Ends what must become durable whole.
    pub(super) fn end_unit(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.end_unit();
        }
    }

    /// Whether a client's next request must wait for the journal; the client then goes on when it need not. What
    /// changes nothing need never.
    #[inline]
    pub(super) fn holds(&mut self, client: &mut Client, args: Args<'_>) -> bool {
        self.journal.is_some() && self.journal_holds(client, args)
    }

    #[inline(never)]
    fn journal_holds(&mut self, client: &mut Client, args: Args<'_>) -> bool {
        let Some(journal) = &mut self.journal else { return false };
        let command = args.get(0).and_then(Command::find);
        let may_change = command.is_some_and(|command| command.is_write() || command == Command::Exec);
        if !may_change {
            return false;
        }
        let unit_bytes = 3 * client.transaction.bytes() + 2 * self.waiters.bytes();
        let holds = journal.holds(unit_bytes, &self.keyspace);
        if holds && !client.held {
            client.held = true;
            self.held.push(client.id);
        }
        holds
    }

    /// Makes the turn's changes durable, all at once, or goes on with it. Says which replies may go.
    pub(super) fn commit(&mut self, context: &mut Context<'_>) -> Progress {
        if self.opening.is_some()
            && let Err(reason) = self.open_further(context)
        {
            (self.opening, self.failure) = (None, Some(reason));
        }
        let (Some(journal), Some(disk)) = (&mut self.journal, context.disk.as_deref_mut()) else {
            return Progress::MEMORY_ONLY;
        };
        if let Some(found) = self.found.take() {
            // Only now has time passed: a service has no clock of its own.
            log::info!("{found}, in {} ms", context.now.since(self.started).as_millis());
        }
        let progress = journal.advance(disk, &mut self.keyspace, context.now, context.entropy);
        if progress.failed {
            self.drop_clients(|_| true, context);
        } else if progress.in_doubt {
            self.drop_clients(|client| client.is_uncommitted(), context);
        }
        if progress.must_reload {
            self.reload(context);
        }
        self.let_go();
        progress
    }

    /// Disconnects clients, after a write has failed: any of them may be about to hear, or have built on, what is now
    /// undone.
    fn drop_clients(&mut self, whom: impl Fn(&Client) -> bool, context: &mut Context<'_>) {
        for client in self.sessions.clients().filter(|client| whom(client)) {
            if let Some(wait) = client.wait.take() {
                self.waiters.remove(client.id, &wait);
            }
            drop_client(client, context);
        }
    }

    /// Returns to the data that are durable.
    fn reload(&mut self, context: &mut Context<'_>) {
        let (Some(journal), Some(disk)) = (&mut self.journal, context.disk.as_deref_mut()) else { return };
        match journal.reload(disk, &mut self.keyspace) {
            Ok(false) => {}
            Ok(true) => {
                log::warn!("returned to the data on the disk after a failed write; clients are disconnected")
            }
            Err(error) => log::error!("cannot read the data on the disk again after a failed write: {error}"),
        }
    }

    fn is_holding(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.is_holding(&self.keyspace))
    }

    /// Lets the clients go on whose inputs were held, if they may.
    fn let_go(&mut self) {
        if self.held.is_empty() || self.is_holding() {
            return;
        }
        for id in self.held.drain(..) {
            if let Some(client) = self.sessions.client(id) {
                client.held = false;
                self.resumed.push_back(id);
            }
        }
    }
}

/// What was found on a disk, in one line.
fn describe(journal: &Journal, recovered: Option<Recovered>, keyspace: &Keyspace, disk: &dyn Disk) -> String {
    let place =
        format!("the data is on a disk of {} MiB", disk.sectors() * SECTOR_BYTES as u64 / (1024 * 1024));
    let Some(Recovered { tail, records, commands, dropped_bytes, damage, stale, .. }) = recovered else {
        return format!("{place}, which is blank: formatted for a log of {} bytes", journal.log_bytes_max());
    };
    let found = format!(
        "recovered {} keys from {} bytes of log ({records} records, {commands} commands)",
        keyspace.len(),
        journal.log_bytes()
    );
    let mended = match stale {
        None => String::new(),
        Some(slot) => format!("; superblock {slot} was damaged or older and is written again"),
    };
    match dropped_bytes {
        _ if damage.is_some() => format!("{place}: {found}, which end at the damage{mended}"),
        0 => format!("{place}: {found}{mended}"),
        bytes => format!(
            "{place}: {found}; {bytes} bytes of torn records after sector {} were dropped, none of them \
             acknowledged{mended}",
            tail.sector
        ),
    }
}
