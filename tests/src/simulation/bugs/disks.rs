//! Bugs of the store's dealings with its disk: what each makes of writes and reads.
//!
//! Around the store, not in it: the store is handed another disk. The format is `store-service`'s journal.

use std::collections::VecDeque;
use std::time::Duration;

use kernel_app::disk::{Disk, DiskError, SECTOR_BYTES};
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Service, Usage};

use crate::simulation::log_format;

/// How a store deals with its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dealing {
    /// Takes writes for durable at once; they follow after this time, one by one.
    Cached(Duration),
    /// Takes failed writes for good.
    FailuresIgnored,
    /// Leaves out the last sector of a write that has several.
    CutShort,
    /// Takes a compaction's records for durable at once; they follow after the superblock that needs them.
    SuperblockFirst,
    /// Believes records whatever their checksum says.
    ChecksumsIgnored,
    /// Flushes a compaction's records with the superblock that needs them.
    CopyUnflushed,
    /// Goes on behind a record that could not be written.
    BehindFailures,
    /// Goes on behind the parts of a unit, the rest of which could not be written.
    BehindParts,
    /// Takes a superblock whose write failed for one that is not there.
    FlipNotDone,
    /// Takes sectors that cannot be read for zeros.
    ReadsIgnored,
    /// Takes damage for the log's end.
    DamageIsTail,
    /// Begins anew where the log is damaged.
    DamageIsBlank,
}

/// The store, with a disk that is not what it seems.
pub struct Misled {
    inner: Box<dyn Service>,
    state: State,
}

impl Misled {
    /// This store, which deals with its disk like this.
    pub fn new(inner: Box<dyn Service>, dealing: Dealing) -> Self {
        let (queue, copy) = (VecDeque::new(), Vec::new());
        let (half, shift, parts, behind) = (None, 0, Parts::default(), Parts::default());
        let (under_way, outcome, is_cut_off) = (None, None, false);
        let state =
            State { dealing, queue, under_way, outcome, half, copy, shift, is_cut_off, parts, behind };
        Self { inner, state }
    }

    fn call<R>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut dyn Service, &mut Context<'_>) -> R,
    ) -> R {
        let Context { now, unix_time, .. } = *context;
        let Some(disk) = context.disk.as_mut() else { return act(&mut *self.inner, context) };
        self.state.settle(&mut **disk, now);
        let mut disk = MisleadingDisk { state: &mut self.state, disk: &mut **disk };
        let Context { entropy, connections, .. } = context;
        act(
            &mut *self.inner,
            &mut Context { now, unix_time, entropy: &mut **entropy, connections, disk: Some(&mut disk) },
        )
    }
}

impl Service for Misled {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn endpoints(&self) -> Endpoints {
        self.inner.endpoints()
    }

    fn start(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        if let Some(disk) = context.disk.as_mut() {
            self.state.copy = copy(self.state.dealing, &mut **disk);
        }
        self.call(context, |inner, context| inner.start(context))
    }

    fn opened(&mut self, id: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        self.call(context, |inner, context| inner.opened(id, origin, context));
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.call(context, |inner, context| inner.ready(id, context));
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.call(context, |inner, context| inner.closed(id, context));
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.call(context, |inner, context| inner.turn(context));
    }

    fn next_deadline(&self) -> Option<Instant> {
        // While a write is under way, its end wakes the loop; the store asks for the outcome in its turn.
        let write =
            self.state.queue.front().filter(|_| self.state.under_way.is_none()).map(|write| write.due);
        let outcome = self.state.outcome.map(|_| Instant::ZERO);
        Instant::earliest([self.inner.next_deadline(), write, outcome])
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.inner.report_usage(report);
    }
}

/// The disk as it is read at the start; empty where it is read itself.
fn copy(dealing: Dealing, disk: &mut dyn Disk) -> Vec<u8> {
    let (mut copy, has_failed) = log_format::read_all(disk);
    match dealing {
        Dealing::ChecksumsIgnored if !has_failed => log_format::believe(&mut copy),
        Dealing::ReadsIgnored if has_failed => {}
        Dealing::DamageIsTail => {
            log_format::end_at_damage(&mut copy);
        }
        Dealing::DamageIsBlank if log_format::end_at_damage(&mut copy) => copy.fill(0),
        _ => copy.clear(),
    }
    copy
}

