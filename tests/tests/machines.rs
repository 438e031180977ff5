//! The smallest image on machines that the host tool does not make: other places for devices, no clock, no entropy,
//! a machine that is held, restored or broken.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tests::client::{curl, vote, wait_for};
use tests::command::run;
use tests::machine::{BOOT_LIMIT, CARD, Guest, Q35, snapshots};

/// A held machine has the right time again within this; it looks every second.
const RIGHT_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn cards_are_found_wherever_they_are() {
    let behind = |bus: &str| format!("virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,bus={bus}");
    let root_port = behind("root1");
    let deep = behind("inner");
    let machines: [(&str, &[&str]); 6] = [
        (
            "function 3",
            &[
                "-device",
                "virtio-rng-pci,addr=5.0,multifunction=on",
                "-device",
                "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,addr=5.3",
            ],
        ),
        ("a root port", &["-device", "pcie-root-port,id=root1,chassis=1", "-device", &root_port]),
        (
            "two bridges",
            &[
                "-device",
                "pcie-pci-bridge,id=outer",
                "-device",
                "pci-bridge,id=inner,bus=outer,chassis_nr=1,addr=1",
                "-device",
                &deep,
            ],
        ),
        (
            "another host bridge",
            &[
                "-device",
                "pxb-pcie,id=other,bus_nr=64",
                "-device",
                "pcie-root-port,id=root1,bus=other,chassis=2",
                "-device",
                &root_port,
            ],
        ),
        ("an I/O MMU", &["-device", "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,iommu_platform=on"]),
        ("a transitional card", &["-device", "virtio-net-pci,romfile=,netdev=n0"]),
    ];
    for (place, words) in machines {
        eprintln!("{place}");
        Guest::q35(words).serves();
    }
}

#[test]
fn registers_above_4_gib_are_reached() {
    // What does not fit below makes the firmware put all above that may be there.
    let large = ["-device", "pci-testdev,membar=8G"];
    let mut guest = Guest::start(&[Q35, &["-cpu", "max"], &large, CARD]);
    guest.serves();
    let functions = guest.monitor().human("info pci");
    let card = functions.split("Bus ").find(|function| function.contains("1af4:1041")).expect("a card");
    let place = card.split("64 bit prefetchable memory at 0x").nth(1).and_then(|rest| rest.split(' ').next());
    let place = u64::from_str_radix(place.expect("registers"), 16).expect("a number");
    assert!(place >= 1 << 32, "{card}");
}

#[test]
fn cards_are_found_by_configuration_space_in_memory_alone() {
    for options in ["microvm,pcie=on", "microvm,pcie=on,ioapic2=off"] {
        Guest::start(&[&["-M", options, "-cpu", "max"], CARD]).serves();
    }
}

#[test]
fn what_cannot_be_used_is_named_with_its_reason() {
    let legacy =
        Guest::q35(&["-device", "virtio-net-pci,disable-modern=on,disable-legacy=off,romfile=,netdev=n0"]);
    legacy.says("virtio-net at 00:01.0 was found but cannot be used: it is a legacy device");
    Guest::q35(&[]).says("no virtio-net device");
}

