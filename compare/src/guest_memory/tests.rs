//! Lists of mappings as Linux 6.18 gives them for QEMU 7.2, and wrong ones.

use std::fmt::Write as _;

use super::*;

/// A mapping as the kernel tells it, without the lines that nobody reads.
fn told(start: u64, mib: u64, rights: &str, held_kib: u64, flags: &str) -> String {
    let end = start + mib * BYTES_PER_MIB;
    format!(
        "{start:x}-{end:x} {rights} 00000000 00:00 0 \nSize:           {} kB\nRss:            {held_kib} kB\n\
         Pss:            {held_kib} kB\nPss_Dirty:      7 kB\nAnonHugePages:  4096 kB\nVmFlags: rd wr mr mw me {flags} \n",
        mib * 1024
    )
}

const RAM: &str = "dc ac hg mg";
const STACK: &str = "ac nh";

/// QEMU's program, a thread's stack, and the guest's memory, each 16 MiB from the next.
fn qemu(stack_mib: u64, memory: &[(u64, u64)]) -> Vec<Mapping> {
    let mut text = "560000000000-560000100000 r-xp 00001000 fe:00 3  /usr/bin/qemu-system-x86_64\n\
                    Pss:  512 kB\nVmFlags: rd ex mr mw me \n"
        .to_owned();
    text += &told(0x7f10_7400_0000, stack_mib, "rw-p", 20, STACK);
    let mut at = 0x7f10_7500_0000;
    for (mib, held_kib) in memory {
        text += &told(at, *mib, "rw-p", *held_kib, RAM);
        at += mib * BYTES_PER_MIB;
    }
    parse(&text).expect("a list of mappings")
}

#[test]
fn the_guest_s_part_is_what_its_memory_holds() {
    let parts = parts_of(&[qemu(8, &[(12, 5120)])], 12).expect("it has 12 MiB");
    assert_eq!(parts, Parts { guest_mib: 5.0, vmm_mib: 532.0 / 1024.0 });
}

#[test]
fn memory_in_several_mappings_is_one() {
    let parts = parts_of(&[qemu(8, &[(2, 2048), (8, 1024), (2, 0)])], 12).expect("they are neighbours");
    assert_eq!(parts.guest_mib, 3.0);
}

#[test]
fn a_stack_of_the_same_size_is_not_taken_for_it() {
    let parts = parts_of(&[qemu(8, &[(8, 6144)])], 8).expect("it is marked");
    assert_eq!(parts.guest_mib, 6.0);
    // Of a VMM that does not mark it, the two cannot be told apart.
    let unmarked: String =
        [told(1 << 40, 8, "rw-p", 20, STACK), told(2 << 40, 8, "rw-p", 6144, "ac")].concat();
    let error = parts_of(&[parse(&unmarked).expect("mappings")], 8).expect_err("either could be it");
    assert_eq!(error.to_string(), "2 of its mappings have the machine's 8 MiB");
}

#[test]
fn memory_of_a_vmm_that_does_not_mark_it_is_known_by_its_size() {
    let text = told(1 << 40, 32, "rw-p", 4096, "nr");
    assert_eq!(parts_of(&[parse(&text).expect("a mapping")], 32).expect("it is the only one").guest_mib, 4.0);
}

#[test]
fn a_machine_whose_memory_is_not_there_has_no_parts() {
    let error = parts_of(&[qemu(8, &[(12, 5120)])], 16).expect_err("no 16 MiB");
    assert_eq!(error.to_string(), "none of its mappings has the machine's 16 MiB");
    // Neither code nor what lies apart.
    let text = told(1 << 40, 16, "rwxp", 4, "ac")
        + &told(2 << 40, 8, "rw-p", 4, "")
        + &told(3 << 40, 8, "rw-p", 4, "");
    assert!(parts_of(&[parse(&text).expect("mappings")], 16).is_err());
}

#[test]
fn the_parts_add_up_over_all_processes() {
    let helper = parse(&told(1 << 40, 4, "rw-p", 1024, "ac")).expect("a mapping");
    let parts = parts_of(&[qemu(8, &[(12, 5120)]), helper], 12).expect("one of them has it");
    assert_eq!(parts, Parts { guest_mib: 5.0, vmm_mib: (532.0 + 1024.0) / 1024.0 });
}

#[test]
fn what_is_no_list_of_mappings_is_refused() {
    for wrong in
        ["nonsense\n", "10-zz rw-p 0\n", "20-10 rw-p 0\n", "10-20 rw\n", "10-20 rw-p 0\nPss: many kB\n"]
    {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
    let mut many = String::new();
    for index in 1..=MAPPINGS_MAX as u64 + 1 {
        writeln!(many, "{:x}-{:x} rw-p 0", index << 12, (index + 1) << 12).expect("a text");
    }
    let error = parse(&many).expect_err("too many");
    assert_eq!(error.to_string(), "it has more than 65536 mappings");
}

#[test]
fn this_process_s_own_list_is_read() {
    let mappings = mappings_of(std::process::id().cast_signed()).expect("its list");
    assert!(mappings.len() > 5 && held_kib(&mappings) > 100);
}
