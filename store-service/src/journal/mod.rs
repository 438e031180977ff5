//! The log: commands that changed something, on a disk, so that the data outlive the machine.
//!
//! Executes nothing and knows no client: the engine appends what it has carried out, asks once a turn how
//! far the disk is ([`Journal::advance`]), and lets replies go accordingly. Without a disk there is no
//! journal. Format and promises: `docs/durability.md`.

mod batch;
mod checksum;
mod compaction;
mod damage;
mod pace;
mod record;
mod recovery;
mod replay;
mod space;
mod status;
mod superblock;
mod window;

use alloc::vec::Vec;
use core::mem;

use kernel_app::disk::{DiskError, SECTOR_BYTES};
use kernel_app::{Disk, Entropy, Instant};

use crate::keyspace::Keyspace;
use batch::Batch;
use compaction::Compaction;
pub use damage::Damage;
use pace::Pace;
use record::{PAYLOAD_BYTES_MAX, Position, sectors_of};
use recovery::{Contents, inspect, replay};
pub use recovery::{DISK_BYTES_MIN, Recovered, RecoveryError};
#[cfg(test)]
pub(crate) use replay::load;
pub use space::Unit;
pub use status::{Counts, Trouble};
use superblock::Superblock;

/// Clients' inputs are held while so many bytes wait for the write under way to end.
pub const GATHERED_BYTES_MAX: usize = 1024 * 1024;