#[test]
fn a_machine_needs_entropy_and_virtio_rng_provides_it() {
    let bare = ["-cpu", "max,-rdrand,-rdseed"];
    let mut poor = Guest::start(&[Q35, &bare, CARD, &["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]]);
    poor.says("no source of entropy: the processor has neither RDSEED nor RDRAND; give the machine");
    assert_eq!(poor.status(), Some(1));
    let mut rich = Guest::start(&[Q35, &bare, CARD, &["-device", "virtio-rng-pci"]]);
    rich.serves();
    let voters: Vec<_> = (0..2).map(|_| vote(&rich.url(), "a", None)).collect();
    let cookie = |index: usize| voters[index].header("set-cookie").expect("a new voter").to_owned();
    assert_ne!(cookie(0), cookie(1));
}

#[test]
fn a_machine_without_a_clock_says_so_and_serves() {
    let microvm = "microvm,ioapic2=off,auto-kernel-cmdline=off,rtc=off";
    let card = ["-device", "virtio-net-device,netdev=n0"];
    let modern = ["-global", "virtio-mmio.force-legacy=false"];
    let mut guest = Guest::start(&[&["-M", microvm, "-cpu", "max"], &modern, &card]);
    guest.serves();
    guest.says(
        "no time of day: there is no KVM clock, and the real-time clock at port 0x70 gave no time in 3 ms",
    );
}

/// Serves on a microvm with these options, by its card's interrupts.
fn serves_on_mmio(options: &str) {
    let card = ["-device", "virtio-net-device,netdev=n0"];
    let modern = ["-global", "virtio-mmio.force-legacy=false"];
    let mut guest = Guest::start(&[&["-M", options, "-cpu", "max"], &modern, &card]);
    guest.serves();
}

#[test]
fn a_second_io_apic_serves_the_devices_of_a_plain_microvm() {
    ["microvm", "microvm,ioapic2=off"].into_iter().for_each(serves_on_mmio);
}

#[test]
#[ignore = "the kernel looks for ACPI in page 0, which is mapped already, and panics where no loader tells of any"]
fn a_microvm_without_acpi_serves() {
    serves_on_mmio("microvm,acpi=off");
}

#[test]
fn no_page_is_writable_and_executable_and_page_0_is_unmapped() {
    let mut guest = Guest::q35(CARD);
    guest.serves();
    // Lines are "address: page flags"; the first flag is X where nothing can be executed, the last W.
    let pages = guest.monitor().human("info tlb");
    let flags: Vec<(&str, &str)> = pages
        .lines()
        .filter_map(|line| Some((line.split_once(':')?.0, line.trim().rsplit_once(' ')?.1)))
        .collect();
    // QEMU shows the last level's flags alone; outside of the image the levels above forbid execution.
    let in_image =
        |address: &str| u64::from_str_radix(address, 16).is_ok_and(|at| (2 << 20..4 << 20).contains(&at));
    let page_0 = flags.iter().any(|(address, _)| *address == "0000000000000000");
    let flags: Vec<_> = flags.into_iter().filter(|(address, _)| in_image(address)).collect();
    let executable = flags.iter().filter(|(_, flags)| !flags.starts_with('X')).count();
    let both: Vec<_> =
        flags.iter().filter(|(_, flags)| !flags.starts_with('X') && flags.ends_with('W')).collect();
    assert!(executable > 50 && both.is_empty(), "{executable} pages of code, {both:?}");
    assert!(!page_0, "page 0 is mapped");
}

#[test]
fn a_machine_that_was_held_has_the_right_time_again() {
    let mut guest = Guest::q35(CARD);
    guest.serves();
    let mut monitor = guest.monitor();
    monitor.execute(&json!({ "execute": "stop" }));
    // This long it is held; nothing is waited for.
    std::thread::sleep(Duration::from_secs(7));
    monitor.execute(&json!({ "execute": "cont" }));
    let right = || {
        let metrics = curl(&guest.url(), &[]);
        let date = metrics.header("date")?.to_owned();
        let seconds =
            run(Command::new("date").args(["--date", &date, "+%s"])).stdout.trim().parse::<u64>().ok()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        // QEMU's own clock is behind by less than a second, and the header by less than another one.
        (now.abs_diff(seconds) <= 2).then_some(())
    };
    assert!(wait_for(RIGHT_WITHIN, right).is_some(), "{}", guest.log());
    guest.says("ms behind, as after a pause");
}

#[test]
fn frames_larger_than_a_buffer_are_dropped() {
    let card = "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,host_mtu=9000";
    let mut guest = Guest::q35(&["-device", card]);
    guest.serves();
    guest.says("the card carries packets of 9000 bytes; 1500 are the most that is sent or taken here");
    assert_eq!(curl(&guest.url(), &[]).status, 200);
}

#[test]
fn a_card_of_1280_bytes_carries_large_requests_and_answers() {
    const FRAME_BYTES_MAX: usize = 14 + 1_280;
    let card = "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,host_mtu=1280";
    let directory = tempfile::tempdir().expect("a directory");
    let capture = directory.path().join("frames.pcap");
    let dump = format!("filter-dump,id=dump,netdev=n0,file={}", capture.display());
    let mut guest = Guest::q35(&["-device", card, "-object", &dump]);
    guest.serves();
    let padding = format!("X-Padding: {}", "x".repeat(3_000));
    let page = curl(&format!("{}static/style.css", guest.url()), &["--header", &padding]);
    assert_eq!(page.status, 200);
    assert!(page.body.len() > FRAME_BYTES_MAX, "{} bytes are no large answer", page.body.len());
    let lengths = frame_lengths(&fs::read(&capture).expect("QEMU has written it"));
    let largest = lengths.iter().max().expect("frames");
    assert!((1_200..=FRAME_BYTES_MAX).contains(largest), "the largest frame has {largest} bytes");
}

/// The lengths of the frames in a capture (pcap).
fn frame_lengths(capture: &[u8]) -> Vec<usize> {
    const FILE_HEADER_BYTES: usize = 24;
    const FRAME_HEADER_BYTES: usize = 16;
    let mut rest = &capture[FILE_HEADER_BYTES..];
    let mut lengths = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(FRAME_HEADER_BYTES) {
        let number =
            |at: usize| u32::from_le_bytes(*header[at..].first_chunk().expect("four bytes")) as usize;
        lengths.push(number(12));
        rest = after.get(number(8)..).unwrap_or_default();
    }
    lengths
}

#[test]
fn two_restores_of_a_snapshot_give_voters_with_nothing_in_common() {
    let directory = tempfile::tempdir().expect("a directory");
    let drive = snapshots(directory.path());
    let mut guest = Guest::start(&[Q35, &["-cpu", "max"], CARD, &["-drive", &drive]]);
    guest.serves();
    let mut monitor = guest.monitor();
    let saved = monitor.human("savevm one");
    assert_eq!(saved, "", "the machine is saved");
    let mut restored = || {
        let loaded = monitor.human("loadvm one");
        assert_eq!(loaded, "", "the machine is restored");
        let answer = wait_for(BOOT_LIMIT, || {
            Some(vote(&guest.url(), "a", None)).filter(|answer| answer.status == 200)
        });
        let answer = answer.expect("it serves");
        let cookie = answer.header("set-cookie").expect("a new voter");
        let id = cookie.split(['=', ';']).nth(1).filter(|id| id.len() == 32).expect("an id");
        [id[..16].to_owned(), id[16..].to_owned()]
    };
    let (one, other) = (restored(), restored());
    assert!(one[0] != other[0] && one[1] != other[1], "{one:?} {other:?}");
}

/// A machine on which a person or an engine has done this in its monitor.
fn stops_after(words: &[&[&str]], command: &str) {
    let mut guest = Guest::start(words);
    guest.serves();
    guest.monitor().human(command);
    guest.says("stopped on request");
    assert_eq!(guest.status(), Some(0));
}

#[test]
fn the_power_button_stops_a_machine_as_any_order_does() {
    stops_after(&[Q35, &["-cpu", "max"], CARD], "system_powerdown");
}

#[test]
fn a_machine_without_a_power_button_stops_by_ctrl_alt_delete() {
    let keyboard = ["-device", "i8042"];
    let card = ["-device", "virtio-net-device,netdev=n0", "-global", "virtio-mmio.force-legacy=false"];
    stops_after(&[&["-M", "microvm", "-cpu", "max"], &card, &keyboard], "sendkey ctrl-alt-delete");
}
