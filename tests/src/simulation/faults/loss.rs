//! Which votes may be lost to damage of the store's log, as the disk itself tells.
//!
//! Believes nothing that the store says: where it finds damage and what it gives up for it is what is judged.

use kernel_app::Instant;
use kernel_app::simulator::disk::SimulatedDisk;

use crate::simulation::log_format::{self, Half};
use crate::simulation::scenario::Books;

/// Since when what was accepted may be lost: since the damaged record was written, or since ever if it is one that a
/// compaction wrote, which holds votes of any age.
///
/// # Errors
/// When no record of the log is damaged: nothing may be lost.
pub fn begins_at(disk: &SimulatedDisk, books: &Books) -> Result<Instant, String> {
    let unharmed = || {
        let damaged: Vec<u64> = disk.damaged_sectors().iter().map(|damaged| damaged.sector).collect();
        format!(
            "the store gives up what is on its disk, of which nothing that counts is damaged: {damaged:?} are"
        )
    };
    let copy = disk.copy();
    let half = log_format::half_in_use(&copy.sector(0), &copy.sector(1)).ok_or_else(unharmed)?;
    let Half { start, sectors, compacted } = half;
    let damaged = disk.damaged_sectors();
    if damaged.iter().any(|damaged| damaged.sector < log_format::SUPERBLOCKS) {
        // It may have been the one that counts, and the other one may name an older half.
        return Ok(Instant::ZERO);
    }
    let first = damaged.into_iter().find(|damaged| (start..start + sectors).contains(&damaged.sector));
    let first = first.ok_or_else(unharmed)?;
    match first.write {
        Some(write) if first.sector >= start + compacted => Ok(books.durable_at(write)),
        _ => Ok(Instant::ZERO),
    }
}
