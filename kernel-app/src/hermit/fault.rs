//! Processor exceptions that stop the machine with a failing status and the place they happened.
//!
//! The kernel's own handlers leave the machine idling for ever, so the entries of its interrupt
//! descriptor table are pointed here. Nothing is recovered from. Reference: Intel SDM volume 3,
//! chapter 6.

use core::arch::{asm, naked_asm};
use core::fmt::Write;

use super::console::Console;
use super::exit;

/// A gate of the interrupt descriptor table (64-bit mode).
#[repr(C)]
struct Gate {
    address_low: u16,
    selector: u16,
    options: u16,
    address_middle: u16,
    address_high: u32,
    reserved: u32,
}

/// What `sidt` stores.
#[repr(C, packed)]
#[derive(Default)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// What the processor and the entry stubs leave on the stack.
#[repr(C)]
struct Frame {
    vector: u64,
    error_code: u64,
    instruction: u64,
    code_segment: u64,
    flags: u64,
    stack: u64,
}

/// Defines an entry for an exception; one without an error code gets a zero for it.
macro_rules! entry {
    ($name:ident, $vector:literal, $($push_error:literal)?) => {
        #[unsafe(naked)]
        extern "C" fn $name() {
            naked_asm!(
                $($push_error,)?
                concat!("push ", $vector),
                "mov rdi, rsp",
                "and rsp, -16",
                "call {report}",
                "ud2",
                report = sym report,
            )
        }
    };
}

entry!(divide_error, 0, "push 0");
entry!(invalid_opcode, 6, "push 0");
entry!(double_fault, 8,);
entry!(invalid_task_segment, 10,);
entry!(segment_not_present, 11,);
entry!(stack_fault, 12,);
entry!(general_protection, 13,);
entry!(page_fault, 14,);
entry!(alignment_check, 17,);
entry!(machine_check, 18, "push 0");
entry!(vector_arithmetic, 19, "push 0");

const ENTRIES: [(usize, extern "C" fn()); 11] = [
    (0, divide_error),
    (6, invalid_opcode),
    (8, double_fault),
    (10, invalid_task_segment),
    (11, segment_not_present),
    (12, stack_fault),
    (13, general_protection),
    (14, page_fault),
    (17, alignment_check),
    (18, machine_check),
    (19, vector_arithmetic),
];

unsafe extern "C" {
    /// First byte of the image, from the linker.
    static __executable_start: u8;
}

/// Points the kernel's table at the entries above.
pub fn install() {
    let mut table = TablePointer::default();
    // SAFETY: `sidt` stores ten bytes into a structure of ten bytes.
    unsafe { asm!("sidt [{}]", in(reg) &raw mut table, options(nostack, preserves_flags)) }
    let gates = core::ptr::with_exposed_provenance_mut::<Gate>(table.base as usize);
    for (vector, entry) in ENTRIES {
        let address = entry as usize as u64;
        // SAFETY: the kernel has filled all 256 gates of its table, which lies in writable memory; only
        // the address changes, the selector and the stack that the kernel has chosen stay. No
        // exception can come in between on the one processor while plain stores run.
        unsafe {
            let gate = gates.add(vector);
            (&raw mut (*gate).address_low).write_volatile(address as u16);
            (&raw mut (*gate).address_middle).write_volatile((address >> 16) as u16);
            (&raw mut (*gate).address_high).write_volatile((address >> 32) as u32);
        }
    }
}

extern "C" fn report(frame: &Frame) -> ! {
    let name = match frame.vector {
        0 => "division by zero",
        6 => "invalid instruction",
        8 => "double fault",
        10 => "invalid task segment",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        14 => "page fault",
        17 => "unaligned access",
        18 => "machine check",
        _ => "vector arithmetic error",
    };
    let accessed: u64;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) accessed, options(nomem, nostack, preserves_flags)) }
    let image = (&raw const __executable_start).addr() as u64;
    let offset = frame.instruction.wrapping_sub(image);
    // The console never fails.
    let _ = writeln!(
        Console,
        "FAULT: {name} at image+{offset:#x} (rip {:#x}), address {accessed:#x}, error code {:#x}, stack {:#x}",
        frame.instruction, frame.error_code, frame.stack
    );
    exit::fail()
}
