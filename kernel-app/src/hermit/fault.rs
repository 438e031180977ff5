//! Handlers for processor exceptions: they stop the machine with a failing status, and print the exception and its
//! address.
//!
//! The kernel's own handlers would leave the machine idle for ever, so the entries of its interrupt descriptor table
//! are pointed here. No exception is recovered from. Reference: Intel SDM volume 3, chapter 6.

use core::arch::{asm, naked_asm};
use core::fmt::Write;

use super::console::Console;
use super::exit;
use super::interrupt_table::{self, Entry};

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

/// Defines an entry for each exception, and the list of them; one without an error code gets a zero for it.
macro_rules! entries {
    ($($name:ident, $vector:literal, $($push_error:literal)?;)*) => {
        $(
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
        )*
        const ENTRIES: [(usize, extern "C" fn()); [$($vector),*].len()] = [$(($vector, $name)),*];
    };
}

// All but 7, by which the kernel learns that a task uses the floating-point registers. What the processor leaves
// free may come from a broken hypervisor.
entries! {
    divide_error, 0, "push 0";
    debug, 1, "push 0";
    non_maskable, 2, "push 0";
    breakpoint, 3, "push 0";
    overflow, 4, "push 0";
    bound_range, 5, "push 0";
    invalid_opcode, 6, "push 0";
    double_fault, 8,;
    coprocessor_overrun, 9, "push 0";
    invalid_task_segment, 10,;
    segment_not_present, 11,;
    stack_fault, 12,;
    general_protection, 13,;
    page_fault, 14,;
    reserved_15, 15, "push 0";
    floating_point, 16, "push 0";
    alignment_check, 17,;
    machine_check, 18, "push 0";
    vector_arithmetic, 19, "push 0";
    virtualization, 20, "push 0";
    control_protection, 21,;
    reserved_22, 22, "push 0";
    reserved_23, 23, "push 0";
    reserved_24, 24, "push 0";
    reserved_25, 25, "push 0";
    reserved_26, 26, "push 0";
    reserved_27, 27, "push 0";
    hypervisor_injection, 28, "push 0";
    vmm_communication, 29,;
    security, 30,;
    reserved_31, 31, "push 0";
    apic_error, 126, "push 0";
}

/// An interrupt of the local APIC that comes from nowhere. The kernel's handler would end its task and leave the
/// machine idling; nothing has happened, and there is nothing to end.
const SPURIOUS: usize = 127;

#[unsafe(naked)]
extern "C" fn spurious() {
    naked_asm!("iretq")
}

unsafe extern "C" {
    /// First byte of the image, from the linker.
    static __executable_start: u8;
}

/// Points the kernel's table at the entries above.
pub fn install() {
    interrupt_table::set_exceptions(&mut ENTRIES.into_iter().chain([(SPURIOUS, spurious as Entry)]));
}

/// What the processor's manual calls it.
fn name(vector: u64) -> &'static str {
    match vector {
        0 => "division by zero",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid instruction",
        8 => "double fault",
        9 => "coprocessor segment overrun",
        10 => "invalid task segment",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "floating-point error",
        17 => "unaligned access",
        18 => "machine check",
        19 => "vector arithmetic error",
        20 => "virtualization exception",
        21 => "control protection exception",
        28 => "hypervisor injection exception",
        29 => "VMM communication exception",
        30 => "security exception",
        126 => "error of the local APIC",
        _ => "reserved exception",
    }
}

extern "C" fn report(frame: &Frame) -> ! {
    let name = name(frame.vector);
    let accessed: u64;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) accessed, options(nomem, nostack, preserves_flags)) }
    let image = (&raw const __executable_start).addr() as u64;
    let offset = frame.instruction.wrapping_sub(image);
    // The console never fails.
    let _ = writeln!(
        Console,
        "FAULT: {name} (vector {}) at image+{offset:#x} (rip {:#x}), address {accessed:#x}, error code {:#x}, stack {:#x}",
        frame.vector, frame.instruction, frame.error_code, frame.stack
    );
    exit::fail()
}
