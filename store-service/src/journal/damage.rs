//! Descriptions of damage: durable data that is no longer there.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use kernel_app::disk::{DiskError, SECTOR_BYTES};
use wire::resp::{Args, Framer};

use crate::command::Command;
use crate::keyspace::BEGIN;

/// Most keys that are named.
const KEYS_MAX: usize = 8;
/// Most bytes of a key that are shown.
const KEY_BYTES_MAX: usize = 48;

/// Sectors that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The first of them, on the disk.
    pub sector: u64,
    /// The last of them.
    pub last: u64,
    pub error: DiskError,
}

/// A log with a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the damaged record begins, in sectors of the disk.
    pub sector: u64,
    /// Number of the damaged record.
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
            0 => f.write_str(", and no whole record follows it")?,
            1 => write!(f, ", and a later record follows it (number {last})")?,
            _ => write!(f, ", and {records} later records follow it (up to number {last})")?,
        }
        if keys.named.is_empty() {
            return Ok(());
        }
        write!(f, "; they change {}", keys.named.join(" "))?;
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
    pub(super) fn add_of(&mut self, mut payload: &[u8]) {
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
