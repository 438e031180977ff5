//! What was durable and is not there: told apart from a write that was cut.
//!
//! A record is written once the one before it is durable. So behind a record that was torn while it was written there
//! is none of the same log with a higher number; where there is one, the record before it was damaged later. Its life
//! shows that it is of this log: the halves are full of records of earlier ones.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use kernel_app::Disk;
use kernel_app::disk::SECTOR_BYTES;
use wire::resp::{Args, Framer};

use super::record::{Header, Position};
use super::recovery::RecoveryError;
use super::superblock::Superblock;
use super::window::{Unreadable, Window};
use crate::command::Command;
use crate::keyspace::BEGIN;

/// Most keys that are named.
const KEYS_MAX: usize = 8;
/// Most bytes of a key that are shown.
const KEY_BYTES_MAX: usize = 48;

/// A log with a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the damaged record begins, in sectors of the disk.
    pub sector: u64,
    /// Its number.
    pub sequence: u64,
    /// Whether it is in the part that a compaction wrote.
    pub compacted: bool,
    /// Sectors that cannot be read, there or behind it.
    pub unreadable: Option<Unreadable>,
    /// How many records of the same log lie behind it.
    pub records: u64,
    /// The number of the last one.
    pub last: u64,
    /// Keys that it and those behind it speak of, as far as they can be read.
    pub keys: Keys,
    /// Where a copy was kept, once that has been done.
    pub copy: Option<String>,
}

/// Some keys, for a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    named: Vec<String>,
    /// There are more.
    more: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sector, sequence, records, last, keys, .. } = self;
        if let Some(Unreadable { sector, last, error }) = self.unreadable {
            write!(f, "sector {sector} of the disk (byte {}) cannot be read", sector * SECTOR_BYTES as u64)?;
            if last > sector {
                write!(f, ", nor can others up to sector {last}")?;
            }
            write!(f, " ({error}); ")?;
        }
        write!(f, "record {sequence} of the log, at sector {sector} of the disk, is damaged")?;
        if self.compacted {
            f.write_str(", in the part that a compaction wrote")?;
        }
        match records {
            0 => f.write_str(", and no whole record is behind it")?,
            1 => write!(f, ", and a later record is behind it (number {last})")?,
            _ => write!(f, ", and {records} later records are behind it (up to number {last})")?,
        }
        if keys.named.is_empty() {
            return Ok(());
        }
        write!(f, "; they speak of {}", keys.named.join(" "))?;
        if keys.more { f.write_str(" and other keys") } else { Ok(()) }
    }
}

impl Keys {
    fn add(&mut self, key: &[u8]) {
        let mut shown = String::new();
        // A string takes any text.
        let _ = write!(shown, "{}", key[..key.len().min(KEY_BYTES_MAX)].escape_ascii());
        if key.len() > KEY_BYTES_MAX {
            shown.push_str("...");
        }
        if self.named.contains(&shown) {
            return;
        }
        if self.named.len() < KEYS_MAX { self.named.push(shown) } else { self.more = true }
    }

    /// Adds what the commands of a payload change, up to the first that is not whole.
    fn add_of(&mut self, mut payload: &[u8]) {
        let mut framer = Framer::new();
        while let Ok(Some(frame)) = framer.next(payload) {
            self.add_changed(frame.args);
            payload = &payload[frame.bytes..];
        }
    }

    fn add_changed(&mut self, args: Args<'_>) {
        match args.get(0) {
            Some(BEGIN) => args.get(2).into_iter().for_each(|key| self.add(key)),
            Some(name) => match Command::find(name) {
                Some(Command::Del) => args.iter().skip(1).for_each(|key| self.add(key)),
                Some(command) => command.changed_keys(args).for_each(|key| self.add(key)),
                None => {}
            },
            None => {}
        }
    }
}

/// The search for what is wrong with a log whose whole units end at `tail` and whose whole records end at `end`: a walk
/// through the rest of its half.
#[derive(Debug)]
pub struct Search {
    damage: Damage,
    /// Where the log ends, and where the search is, in sectors of the half.
    end: u64,
    at: u64,
}

impl Search {
    pub fn new(superblock: &Superblock, tail: Position, end: Position) -> Self {
        let damage = Damage {
            sector: superblock.start() + end.sector,
            sequence: end.sequence,
            compacted: tail.sector < superblock.snapshot_sectors,
            unreadable: None,
            records: 0,
            last: 0,
            keys: Keys::default(),
            copy: None,
        };
        Self { damage, end: end.sector, at: end.sector }
    }

    /// Looks at so many sectors; whether those were the last.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn step(
        &mut self,
        window: &mut Window,
        disk: &mut dyn Disk,
        superblock: &Superblock,
        sectors: u64,
    ) -> Result<bool, RecoveryError> {
        let until = self.at.saturating_add(sectors).min(window.end());
        while self.at < until {
            self.look(window, disk, superblock)?;
        }
        self.damage.unreadable = window.unreadable();
        Ok(self.at >= window.end())
    }

    fn look(
        &mut self,
        window: &mut Window,
        disk: &mut dyn Disk,
        superblock: &Superblock,
    ) -> Result<(), RecoveryError> {
        let Self { damage, end, at } = self;
        let header = window.header(disk, *at)?.filter(|header| superblock.has_life(header.life));
        let Some(header) = header.filter(|header| header.sequence >= damage.sequence) else {
            *at += 1;
            return Ok(());
        };
        let image = window.sectors(disk, *at, header.sectors())?;
        if let Some(payload) = image.and_then(|image| header.payload(image)) {
            damage.keys.add_of(payload);
        }
        // The damaged record itself may say any number.
        if header.sequence > damage.sequence && *at > *end {
            damage.records += 1;
            damage.last = damage.last.max(header.sequence);
        }
        // Its length may be what is damaged, and then others begin within it.
        *at += if is_followed(window, disk, *at, header)? { header.sectors() } else { 1 };
        Ok(())
    }

    /// What is wrong, if something is.
    pub fn damage(self) -> Option<Damage> {
        let Damage { compacted, records, unreadable, .. } = self.damage;
        (compacted || records > 0 || unreadable.is_some()).then_some(self.damage)
    }
}

/// Whether the next record begins where this one ends.
fn is_followed(
    window: &mut Window,
    disk: &mut dyn Disk,
    at: u64,
    header: Header,
) -> Result<bool, RecoveryError> {
    let next = window.header(disk, at + header.sectors())?;
    Ok(next.is_some_and(|next| next.life == header.life && next.sequence == header.sequence.wrapping_add(1)))
}
