//! The log: every command that changed something, in order, on a disk. A start of the store executes them again.
//!
//! ## The path of a command to the disk The engine executes a command in memory, appends it here
//! ([`Journal::append`]), ends the unit, which is one command or a transaction ([`Journal::end_unit`]), and holds its
//! reply back. Once a turn it calls [`Journal::advance`], which handles the outcome of the current write, begins the
//! next one, and says which replies may be sent. A write to a disk takes as long as some hundred commands, and one
//! write runs at a time. So there are two batches:
//!
//! ```text
//! commands -> gathering -> committing -> record on the disk, flushed -> replies
//!             (grows while the disk is busy; then committed as a whole)
//! ```
//!
//! This is group commit: the busier the store is, the more commands share a flush.
//!
//! ## Where the log ends No index says where it ends, because that would need two writes instead of one. Each record
//! has a checksum over itself and the checksum of the previous record (a chain), its number, and a random number of
//! this start of the store (its life). Reading continues as long as the next record fits the chain. A record that a
//! power cut has torn does not fit, and so ends the log. But a record may also be damaged later. Then later records
//! with the same life follow it, and the store does not start ([`Damage`]).
//!
//! ## Two positions A large unit takes several records, and is valid when its last one is there. `tail` is the end of
//! the last whole unit, and `end` is the place of the next record. After a failure the log continues at `tail`, and
//! `leftover` makes sure that no part of a unit remains after it.
//!
//! ## Compaction The disk has two halves. When the log in one half has become long, a [`Compaction`] writes the data
//! itself to the other half, while commits continue in this one and are copied to the other. Then the superblock is
//! written, which names the current half. That one sector is the moment of the change: before it the old half is
//! current, after it the new one.
//!
//! ## When a write fails Its data may be on the device or not, and the cache may show either. But memory already has
//! the data. So memory is discarded ([`Memory::Astray`]), clients are disconnected without a reply, and the log is
//! read again from the device ([`Journal::reload`]), which decides.
//!
//! The journal executes nothing and knows no client. A store without a disk has no journal. `docs/durability.md` has
//! the format, byte by byte, and the promises.

mod account;
mod batch;
mod checksum;
mod compacting;
mod compaction;
mod damage;
mod opening;
mod pace;
mod reading;
mod record;
mod recovery;
mod recovery_error;
mod replay;
mod search;
mod space;
mod status;
mod superblock;
mod window;

use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use kernel_app::disk::{DiskError, SECTOR_BYTES};
use kernel_app::{Disk, Entropy, Instant};

use crate::keyspace::Keyspace;
pub use account::{Counts, Trouble};
use batch::Batch;
use compaction::Compaction;
pub use damage::Damage;
pub use opening::Opening;
use pace::Pace;
use reading::Reading;
use record::{PAYLOAD_BYTES_MAX, Position, sectors_of};
pub use recovery::Recovered;
pub use recovery_error::RecoveryError;
#[cfg(test)]
pub(crate) use replay::load;
pub use space::Unit;
pub use superblock::DISK_BYTES_MIN;
use superblock::Superblock;

/// Clients' inputs are not read while this number of bytes waits for the current write to end.
pub const GATHERED_BYTES_MAX: usize = 1024 * 1024;
/// How long after the last commit an empty record is written behind it.
const SEAL_AFTER: Duration = Duration::from_secs(1);

/// The log of one disk.
#[derive(Debug)]
pub struct Journal {
    superblock: Superblock,
    /// The end of what is durable.
    tail: Position,
    /// Where the next record is written: the tail, or behind the durable parts of a unit that goes on.
    end: Position,
    /// Random, the same in all records of this start: no record of an earlier one is like one of it.
    life: u64,
    /// What has changed since the commit under way began.
    gathering: Batch,
    /// What is being written.
    committing: Batch,
    /// The record of it that is next.
    record: usize,
    /// That record as it is on the disk.
    image: Vec<u8>,
    under_way: Option<Write>,
    /// How many of the superblock's copies must still be written, and which is next.
    copies_due: u8,
    copy: usize,
    /// A record must be written even if nothing has gathered: its flush makes what was read at the start
    /// durable, and after a failure it shows that the disk works.
    record_due: bool,
    /// The header of a unit's part that must not stay behind the tail, where it would look like a record that
    /// was lost there: in sectors of the half. The parts go last first, so that none is ever without the one before.
    leftover: Option<u64>,
    /// The log is damaged, and the data that are left go to the other half before anything else is written.
    rescuing: bool,
    /// Whether what was read at the start is known to be durable.
    verified: bool,
    memory: Memory,
    /// The data on the disk are being read again.
    reading: Option<Reading>,
    /// When the last record was written.
    written_at: Instant,
    /// Behind the last record that says something is another one, which shows that it was durable.
    is_sealed: bool,
    /// It need not wait.
    seals_now: bool,
    compaction: Option<Compaction>,
    /// A compaction is to begin.
    compaction_wanted: bool,
    /// The next request has no room before a compaction has ended.
    lacks_room: bool,
    /// Whether the last compaction failed.
    gave_up: bool,
    /// A compaction that failed is not begun again before.
    compact_not_before: Instant,
    trouble: Option<Trouble>,
    commit_started: Instant,
    /// When the write under way began.
    write_started: Instant,
    pace: Pace,
    /// When `advance` was called last.
    now: Instant,
    counts: Counts,
}

