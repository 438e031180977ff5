//! Commands that accumulate for the next commit, as RESP, split into records.
//!
//! A unit is what must become durable as a whole: a command or a transaction. Records end where units end; only a
//! unit that is larger than a record continues in the next one.

use kernel_app::Buffer;
use kernel_app::disk::SECTOR_BYTES;
use wire::resp::write;

use alloc::vec::Vec;

use super::record::{HEADER_BYTES, PAYLOAD_BYTES_MAX};

/// Most bytes of a batch. Inputs are held once [`GATHERED_BYTES_MAX`](super::GATHERED_BYTES_MAX) have
/// gathered; one transaction and those whom it serves may still come on top.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Storage above this is given back.
const BATCH_BYTES_KEPT: usize = 256 * 1024;
/// What a record takes on the disk beyond its payload, at most.
const RECORD_BYTES: usize = HEADER_BYTES + SECTOR_BYTES;

/// Records, of which the last one grows.
#[derive(Debug)]
pub struct Batch {
    commands: Buffer,
    /// Where the record that is being filled begins.
    record_start: usize,
    /// Where the unit that is being written begins.
    unit_start: usize,
    /// The ends of the records before it.
    cuts: Vec<Cut>,
    units: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    end: usize,
    continues: bool,
}

/// The payload of one record.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    pub bytes: &'a [u8],
    /// The unit goes on in the next record.
    pub continues: bool,
}

impl Batch {
    pub const fn new() -> Self {
        Self {
            commands: Buffer::new(BATCH_BYTES_MAX),
            record_start: 0,
            unit_start: 0,
            cuts: Vec::new(),
            units: 0,
        }
    }

    /// Whether nothing has gathered.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Bytes of the commands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// How many units have gathered.
    pub fn units(&self) -> usize {
        self.units
    }

    /// What the records take on the disk, at most.
    pub fn image_bytes(&self) -> usize {
        self.commands.len() + (self.cuts.len() + 1) * RECORD_BYTES
    }

    /// Adds a command to the unit; `false` when it does not fit, which the limits rule out.
    pub fn push<'a>(&mut self, args: impl ExactSizeIterator<Item = &'a [u8]>) -> bool {
        let out = &mut self.commands;
        write::array(out, args.len()).is_ok() && { args }.all(|argument| write::bulk(out, argument).is_ok())
    }

    /// Ends the unit, and the record before it if it has no room for the unit.
    pub fn end_unit(&mut self) {
        let end = self.commands.len();
        self.units += usize::from(end > self.unit_start);
        if end - self.record_start > PAYLOAD_BYTES_MAX && self.unit_start > self.record_start {
            self.cut(self.unit_start, false);
        }
        while end - self.record_start > PAYLOAD_BYTES_MAX {
            self.cut(self.record_start + PAYLOAD_BYTES_MAX, true);
        }
        self.unit_start = end;
    }

    /// Ends the last record. At least one there is: an empty batch has an empty record.
    pub fn seal(&mut self) {
        self.cut(self.commands.len(), false);
    }

    fn cut(&mut self, end: usize, continues: bool) {
        self.cuts.push(Cut { end, continues });
        self.record_start = end;
    }

    /// The record with this number, of a sealed batch.
    pub fn record(&self, index: usize) -> Option<Payload<'_>> {
        let cut = self.cuts.get(index)?;
        let start = if index == 0 { 0 } else { self.cuts[index - 1].end };
        let bytes = &self.commands.as_slice()[start..cut.end];
        Some(Payload { bytes, continues: cut.continues })
    }

    /// Drops everything, and storage that only an unusual batch needed.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.commands.shrink_to(BATCH_BYTES_KEPT);
        self.cuts.clear();
        (self.record_start, self.unit_start, self.units) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(batch: &Batch) -> Vec<(usize, bool)> {
        let payloads = (0..).map_while(|index| batch.record(index));
        payloads.map(|payload| (payload.bytes.len(), payload.continues)).collect()
    }

    fn push(batch: &mut Batch, bytes: usize) -> usize {
        let before = batch.len();
        assert!(batch.push([&b"x".repeat(bytes)[..]].into_iter()));
        batch.len() - before
    }

    #[test]
    fn records_end_where_units_do() {
        let mut batch = Batch::new();
        let first = push(&mut batch, 60_000);
        batch.end_unit();
        let second = push(&mut batch, 50_000) + push(&mut batch, 10_000);
        batch.end_unit();
        let third = push(&mut batch, 50_000);
        batch.end_unit();
        batch.seal();
        assert_eq!(records(&batch), [(first + second, false), (third, false)]);
    }

    #[test]
    fn only_units_larger_than_a_record_span_records() {
        let mut batch = Batch::new();
        let small = push(&mut batch, 10);
        batch.end_unit();
        let large = push(&mut batch, 60_000) + push(&mut batch, 60_000) + push(&mut batch, 60_000);
        batch.end_unit();
        batch.seal();
        let rest = large - PAYLOAD_BYTES_MAX;
        assert_eq!(records(&batch), [(small, false), (PAYLOAD_BYTES_MAX, true), (rest, false)]);
        batch.clear();
        batch.seal();
        assert_eq!(records(&batch), [(0, false)], "nothing is a record, too");
    }
}
