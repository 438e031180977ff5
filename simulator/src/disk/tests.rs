//! The simulated disk's promises and its bad days.

use super::*;
use platter::Sector;
use std::time::Duration;

const SECTORS: u64 = 64;
const FAILING: DiskConditions = DiskConditions {
    latency: Duration::from_millis(1),
    jitter: Duration::ZERO,
    failed_per_million: 1_000_000,
    reads_failed_per_million: 0,
    is_full: false,
};

fn filled(byte: u8, sectors: usize) -> Vec<u8> {
    vec![byte; sectors * SECTOR_BYTES]
}

fn disk(seed: u64) -> SimulatedDisk {
    SimulatedDisk::new(SECTORS, Random::new(seed))
}

/// Writes, and waits for the end.
fn write(disk: &mut SimulatedDisk, sector: u64, data: &[u8]) -> Result<(), DiskError> {
    disk.write(sector, data, Instant::ZERO);
    assert!(disk.is_busy());
    assert_eq!(disk.writes_at(), Some(sector));
    disk.outcome(disk.next_deadline().expect("a write is under way")).expect("over")
}

fn sector(disk: &mut SimulatedDisk, number: u64) -> Sector {
    let mut bytes = [0; SECTOR_BYTES];
    disk.read(number, &mut bytes).expect("readable");
    bytes
}

fn holds(disk: &mut SimulatedDisk, sectors: std::ops::Range<u64>, byte: u8) -> bool {
    sectors.into_iter().all(|number| sector(disk, number) == [byte; SECTOR_BYTES])
}

#[test]
fn a_finished_write_survives_a_power_cut_and_others_may_be_torn() {
    let mut kinds = [0; 3];
    for seed in 0..200 {
        let mut disk = disk(seed);
        write(&mut disk, 0, &filled(1, 20)).expect("written");
        disk.write(20, &filled(1, 8), Instant::ZERO);
        disk.cut_power(disk.next_deadline().expect("under way"));
        assert!(holds(&mut disk, 0..28, 1), "its flush had ended");

        disk.write(1, &filled(2, 18), Instant::ZERO);
        assert_eq!(disk.outcome(Instant::ZERO), None, "it takes time");
        disk.cut_power(Instant::ZERO);
        assert!(!disk.is_busy());
        for number in 1..19 {
            let content = sector(&mut disk, number);
            let kind = [[1; SECTOR_BYTES], [2; SECTOR_BYTES]].iter().position(|known| *known == content);
            kinds[kind.unwrap_or(2)] += 1;
        }
        assert!(holds(&mut disk, 0..1, 1) && holds(&mut disk, 19..28, 1), "what lies beside stays");
        assert_eq!(disk.counts().torn, 1);
    }
    assert!(kinds.iter().all(|count| *count > 300), "old, new and neither: {kinds:?}");
}

#[test]
fn the_end_of_a_process_is_no_power_cut() {
    let mut disk = disk(1);
    write(&mut disk, 0, &filled(1, 8)).expect("written");
    let empty = disk.copy();
    disk.write(0, &filled(2, 8), Instant::ZERO);
    disk.leave(Instant::ZERO);
    assert!(holds(&mut disk, 0..8, 2), "it is in the cache");
    assert_eq!(disk.copy().0, empty.0, "and nowhere else");
    disk.open().expect("flushed");
    assert!(holds(&mut disk, 0..8, 2));
    disk.cut_power(Instant::ZERO);
    assert!(holds(&mut disk, 0..8, 2), "flushed when the next process opened it");
}

#[test]
fn a_failed_flush_leaves_clean_pages_that_go_with_the_cache() {
    let mut kept = 0;
    for seed in 0..100 {
        let mut disk = disk(seed);
        write(&mut disk, 0, &filled(1, 1)).expect("written");
        disk.set_conditions(FAILING);
        assert_eq!(write(&mut disk, 0, &filled(2, 1)), Err(DiskError::Failed));
        disk.set_conditions(DiskConditions::default());
        let torn = disk.copy();
        write(&mut disk, 8, &filled(3, 1)).expect("the next flush succeeds");
        assert_eq!(disk.copy().0[&0], torn.0[&0], "without those pages");
        kept += u32::from(torn.0[&0] != [2; SECTOR_BYTES] && holds(&mut disk, 0..1, 2));
        disk.open().expect("nothing to flush");
        assert_eq!(sector(&mut disk, 0), torn.0[&0], "what is read at open is what the device holds");
    }
    assert!(kept > 10, "a page that reads find and the device does not have: {kept} of 100");
}

