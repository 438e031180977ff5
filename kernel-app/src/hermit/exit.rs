//! The end of the virtual machine, with a status that the host can see.
//!
//! The caller prints the last message before it calls this.

use core::arch::asm;
use core::panic::PanicInfo;

use super::console::Console;
use super::uhyve;
use super::x86::write_port_u32;
use core::fmt::Write;

/// Where QEMU's `isa-debug-exit` listens: writing `v` ends it with status `2 * v + 1`.
const DEBUG_EXIT: u16 = 0xf4;
/// Ends QEMU with status 1.
const FAILURE: u32 = 0;
/// Ends QEMU with status 3.
const SUCCESS: u32 = 1;
/// Stops the machine as one that has done what it was to do.
pub fn succeed() -> ! {
    if !uhyve::is_monitor() {
        // SAFETY: as in `fail`. The kernel's own exit would print its statistics first.
        unsafe { write_port_u32(DEBUG_EXIT, SUCCESS) }
    }
    // SAFETY: the kernel's exit call takes any status and does not return.
    unsafe { hermit_abi::exit(0) }
}

/// Stops the machine as failed. Without the debug exit it is reset and not switched off, so that its starter
/// sees no order that was carried out: monitors tell the two apart, and start a machine again that was reset.
pub fn fail() -> ! {
    if uhyve::is_monitor() {
        // SAFETY: the kernel's exit call takes any status and does not return. uhyve passes it on.
        unsafe { hermit_abi::exit(1) }
    }
    // SAFETY: the port is unused but for the debug exit, which ends the machine.
    unsafe { write_port_u32(DEBUG_EXIT, FAILURE) }
    reset()
}

/// A table without entries: the exception cannot be delivered, nor the two that follow from that, and a processor
/// in this state resets the machine (Intel SDM volume 3, section 6.15, double fault).
fn reset() -> ! {
    let table = [0u16; 5];
    // SAFETY: nothing runs after it.
    unsafe { asm!("lidt [{}]", "int3", in(reg) &raw const table, options(noreturn)) }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // The console never fails.
    let _ = writeln!(Console, "PANIC: {info}");
    fail()
}
