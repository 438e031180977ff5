//! The last record of a log: once nothing comes behind it, an empty one does, which shows that it was durable.

use std::{assert, assert_eq, format};

use kernel_app::disk::SECTOR_BYTES;
use kernel_app::shutdown::ShutdownPhase;

use super::Bench;

/// A store that was quiet after its last change, and the sector of that.
fn quiet() -> (Bench, u64) {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "RPUSH votes a");
    bench.ask_durably(client, "RPUSH votes b");
    let sector = bench.disk().writes().last().expect("a write").0;
    bench.wait(1_000);
    bench.settle();
    (bench, sector)
}

#[test]
fn bit_rot_in_the_last_change_is_detected_after_a_quiet_period() {
    let (mut bench, sector) = quiet();
    let disk = bench.disk().after_cut();
    for byte in (0..32).chain(32..60) {
        let mut damaged = disk.clone();
        damaged.bytes_mut()[sector as usize * SECTOR_BYTES + byte] ^= 1 << (byte % 8);
        let error = Bench::on(damaged, 2).err().expect("it was acknowledged");
        let place = format!("at sector {sector} of the disk, is damaged, and a later record follows it");
        assert!(error.contains(&place), "byte {byte}: {error}");
    }
    let mut damaged = disk.clone();
    damaged.bytes_mut()[(sector as usize + 1) * SECTOR_BYTES + 28] ^= 1;
    let restarted = Bench::on(damaged, 2).expect("nothing is lost with the empty record");
    assert!(restarted.contents() == bench.contents());
}

#[test]
fn it_is_written_once_and_costs_nobody_anything() {
    let (mut bench, _) = quiet();
    let writes = bench.disk().writes().len();
    for _ in 0..5 {
        bench.wait(1_000);
        bench.settle();
    }
    assert_eq!(bench.disk().writes().len(), writes, "once");
    let client = bench.connect();
    bench.ask_durably(client, "RPUSH votes c");
    assert_eq!(bench.disk().writes().len(), writes + 1, "and not before a second has passed");
    assert!(bench.restarted(2).contents() == bench.contents());
}

#[test]
fn a_store_that_is_told_to_stop_writes_it_at_once() {
    let mut bench = Bench::durable();
    let client = bench.connect();
    bench.ask_durably(client, "RPUSH votes a");
    let (sector, _) = bench.disk().writes().last().expect("a write").clone();
    bench.connections.set_shutdown_phase(ShutdownPhase::Draining);
    bench.turn();
    bench.settle();
    let mut damaged = bench.disk().after_cut();
    damaged.bytes_mut()[sector as usize * SECTOR_BYTES + 40] ^= 1;
    assert!(Bench::on(damaged, 2).is_err_and(|error| error.contains("is damaged")));
}
