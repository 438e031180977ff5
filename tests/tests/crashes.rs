//! A guest that crashes: each exception for real, and what a host sees that gave it no device to say so.

use std::io::Write;

use tests::machine::{CARD, Guest, Monitor, Q35, snapshots};

/// Instructions that raise an exception, its vector, and what it is called.
const EXCEPTIONS: [(&[u8], u8, &str); 9] = [
    // xor ecx, ecx; div ecx
    (&[0x31, 0xc9, 0xf7, 0xf1], 0, "division by zero"),
    // pushfq; or qword [rsp], 0x100; popfq; nop: each instruction traps
    (&[0x9c, 0x48, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90], 1, "debug exception"),
    // int3
    (&[0xcc], 3, "breakpoint"),
    // ud2
    (&[0x0f, 0x0b], 6, "invalid instruction"),
    // mov eax, 0xfff8; mov ds, eax: behind the end of the descriptor table
    (&[0xb8, 0xf8, 0xff, 0, 0, 0x8e, 0xd8], 13, "general protection fault"),
    // xor eax, eax; mov [rax], al
    (&[0x31, 0xc0, 0x88, 0x00], 14, "page fault"),
    // xor eax, eax; jmp rax
    (&[0x31, 0xc0, 0xff, 0xe0], 14, "page fault"),
    // mov rax, 1 << 63; mov [rax], al: no address
    (&[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x88, 0x00], 13, "general protection fault"),
    // fninit; push 0x37b; fldcw [rsp]; fldz; fdivp st0 by itself; fwait: an error that is not masked
    (
        &[0xdb, 0xe3, 0x68, 0x7b, 0x03, 0, 0, 0xd9, 0x2c, 0x24, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b],
        16,
        "floating-point error",
    ),
];

/// Vectors whose exceptions nothing here raises: their gates are tried by `int`.
const GATES: [(u8, &str); 20] = [
    (4, "overflow"),
    (5, "bound range exceeded"),
    (8, "double fault"),
    (9, "coprocessor segment overrun"),
    (10, "invalid task segment"),
    (11, "segment not present"),
    (12, "stack fault"),
    (15, "reserved exception"),
    (17, "unaligned access"),
    (18, "machine check"),
    (19, "vector arithmetic error"),
    (20, "virtualization exception"),
    (21, "control protection exception"),
    (22, "reserved exception"),
    (27, "reserved exception"),
    (28, "hypervisor injection exception"),
    (29, "VMM communication exception"),
    (30, "security exception"),
    (31, "reserved exception"),
    (126, "error of the local APIC"),
];

/// A machine that has no device to end it with, and does not end when it is reset; then it is restored.
struct Victim {
    guest: Guest,
    monitor: Monitor,
    crashes: usize,
    _folder: tempfile::TempDir,
}

impl Victim {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let drive = snapshots(folder.path());
        let mut guest =
            Guest::start(&[Q35, &["-cpu", "max"], CARD, &["-drive", &drive, "-action", "reboot=reset"]]);
        guest.serves();
        let mut monitor = guest.monitor();
        assert_eq!(monitor.human("savevm whole"), "", "it is saved");
        Self { guest, monitor, crashes: 0, _folder: folder }
    }

    /// Crashes it, and expects last words with this in them, and a reset. Then it is whole again.
    fn crash(&mut self, words: &str, how: impl FnOnce(&Guest, &mut Monitor)) {
        how(&self.guest, &mut self.monitor);
        let end = self.monitor.event("RESET");
        assert_eq!(end["reason"], "guest-reset", "{words}: {end}");
        let log = self.guest.log();
        let faults: Vec<&str> = log.lines().filter(|line| line.starts_with("FAULT: ")).collect();
        self.crashes += 1;
        assert_eq!(faults.len(), self.crashes, "{words}: {log}");
        assert!(faults[self.crashes - 1].contains(words), "{words}: {}", faults[self.crashes - 1]);
        assert_eq!(self.monitor.human("loadvm whole"), "", "it is restored");
    }

    fn run(&mut self, words: &str, instructions: &[u8]) {
        eprintln!("{words}");
        self.crash(words, |guest, _| guest.debugger().run(instructions));
    }
}

#[test]
fn each_exception_is_named_and_resets_the_machine() {
    let mut victim = Victim::new();
    for (instructions, vector, name) in EXCEPTIONS {
        victim.run(&format!("{name} (vector {vector})"), instructions);
    }
    for (vector, name) in GATES {
        victim.run(&format!("{name} (vector {vector})"), &[0xcd, vector]);
    }
    victim.crash("non-maskable interrupt (vector 2)", |_, monitor| {
        monitor.human("nmi");
    });
}

#[test]
fn an_end_that_was_ordered_is_no_crash() {
    let mut guest = Guest::q35(CARD);
    guest.serves();
    let (mut monitor, mut serial) = (guest.monitor(), guest.serial());
    serial.write_all(&[4]).expect("a line");
    // Orders that come together are carried out one after the other.
    serial.write_all(&[4]).expect("a line");
    assert_eq!(monitor.event("SHUTDOWN")["reason"], "guest-shutdown", "{}", guest.log());
    guest.says("stopped on request");
    assert_eq!(guest.status(), Some(0));
}