/// What the data in memory are beside those on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// The same, and what gathers.
    Sound,
    /// They have changes that cannot become durable.
    Astray,
    /// Not there: those on the disk could not be read.
    Missing,
}

/// A write that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// A copy of the superblock.
    Superblock,
    /// Zeros over a header that is left over.
    Erasure,
    /// A record of a commit; the position behind it, and whether its unit goes on.
    Record(Position, bool),
    /// A record of a compaction; the position behind it, and whether it is flushed.
    Snapshot(Position, bool),
    /// The first copy of the superblock that ends a compaction.
    Flip,
}

/// How far the disk is, for the replies that wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// A commit has ended: replies that waited for it may go.
    pub committed: bool,
    /// Nothing gathers: all replies there are wait for the commit under way at most.
    pub all_committing: bool,
    /// Everything is durable: all replies may go.
    pub all_durable: bool,
    /// A commit has failed: nobody must hear of what is in memory any more.
    pub failed: bool,
    /// The first write of all has failed: whether what was read at the start is durable is not going to be known
    /// soon. Told once.
    pub in_doubt: bool,
    /// The data in memory must be replaced by [`Journal::reload`].
    pub must_reload: bool,
}

impl Progress {
    /// What holds without a disk.
    pub const MEMORY_ONLY: Self = Self {
        committed: false,
        all_committing: true,
        all_durable: true,
        failed: false,
        in_doubt: false,
        must_reload: false,
    };
}

impl Journal {
    /// On a blank disk.
    fn format(disk: &mut dyn Disk, now: Instant, entropy: &mut dyn Entropy) -> Self {
        let superblock = Superblock::new(disk.sectors(), entropy.next_u64());
        let life = superblock.life(entropy.next_u64());
        // The second copy comes first: see `recovery::is_blank`.
        Self::new(superblock, superblock.first(), life, now).with_copies_due(2, 1)
    }

    /// Behind what was read of a log.
    fn of(superblock: Superblock, recovered: &Recovered, now: Instant, entropy: &mut dyn Entropy) -> Self {
        let life = superblock.life(entropy.next_u64());
        let mut journal = Self::new(superblock, recovered.tail, life, now);
        if recovered.damage.is_some() {
            (journal.rescuing, journal.compaction_wanted) = (true, true);
        } else {
            journal.record_due = true;
            journal.leave_nothing_behind(recovered.end);
        }
        match recovered.stale {
            Some(copy) => journal.with_copies_due(1, copy),
            None => journal,
        }
    }

    fn new(superblock: Superblock, tail: Position, life: u64, now: Instant) -> Self {
        Self {
            superblock,
            tail,
            end: tail,
            life,
            gathering: Batch::new(),
            committing: Batch::new(),
            record: 0,
            image: Vec::new(),
            under_way: None,
            copies_due: 0,
            copy: 0,
            record_due: false,
            leftover: None,
            rescuing: false,
            verified: false,
            memory: Memory::Sound,
            reading: None,
            written_at: now,
            is_sealed: true,
            seals_now: false,
            compaction: None,
            compaction_wanted: false,
            lacks_room: false,
            gave_up: false,
            compact_not_before: now,
            trouble: None,
            commit_started: now,
            write_started: now,
            pace: Pace::default(),
            now,
            counts: Counts::default(),
        }
    }

    fn with_copies_due(mut self, count: u8, first: usize) -> Self {
        (self.copies_due, self.copy) = (count, first);
        self
    }