/// What outlives a turn.
struct State {
    dealing: Dealing,
    /// Writes that the disk does not have yet.
    queue: VecDeque<Write>,
    /// The one that it is busy with.
    under_way: Option<UnderWay>,
    /// What the store is told.
    outcome: Option<Result<(), DiskError>>,
    /// First sector of the half that the last superblock names, and the half's sectors.
    half: Option<(u64, u64)>,
    /// The disk as it is read at the start; empty when it is read itself.
    copy: Vec<u8>,
    /// By how many sectors records lie behind where they belong.
    shift: u64,
    /// Records go to a half that nobody will look for.
    is_cut_off: bool,
    /// The parts so far of a unit that goes on.
    parts: Parts,
    /// Those of units that failed, behind which the log goes on.
    behind: Parts,
}

/// Records of units that are not whole.
#[derive(Clone, Copy, Default)]
struct Parts {
    records: u64,
    sectors: u64,
    /// Of the last one, or of the last record behind them.
    checksum: u32,
}

struct UnderWay {
    is_waited_for: bool,
    sector: u64,
    sectors: u64,
    header: Option<log_format::Header>,
}

struct Write {
    sector: u64,
    data: Vec<u8>,
    due: Instant,
    /// Whether the store waits for its end.
    is_waited_for: bool,
    flushes: bool,
}

impl State {
    /// Hears of the write under way, and hands the disk the next one when it is time.
    fn settle(&mut self, disk: &mut dyn Disk, now: Instant) {
        if self.under_way.is_some()
            && let Some(outcome) = disk.outcome(now)
            && let Some(write) = self.under_way.take()
        {
            self.ended(&write, outcome);
        }
        if self.under_way.is_none()
            && let Some(write) = self.queue.pop_front_if(|write| write.due <= now)
        {
            let Write { sector, data, is_waited_for, .. } = &write;
            let (sector, sectors) = (*sector, (data.len() / SECTOR_BYTES) as u64);
            let header = log_format::header(data).filter(|_| !self.is_snapshot(sector));
            self.under_way = Some(UnderWay { is_waited_for: *is_waited_for, sector, sectors, header });
            if write.flushes {
                disk.write(sector, data, now);
            } else {
                disk.write_ahead(sector, data, now);
            }
        }
    }

    fn ended(&mut self, write: &UnderWay, outcome: Result<(), DiskError>) {
        if write.is_waited_for {
            let is_ignored = self.dealing == Dealing::FailuresIgnored;
            self.outcome = Some(if is_ignored { Ok(()) } else { outcome });
        }
        match (self.dealing, outcome) {
            (Dealing::BehindFailures, Err(_)) if write.sector >= log_format::HALVES_START => {
                self.shift += write.sectors;
            }
            (Dealing::FlipNotDone, Err(_)) if write.sector == 1 && self.half.is_some() => {
                self.is_cut_off = true;
            }
            (Dealing::BehindParts, _) => self.note_part(write, outcome.is_ok()),
            _ => {}
        }
    }

    /// Counts the parts of a unit; once it has failed, the log goes on behind them, until it is compacted.
    fn note_part(&mut self, write: &UnderWay, is_written: bool) {
        match write.header {
            Some(header) if is_written => {
                self.behind.checksum = header.checksum;
                let Parts { records, sectors, .. } = self.parts;
                let (records, sectors) = (records + 1, sectors + write.sectors);
                let parts = Parts { records, sectors, checksum: header.checksum };
                self.parts = if header.continues { parts } else { Parts::default() };
            }
            Some(_) if self.parts.records > 0 => {
                let Parts { records, sectors, checksum } = core::mem::take(&mut self.parts);
                let (records, sectors) = (self.behind.records + records, self.behind.sectors + sectors);
                self.behind = Parts { records, sectors, checksum };
            }
            None if is_written && write.sector == 1 => (self.parts, self.behind) = Default::default(),
            _ => {}
        }
    }

