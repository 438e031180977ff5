//! Recorded configuration spaces, and broken ones.

use std::cell::Cell;

use exercise_11_2::common_configuration;

type Words = &'static [(u8, u32)];

/// Reads that are allowed: a list of 48 capabilities takes fewer.
const READS_MAX: usize = 400;

const QEMU: Words = &[
    (0x00, 0x1041_1af4),
    (0x08, 0x0200_0001),
    (0x14, 0xfebf_e000),
    (0x20, 0xfebf_800c),
    (0x34, 0x98),
    (0x40, 0x0110_0009),
    (0x44, 4),
    (0x50, 0x0310_4009),
    (0x54, 4),
    (0x58, 0x1000),
    (0x60, 0x0410_5009),
    (0x64, 4),
    (0x68, 0x2000),
    (0x70, 0x0214_6009),
    (0x74, 4),
    (0x78, 0x3000),
    (0x84, 0x0514_7009),
    (0x98, 0x0003_8411),
    (0x9c, 1),
];

const FIRECRACKER: Words =
    &[(0x00, 0x1041_1af4), (0x10, 4), (0x14, 0x40), (0x34, 0x40), (0x40, 0x0110_5009), (0x4c, 0x38)];

const CLOUD_HYPERVISOR: Words = &[
    (0x00, 0x1041_1af4),
    (0x10, 0xff80_0004),
    (0x14, 0xff),
    (0x34, 0x40),
    (0x40, 0x0110_5009),
    (0x4c, 0x38),
];

const UHYVE: Words = &[
    (0x00, 0x1041_1af4),
    (0x10, 0xfe00_000c),
    (0x34, 0x40),
    (0x3c, 0x10b),
    (0x40, 0x0110_5009),
    (0x48, 0x88),
    (0x4c, 0x40),
    (0x50, 0x0310_6009),
    (0x58, 0xc8),
];

fn found(words: Words, circle: &str) -> Option<u64> {
    let reads = Cell::new(0);
    let word = |register: u8| {
        reads.set(reads.get() + 1);
        assert!(register.is_multiple_of(4), "expected a register that 4 divides; came {register:#x}");
        assert!(
            reads.get() <= READS_MAX,
            "expected an end after at most {READS_MAX} reads{circle}; came one more"
        );
        words.iter().find(|(at, _)| *at == register).map_or(0, |(_, value)| *value)
    };
    common_configuration(&word)
}

fn assert_found(monitor: &str, words: Words, expected: u64, why: &str) {
    let came = found(words, "");
    let came = came.map_or("none".to_owned(), |address| format!("{address:#x}"));
    assert!(
        came == format!("{expected:#x}"),
        "expected {expected:#x} for {monitor}'s card ({why}); came {came}"
    );
}

#[test]
fn a_qemu() {
    let why = "its list begins with MSI-X; the common configuration is the capability of number 9 and type 1, the \
        highest byte of its first word, and lies behind base address register 4, without the register's flags";
    assert_found("QEMU", QEMU, 0xfebf_8000, why);
}

#[test]
fn b_firecracker() {
    let why = "bits 1 and 2 of base address register 0 say that it is 64 bits wide: the upper half of the address is in \
        the next register";
    assert_found("Firecracker", FIRECRACKER, 0x40_0000_0000, why);
}

#[test]
fn c_cloud_hypervisor() {
    assert_found("cloud-hypervisor", CLOUD_HYPERVISOR, 0xff_ff80_0000, "it lies just below 1 TiB");
}

#[test]
fn d_uhyve() {
    assert_found("uhyve", UHYVE, 0xfe00_0088, "the capability gives an offset behind the base address");
}

#[test]
fn e_other_functions() {
    let nothing: Words = &[(0x00, u32::MAX), (0x34, u32::MAX)];
    let bridge: Words = &[(0x00, 0x29c0_8086), (0x08, 0x0600_0000)];
    let legacy: Words = &[(0x00, 0x1041_1af4), (0x34, 0x40), (0x40, 0x0003_0011)];
    for (what, words) in [
        ("where nothing is", nothing),
        ("for a bridge", bridge),
        ("for a card without that capability", legacy),
    ] {
        let came = found(words, "");
        assert!(came.is_none(), "expected none {what}; came {came:x?}");
    }
}

#[test]
fn f_a_list_that_goes_in_a_circle() {
    let circle: Words = &[(0x00, 0x1041_1af4), (0x34, 0x40), (0x40, 0x0003_5011), (0x50, 0x0003_4011)];
    let came = found(circle, ", for this list goes in a circle, and a device is not to be trusted");
    assert!(came.is_none(), "expected none for a list that goes in a circle; came {came:x?}");
}