#[test]
fn faults_come_when_they_are_asked_for() {
    let mut disk = disk(1);
    write(&mut disk, 0, &filled(1, 2)).expect("written");
    assert_eq!(write(&mut disk, SECTORS - 1, &filled(1, 2)), Err(DiskError::OutOfRange));
    assert_eq!(disk.read(SECTORS, &mut [0; SECTOR_BYTES]), Err(DiskError::OutOfRange));

    disk.set_conditions(DiskConditions { is_full: true, ..DiskConditions::default() });
    assert_eq!(write(&mut disk, 1, &filled(2, 2)), Err(DiskError::NoSpace));
    disk.open().expect("drops the cache");
    assert!(holds(&mut disk, 0..2, 1) && holds(&mut disk, 2..3, 0));
    write(&mut disk, 0, &filled(2, 2)).expect("there is space already");

    disk.set_conditions(DiskConditions { reads_failed_per_million: 1_000_000, ..DiskConditions::default() });
    assert_eq!(disk.read(0, &mut [0; SECTOR_BYTES]), Err(DiskError::Failed));
    disk.set_conditions(FAILING);
    disk.write(0, &filled(3, 1), Instant::ZERO);
    disk.leave(Instant::ZERO);
    assert_eq!(disk.open(), Err(DiskError::Failed), "what a process has left cannot be flushed");
    assert_eq!((disk.counts().no_space, disk.counts().failed, disk.counts().reads_failed), (1, 1, 1));
}

#[test]
fn old_sectors_are_damaged_and_mended_and_an_older_copy_is_put_back() {
    let mut disk = disk(3);
    write(&mut disk, 0, &filled(1, 1)).expect("written");
    let copy = disk.copy();
    write(&mut disk, 1, &filled(2, 1)).expect("written");
    assert_eq!(disk.damage(Damage::Rot, 2), None, "nothing is so old");
    assert_eq!(disk.damage(Damage::Rot, 1), Some(0), "the newest write is spared");
    assert!(!holds(&mut disk, 0..1, 1));
    assert_eq!(disk.damage(Damage::Unreadable, 1), Some(0));
    assert_eq!(disk.read(0, &mut [0; SECTOR_BYTES]), Err(DiskError::Failed));
    disk.undo_damage();
    assert!(holds(&mut disk, 0..1, 1) && holds(&mut disk, 1..2, 2));

    disk.damage(Damage::Unreadable, 1);
    write(&mut disk, 0, &filled(4, 1)).expect("a sector is good once it is written again");
    disk.undo_damage();
    assert!(holds(&mut disk, 0..1, 4));
    disk.put_back(&copy);
    assert!(holds(&mut disk, 0..1, 1) && holds(&mut disk, 1..2, 0));
}

/// Writes ahead, and waits for the end.
fn write_ahead(disk: &mut SimulatedDisk, sector: u64, data: &[u8]) -> Result<(), DiskError> {
    disk.write_ahead(sector, data, Instant::ZERO);
    disk.outcome(disk.next_deadline().expect("a write is under way")).expect("over")
}

#[test]
fn writes_ahead_become_durable_with_a_later_write() {
    let mut kept = [0; 2];
    for seed in 0..100 {
        let mut disk = disk(seed);
        write(&mut disk, 0, &filled(1, 4)).expect("written");
        write_ahead(&mut disk, 0, &filled(2, 4)).expect("written");
        assert!(holds(&mut disk, 0..4, 2), "whoever reads finds it");
        disk.cut_power(Instant::ZERO);
        kept[usize::from(holds(&mut disk, 0..4, 2))] += 1;

        write_ahead(&mut disk, 8, &filled(3, 4)).expect("written");
        write(&mut disk, 20, &filled(3, 1)).expect("written, and flushed");
        disk.cut_power(Instant::ZERO);
        assert!(holds(&mut disk, 8..12, 3));
    }
    assert!(kept.iter().all(|count| *count > 0), "lost or kept: {kept:?}");
}

#[test]
fn a_flush_reports_failed_writes_ahead() {
    let mut told = [0; 2];
    for seed in 0..100 {
        let mut disk = disk(seed);
        disk.set_conditions(FAILING);
        let ahead = write_ahead(&mut disk, 0, &filled(1, 4));
        told[usize::from(ahead.is_err())] += 1;
        disk.set_conditions(DiskConditions { failed_per_million: 500_000, ..FAILING });
        if ahead.is_ok() && write(&mut disk, 8, &filled(1, 1)).is_ok() {
            disk.cut_power(Instant::ZERO);
            assert!(holds(&mut disk, 0..4, 1) && holds(&mut disk, 8..9, 1), "seed {seed}");
        }
    }
    assert!(told.iter().all(|count| *count > 0), "told later or at once: {told:?}");
}

#[test]
fn a_copy_of_a_damaged_disk_is_of_what_it_held() {
    let mut disk = disk(1);
    write(&mut disk, 3, &filled(1, 1)).expect("written");
    write(&mut disk, 4, &filled(1, 1)).expect("written");
    let damaged = disk.damage(Damage::Rot, 1);
    assert_eq!(damaged, Some(3));
    assert_eq!(disk.damaged_sectors(), [DamagedSector { sector: 3, write: Some(1) }]);
    assert_eq!((disk.copy().sector(3), disk.durable_writes()), ([1; SECTOR_BYTES], 2));
    disk.undo_damage();
    assert_eq!(disk.damaged_sectors(), []);
}
