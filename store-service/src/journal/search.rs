//! The search for damage: it distinguishes lost durable data from an interrupted write.
//!
//! A record is written only after the previous one is durable. So no record of the same log with a higher number can
//! follow a record that was torn while it was written. If there is one, the record before it was damaged later. The
//! life of a record shows that it belongs to this log: the halves are full of records of earlier logs.

use kernel_app::Disk;

use super::damage::{Damage, Keys};
use super::record::{Header, Position};
use super::recovery_error::RecoveryError;
use super::superblock::Superblock;
use super::window::Window;

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

    /// Searches the next sectors; returns whether they were the last.
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
