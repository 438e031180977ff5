//! Which fault comes next, when and for how long: chance, weighed so that every kind meets every other.
//!
//! Begins nothing.

use std::time::Duration;

use simulator::disk::{Damage, DiskConditions};
use simulator::random::Random;
use simulator::{Conditions, DRIFT_PPM_MAX, NodeId};

use super::copies::Copies;
use super::fault::{Fault, Remedy};
use crate::simulation::cluster::Cluster;
use crate::simulation::database::DatabaseConditions;

/// How long a fault lasts.
const LASTS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(5)];
/// How long a pause may last: longer than others wait for whoever shows nothing.
const PAUSE_MAX: Duration = Duration::from_secs(14);
/// How often a pause is a long one, of a million.
const LONG_PAUSE_PER_MILLION: u32 = 250_000;
/// Farthest that a monotonic clock jumps.
const LEAP_MAX: Duration = Duration::from_secs(3_600);
/// Most that a wall clock is wrong.
const WALL_OFFSET_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// How often the store comes to harm while its disk is bad, or has just been, of a million: what went wrong then shows
/// when it starts again.
const STORE_TOO_PER_MILLION: u32 = 500_000;
/// How often something goes back where that happens, of a million.
const GOES_BACK_PER_MILLION: u32 = 120_000;

/// How long this fault is to last.
pub fn duration(fault: &Fault, random: &mut Random) -> Duration {
    match fault {
        Fault::Pause(..) if random.happens(LONG_PAUSE_PER_MILLION) => random.between(LASTS[1], PAUSE_MAX),
        _ if fault.is_instant() => Duration::ZERO,
        _ => random.between(LASTS[0], LASTS[1]),
    }
}

/// Any fault; one that makes no sense in this application is none.
pub fn any(
    random: &mut Random,
    cluster: &Cluster,
    copies: &Copies,
    active: &[Fault],
    disk_was_bad: bool,
) -> Option<Fault> {
    let is_bad = |fault: &Fault| matches!(fault, Fault::Disk(_));
    if (disk_was_bad || active.iter().any(is_bad)) && random.happens(STORE_TOO_PER_MILLION) {
        return Some(stopped(cluster.store, random));
    }
    if cluster.plan.goes_back && random.happens(GOES_BACK_PER_MILLION) {
        return older(random, cluster, copies);
    }
    Some(match random.below(122) {
        0..15 => stopped(random.pick(&cluster.workers), random),
        15..27 => stopped(random.pick(&cluster.votes), random),
        27..41 => stopped(cluster.store, random),
        41..44 => Fault::Blackout,
        44..47 => stopped(cluster.result, random),
        47..54 => {
            let (one, other) = random.pick(&cluster.links());
            Fault::Cut(one, other)
        }
        54..61 => {
            let (one, other) = random.pick(&cluster.links());
            if random.happens(500_000) { Fault::CutOneWay(one, other) } else { Fault::CutOneWay(other, one) }
        }
        61..64 => Fault::Isolation(random.pick(&cluster.nodes())),
        64..73 => Fault::Network(rough(random)),
        73..82 if cluster.plan.has_disk => Fault::Disk(bad_disk(random)),
        85..89 => clock(random, cluster),
        89..93 => Fault::Leap(random.pick(&cluster.nodes()), random.up_to(LEAP_MAX)),
        93..101 => Fault::Pause(random.pick(&cluster.nodes()), random.happens(500_000)),
        101..106 => {
            let scaled = if random.happens(500_000) { &cluster.votes } else { &cluster.workers };
            Fault::Scale(random.pick(scaled))
        }
        106..109 if cluster.plan.is_cramped => Fault::FullMemory,
        109..116 if cluster.plan.has_disk => {
            let damage = random.pick(&[Damage::Rot, Damage::Rot, Damage::Rot, Damage::Unreadable]);
            Fault::Damaged(damage, random.pick(&[Remedy::GoodCopy, Remedy::AcceptLoss]))
        }
        116..122 => match cluster.database {
            Some(database) if random.happens(300_000) => stopped(database, random),
            Some(_) => Fault::Database(bad_database(random)),
            None => return None,
        },
        _ => return None,
    })
}

fn stopped(node: NodeId, random: &mut Random) -> Fault {
    if random.happens(500_000) { Fault::Crash(node) } else { Fault::Kill(node) }
}

fn older(random: &mut Random, cluster: &Cluster, copies: &Copies) -> Option<Fault> {
    let mut copy = || Some(random.below(copies.len() as u64) as usize);
    let (store, database) = (copy(), copy());
    let which = if cluster.plan.has_database { random.below(3) } else { 0 };
    let (store, database) = match which {
        0 => (store, None),
        1 => (None, database),
        _ => (store, database),
    };
    let is_sound = cluster.plan.has_disk || store.is_none();
    is_sound.then_some(Fault::GoBack(store, database))
}

fn rough(random: &mut Random) -> Conditions {
    let slowest = random.pick(&[5, 50, 500]);
    Conditions {
        latency: random.up_to(Duration::from_millis(slowest)),
        jitter: random.up_to(Duration::from_millis(slowest)),
        lost_per_million: random.below(200_000) as u32,
        duplicated_per_million: random.below(200_000) as u32,
    }
}

fn bad_disk(random: &mut Random) -> DiskConditions {
    let usual = DiskConditions::default();
    let often = |random: &mut Random| 100_000 + random.below(900_000) as u32;
    match random.below(6) {
        0 | 1 => DiskConditions { failed_per_million: often(random), ..usual },
        2 => DiskConditions { is_full: true, ..usual },
        3 => DiskConditions {
            failed_per_million: random.pick(&[0, 500_000]),
            reads_failed_per_million: often(random),
            ..usual
        },
        _ => DiskConditions {
            latency: random.up_to(Duration::from_secs(1)),
            jitter: random.up_to(Duration::from_secs(2)),
            ..usual
        },
    }
}

fn bad_database(random: &mut Random) -> DatabaseConditions {
    let slowest = random.pick(&[10, 500, 4_000]);
    DatabaseConditions {
        commit_within: Duration::from_millis(slowest),
        answer_within: Duration::from_millis(slowest),
        refused_per_million: random.below(500_000) as u32,
        dropped_per_million: random.below(500_000) as u32,
    }
}

fn clock(random: &mut Random, cluster: &Cluster) -> Fault {
    let node = random.pick(&cluster.nodes());
    let drift_ppm = random.below(2 * u64::from(DRIFT_PPM_MAX.unsigned_abs())) as i32 - DRIFT_PPM_MAX;
    let offset_ms = random.below(2 * WALL_OFFSET_MS_MAX) as i64 - WALL_OFFSET_MS_MAX as i64;
    Fault::Clock(node, drift_ppm, offset_ms)
}