    fn write(&mut self, sector: u64, data: &[u8], flushes: bool, now: Instant) {
        let write = |length: usize, due, is_waited_for| Write {
            sector,
            data: data[..length].to_vec(),
            due,
            is_waited_for,
            flushes,
        };
        let length = data.len();
        match self.dealing {
            Dealing::Cached(time) => self.queue.push_back(write(length, now + time, false)),
            Dealing::SuperblockFirst if self.is_snapshot(sector) => {
                self.queue.push_back(write(length, now + SNAPSHOT_LATE, false));
            }
            Dealing::CopyUnflushed if self.is_snapshot(sector) => {
                self.queue.push_front(Write { flushes: false, ..write(length, now, true) });
            }
            Dealing::BehindFailures if sector >= log_format::HALVES_START => {
                let sector = sector + self.shift;
                self.queue.push_front(Write { sector, ..write(length, now, true) });
            }
            Dealing::BehindParts if self.behind.records > 0 && self.is_commit(sector, data) => {
                let mut write = write(length, now, true);
                write.sector += self.behind.sectors;
                log_format::put_behind(&mut write.data, self.behind.records, self.behind.checksum);
                self.queue.push_front(write);
            }
            Dealing::FlipNotDone if self.is_cut_off && sector >= log_format::HALVES_START => {}
            Dealing::CutShort if length > SECTOR_BYTES => {
                self.queue.push_front(write(length - SECTOR_BYTES, now, true));
            }
            _ => self.queue.push_front(write(length, now, true)),
        }
        if self.queue.iter().all(|write| !write.is_waited_for) {
            self.outcome = Some(Ok(()));
        }
        if let Some(half) = log_format::half(sector, data) {
            self.half = Some(half);
        }
    }

    /// Whether it is a record of the log that is in use.
    fn is_commit(&self, sector: u64, data: &[u8]) -> bool {
        log_format::header(data).is_some() && !self.is_snapshot(sector)
    }

    /// Whether it is a record of the half that is not in use.
    fn is_snapshot(&self, sector: u64) -> bool {
        let Some((start, sectors)) = self.half else { return false };
        sector >= log_format::HALVES_START && !(start..start + sectors).contains(&sector)
    }
}

/// How much later than taken for durable a compaction's records are written.
const SNAPSHOT_LATE: Duration = Duration::from_millis(300);

/// What the store takes for its disk.
struct MisleadingDisk<'a> {
    state: &'a mut State,
    disk: &'a mut dyn Disk,
}

impl Disk for MisleadingDisk<'_> {
    fn sectors(&self) -> u64 {
        self.disk.sectors()
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        if !self.state.copy.is_empty() {
            let start = sector as usize * SECTOR_BYTES;
            into.copy_from_slice(
                self.state.copy.get(start..start + into.len()).ok_or(DiskError::OutOfRange)?,
            );
            return Ok(());
        }
        self.disk.read(sector, into)?;
        // What the store takes for durable, it also finds.
        for write in &self.state.queue {
            for (number, bytes) in (write.sector..).zip(write.data.chunks_exact(SECTOR_BYTES)) {
                let at = number.checked_sub(sector).map(|sectors| sectors as usize * SECTOR_BYTES);
                if let Some(place) = at.and_then(|at| into.get_mut(at..at + SECTOR_BYTES)) {
                    place.copy_from_slice(bytes);
                }
            }
        }
        if let Some(half) = log_format::half(sector, into) {
            self.state.half = Some(half);
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8], now: Instant) {
        self.state.copy.clear();
        self.state.write(sector, data, true, now);
        self.state.settle(self.disk, now);
    }

    fn write_ahead(&mut self, sector: u64, data: &[u8], now: Instant) {
        self.state.copy.clear();
        self.state.write(sector, data, false, now);
        self.state.settle(self.disk, now);
    }

    fn outcome(&mut self, now: Instant) -> Option<Result<(), DiskError>> {
        self.state.settle(self.disk, now);
        self.state.outcome.take()
    }

    fn is_busy(&self) -> bool {
        let is_waited_for = self.state.queue.iter().any(|write| write.is_waited_for);
        self.state.outcome.is_some()
            || self.state.under_way.as_ref().is_some_and(|write| write.is_waited_for)
            || is_waited_for
    }
}