    /// Adds a command that has changed something to the unit.
    pub fn append<'a>(&mut self, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        // The limits rule it out; what is not in the log must not stay in memory either.
        if !self.gathering.push(args) {
            self.memory = Memory::Astray;
        }
    }

    /// Ends a unit: what was appended since the last one becomes durable whole or not at all.
    pub fn end_unit(&mut self) {
        self.gathering.end_unit();
    }

    /// Hears how the write under way ended, and begins the next one.
    pub fn advance(
        &mut self,
        disk: &mut dyn Disk,
        keyspace: &mut Keyspace,
        now: Instant,
        entropy: &mut dyn Entropy,
    ) -> Progress {
        self.now = now;
        let mut progress = Progress::default();
        let was_in_doubt = self.is_in_doubt();
        if let Some(outcome) = disk.outcome(now)
            && let Some(write) = self.under_way.take()
        {
            match outcome {
                Ok(()) => self.succeeded(write, keyspace, &mut progress),
                Err(error) => self.failed(write, error, keyspace),
            }
        }
        if progress.committed {
            self.watch_size(keyspace);
        }
        let idle = self.under_way.is_none();
        progress.in_doubt = self.is_in_doubt() && !was_in_doubt;
        progress.failed = self.memory == Memory::Astray && idle;
        let reads = self.reading.is_some() || (idle && self.may_try());
        progress.must_reload = progress.failed || (self.memory == Memory::Missing && reads);
        if self.memory == Memory::Sound && idle && self.may_try() {
            self.begin(disk, keyspace, entropy);
        }
        progress.all_committing = self.gathering.is_empty();
        let undurable =
            self.memory == Memory::Astray || !self.gathering.is_empty() || !self.committing.is_empty();
        progress.all_durable = (self.verified || self.lacks_data() || self.is_in_doubt()) && !undurable;
        progress
    }

    fn begin(&mut self, disk: &mut dyn Disk, keyspace: &mut Keyspace, entropy: &mut dyn Entropy) {
        self.write_started = self.now;
        if self.copies_due > 0 {
            disk.write(self.copy as u64, &self.superblock.encode(), self.now);
            self.under_way = Some(Write::Superblock);
        } else if let Some(sector) = self.leftover {
            disk.write(self.superblock.start() + sector, &[0; SECTOR_BYTES], self.now);
            self.under_way = Some(Write::Erasure);
        } else if self.is_committing() {
            self.write_record(disk);
        } else if self.rescuing {
            self.compact(disk, keyspace, entropy);
        } else if self.commit_comes_first() {
            mem::swap(&mut self.gathering, &mut self.committing);
            self.committing.seal();
            self.record = 0;
            self.commit_started = self.now;
            self.write_record(disk);
        } else if self.compaction.is_some() || self.compaction_wanted {
            self.compact(disk, keyspace, entropy);
        }
    }

    /// Whether a commit is due and a compaction, if one is under way, has had its share.
    fn commit_comes_first(&self) -> bool {
        let ending = self.compaction.as_ref().is_some_and(Compaction::is_ending);
        let due = self.record_due
            || self.seal_at().is_some_and(|at| at <= self.now)
            || self.commit_at().is_some_and(|at| at <= self.now)
            || (ending && !self.gathering.is_empty());
        due && self.compaction.as_ref().is_none_or(Compaction::gives_way)
    }

    /// Sees to it that nothing stays behind the tail of a unit that is not whole and whose last part, whole or not,
    /// is at `end`.
    fn leave_nothing_behind(&mut self, end: Position) {
        let is_left = end.sector > self.tail.sector && end.sector < self.superblock.half_sectors;
        self.leftover = is_left.then_some(end.sector);
    }

    /// A part is gone; the one before it is as long as a part can be. The first one is written over.
    fn erased(&mut self) {
        let before = self.leftover.and_then(|sector| sector.checked_sub(sectors_of(PAYLOAD_BYTES_MAX)));
        self.leftover = before.filter(|sector| *sector > self.tail.sector);
    }

    fn is_committing(&self) -> bool {
        self.committing.record(self.record).is_some()
    }

    fn write_record(&mut self, disk: &mut dyn Disk) {
        let Some(payload) = self.committing.record(self.record) else { return };
        if self.end.sector + sectors_of(payload.bytes.len()) > self.superblock.half_sectors {
            // Admission rules it out. What follows the half is not ours to write.
            self.memory = Memory::Astray;
            return self.fails(DiskError::NoSpace);
        }
        let behind = self.end.write(&mut self.image, self.life, payload.bytes, payload.continues);
        disk.write(self.superblock.start() + self.end.sector, &self.image, self.now);
        self.under_way = Some(Write::Record(behind, payload.continues));
    }

    fn succeeded(&mut self, write: Write, keyspace: &mut Keyspace, progress: &mut Progress) {
        self.verified = true;
        self.works();
        if let Some(compaction) = &mut self.compaction
            && !matches!(write, Write::Snapshot(..))
        {
            compaction.flushed();
        }
        match write {
            Write::Superblock => {
                self.copies_due -= 1;
                self.copy = 1 - self.copy;
            }
            Write::Erasure => self.erased(),
            Write::Record(behind, continues) => self.record_written(behind, continues, progress),
            Write::Snapshot(behind, flushed) => self.snapshot_written(behind, flushed),
            Write::Flip => self.flipped(keyspace),
        }
    }

    fn record_written(&mut self, behind: Position, continues: bool, progress: &mut Progress) {
        self.counts.bytes += (behind.sector - self.end.sector) * SECTOR_BYTES as u64;
        self.counts.records += 1;
        self.end = behind;
        if !continues {
            self.tail = behind;
        }
        self.record += 1;
        if !self.is_committing() {
            let took = self.now.since(self.commit_started);
            (self.is_sealed, self.written_at) = (self.committing.is_empty(), self.now);
            self.pace.committed(self.committing.units(), self.gathering.units(), took, self.now);
            self.committing.clear();
            self.record_due = false;
            self.counts.commits += 1;
            self.counts.commit_time.observe(took);
            progress.committed = true;
        }
    }

    fn failed(&mut self, write: Write, error: DiskError, keyspace: &mut Keyspace) {
        self.fails(error);
        self.compaction_wanted = false;
        // What was not flushed may be lost, and what does not become durable may be in the other half. Whether a
        // flip has happened is not known before it has succeeded.
        if self.compaction.is_some() && write != Write::Flip {
            self.give_up_compaction(keyspace);
        }
        match write {
            // Tried again.
            Write::Superblock | Write::Flip | Write::Erasure | Write::Snapshot(..) => {}
            // Nothing is in it: written to see whether the disk works.
            Write::Record(..) if self.committing.is_empty() && self.gathering.is_empty() => {
                self.committing.clear();
            }
            Write::Record(..) => self.memory = Memory::Astray,
        }
    }

    /// Replaces the data in memory, some of which may never become durable, by those that are, a little of them at a
    /// time; whether that was all. Until the disk works again nothing more changes.
    ///
    /// # Errors
    /// When the disk cannot be read; `keyspace` is then of no use, and this must be tried again.
    pub fn reload(&mut self, disk: &mut dyn Disk, keyspace: &mut Keyspace) -> Result<bool, RecoveryError> {
        if self.reading.is_none() {
            self.go_back(keyspace);
        }
        let Some(reading) = &mut self.reading else { return Ok(false) };
        match reading.step(disk, keyspace) {
            Ok(None) => return Ok(false),
            Ok(Some(recovered)) if recovered.tail == self.tail => self.memory = Memory::Sound,
            Ok(Some(recovered)) => {
                self.fails(DiskError::Failed);
                self.reading = None;
                let sector = self.superblock.start() + recovered.tail.sector;
                return Err(RecoveryError::Lost(recovered.tail.sequence, sector));
            }
            Err(error) => {
                self.fails(DiskError::Failed);
                self.reading = None;
                return Err(error);
            }
        }
        self.reading = None;
        Ok(true)
    }

    /// Forgets what is in memory, and begins to read what is durable.
    fn go_back(&mut self, keyspace: &mut Keyspace) {
        self.gathering.clear();
        self.committing.clear();
        self.record = 0;
        if self.leftover.is_none() {
            self.leave_nothing_behind(self.end);
        }
        self.end = self.tail;
        self.record_due = true;
        self.memory = Memory::Missing;
        if self.compaction.is_some() {
            self.give_up_compaction(keyspace);
        }
        keyspace.clear();
        self.reading = Some(Reading::up_to(self.superblock, self.tail.sector));
    }

    /// When what has gathered is to be committed, if something has.
    fn commit_at(&self) -> Option<Instant> {
        let complete = self.gathering.len() >= GATHERED_BYTES_MAX;
        let at = if complete { self.now } else { self.pace.begin_at(self.gathering.units(), self.now) };
        (!self.gathering.is_empty()).then_some(at)
    }

    /// When an empty record is to be written behind the last one, so that rot in that is not taken for a torn tail.
    fn seal_at(&self) -> Option<Instant> {
        let quiet = self.gathering.is_empty() && self.compaction.is_none() && !self.is_committing();
        let seals = !self.is_sealed && quiet && self.memory == Memory::Sound && self.has_spare_room();
        let wait = if self.seals_now { Duration::ZERO } else { SEAL_AFTER };
        seals.then_some(self.written_at + wait)
    }

    /// The node is about to end: what is written is sealed at once.
    pub fn seal(&mut self) {
        self.seals_now = true;
    }

    /// When `advance` must be called next, if the disk does not ask for it.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        let at_once = self.memory != Memory::Sound
            || self.copies_due > 0
            || self.record_due
            || self.is_committing()
            || self.leftover.is_some()
            || self.compaction.is_some()
            || self.compaction_wanted;
        if self.reading.is_some() {
            return Some(self.now);
        }
        let due = if at_once { Some(self.now) } else { self.commit_at().or(self.seal_at()) };
        let not_before = self.trouble.as_ref().map_or(self.now, |trouble| trouble.retry_at);
        due.map(|due| due.max(not_before))
    }
}