/// See the module.
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
    compaction: Option<Compaction>,
    /// A compaction is to begin as soon as everything is durable.
    compaction_wanted: bool,
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
    /// A record of a compaction; the position behind it.
    Snapshot(Position),
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
    /// Reads a disk's log into `keyspace`, which is empty; a blank disk is going to be formatted. A damaged log is
    /// read up to the damage if `accept_loss` says so, once there is a copy where that can be.
    ///
    /// # Errors
    /// When the disk must not be used.
    pub fn open(
        disk: &mut dyn Disk,
        keyspace: &mut Keyspace,
        now: Instant,
        entropy: &mut dyn Entropy,
        accept_loss: bool,
    ) -> Result<(Self, Option<Recovered>), RecoveryError> {
        let (superblock, stale) = match inspect(disk)? {
            Contents::Log { superblock, stale } => (superblock, stale),
            Contents::Blank => {
                let superblock = Superblock::new(disk.sectors(), entropy.next_u64());
                // The second copy comes first: see `recovery::is_blank`.
                let life = superblock.life(entropy.next_u64());
                let journal = Self::new(superblock, superblock.first(), life, now);
                return Ok((journal.with_copies_due(2, 1), None));
            }
        };
        let mut recovered = replay(disk, &superblock, None, keyspace)?;
        recovered.stale = stale;
        let life = superblock.life(entropy.next_u64());
        let mut journal = Self::new(superblock, recovered.tail, life, now);
        if let Some(damage) = &mut recovered.damage {
            if !accept_loss {
                return Err(RecoveryError::Damaged(damage.clone()));
            }
            damage.copy = disk.keep_copy().map_err(RecoveryError::NoCopy)?;
            (journal.rescuing, journal.compaction_wanted) = (true, true);
        } else {
            journal.record_due = true;
            journal.leave_nothing_behind(recovered.end);
        }
        if let Some(copy) = stale {
            journal = journal.with_copies_due(1, copy);
        }
        Ok((journal, Some(recovered)))
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
            compaction: None,
            compaction_wanted: false,
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
        keyspace: &Keyspace,
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
                Ok(()) => self.succeeded(write, &mut progress),
                Err(error) => self.failed(write, error),
            }
        }
        if progress.committed {
            self.watch_size(keyspace);
        }
        let idle = self.under_way.is_none();
        progress.in_doubt = self.is_in_doubt() && !was_in_doubt;
        progress.failed = self.memory == Memory::Astray && idle;
        progress.must_reload = progress.failed || (self.memory == Memory::Missing && idle && self.may_try());
        if self.memory == Memory::Sound && idle && self.may_try() {
            self.begin(disk, keyspace, entropy);
        }
        progress.all_committing = self.gathering.is_empty();
        let undurable =
            self.memory == Memory::Astray || !self.gathering.is_empty() || !self.committing.is_empty();
        progress.all_durable = (self.verified || self.lacks_data() || self.is_in_doubt()) && !undurable;
        progress
    }

    fn begin(&mut self, disk: &mut dyn Disk, keyspace: &Keyspace, entropy: &mut dyn Entropy) {
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
        } else if self.record_due || self.commit_at().is_some_and(|at| at <= self.now) {
            mem::swap(&mut self.gathering, &mut self.committing);
            self.committing.seal();
            self.record = 0;
            self.commit_started = self.now;
            self.write_record(disk);
        } else if !self.gathering.is_empty() {
            // Soon, with more.
        } else if self.compaction.is_some() || self.compaction_wanted {
            self.compact(disk, keyspace, entropy);
        }
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

    fn succeeded(&mut self, write: Write, progress: &mut Progress) {
        self.verified = true;
        self.works();
        match write {
            Write::Superblock => {
                self.copies_due -= 1;
                self.copy = 1 - self.copy;
            }
            Write::Erasure => self.erased(),
            Write::Record(behind, continues) => self.record_written(behind, continues, progress),
            Write::Snapshot(behind) => self.snapshot_written(behind),
            Write::Flip => self.flipped(),
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
            self.pace.committed(self.committing.units(), self.gathering.units(), took, self.now);
            self.committing.clear();
            self.record_due = false;
            self.counts.commits += 1;
            self.counts.commit_time.observe(took);
            progress.committed = true;
        }
    }

    fn failed(&mut self, write: Write, error: DiskError) {
        self.fails(error);
        self.compaction_wanted = false;
        match write {
            // Tried again. Whether a flip has happened is not known before it has succeeded.
            Write::Superblock | Write::Flip | Write::Erasure => {}
            Write::Snapshot(_) => self.give_up_compaction(),
            // Nothing is in it: written to see whether the disk works.
            Write::Record(..) if self.committing.is_empty() && self.gathering.is_empty() => {
                self.committing.clear();
            }
            Write::Record(..) => self.memory = Memory::Astray,
        }
    }

    /// Replaces the data in memory, some of which may never become durable, by those that are. Until the
    /// disk works again nothing more changes.
    ///
    /// # Errors
    /// When the disk cannot be read; `keyspace` is then of no use, and this must be tried again.
    pub fn reload(&mut self, disk: &mut dyn Disk, keyspace: &mut Keyspace) -> Result<(), RecoveryError> {
        self.gathering.clear();
        self.committing.clear();
        self.record = 0;
        if self.leftover.is_none() {
            self.leave_nothing_behind(self.end);
        }
        self.end = self.tail;
        self.record_due = true;
        self.memory = Memory::Missing;
        keyspace.clear();
        match replay(disk, &self.superblock, Some(self.tail.sector), keyspace) {
            Ok(recovered) if recovered.tail == self.tail => {
                self.memory = Memory::Sound;
                Ok(())
            }
            Ok(recovered) => {
                self.fails(DiskError::Failed);
                let sector = self.superblock.start() + recovered.tail.sector;
                Err(RecoveryError::Lost(recovered.tail.sequence, sector))
            }
            Err(error) => {
                self.fails(DiskError::Failed);
                Err(error)
            }
        }
    }

    /// When what has gathered is to be committed, if something has.
    fn commit_at(&self) -> Option<Instant> {
        let complete = self.gathering.len() >= GATHERED_BYTES_MAX;
        let at = if complete { self.now } else { self.pace.begin_at(self.gathering.units(), self.now) };
        (!self.gathering.is_empty()).then_some(at)
    }

    /// When `advance` must be called next, if the disk does not ask for it.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        let compacts = self.compaction.is_some() || self.compaction_wanted;
        let at_once = self.memory != Memory::Sound
            || self.copies_due > 0
            || self.record_due
            || self.is_committing()
            || self.leftover.is_some();
        let due = if at_once { Some(self.now) } else { self.commit_at().or(compacts.then_some(self.now)) };
        let not_before = self.trouble.as_ref().map_or(self.now, |trouble| trouble.retry_at);
        due.map(|due| due.max(not_before))
    }
}
