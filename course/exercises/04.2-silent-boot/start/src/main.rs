//! Exercise 04.2: a silent boot. Find out why this program prints nothing, mend it, and type `cargo course check 4.2`.
//!
//! It is the program of chapter 5. Two mistakes were made in its other files, `boot.s` and `serial.rs`; this file and
//! `link.ld` are right. Boot it yourself with
//!
//! ```console
//! $ cargo build
//! $ qemu-system-x86_64 -M microvm -m 16 -nodefaults -display none -no-reboot -serial stdio \
//!     -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel target/x86_64-unknown-none/debug/exercise-04-2
//! ```
#![no_std]
#![no_main]

mod serial;

use core::arch::{asm, global_asm};
use core::fmt::Write;
use core::panic::PanicInfo;

use crate::serial::Serial;

global_asm!(include_str!("boot.s"), main = sym main);

const SUCCESS: u32 = 1;
const FAILURE: u32 = 0;

extern "C" fn main(_start_info: u64) -> ! {
    // The line never fails.
    let _ = writeln!(Serial, "I am awake");
    exit(SUCCESS)
}

/// Ends QEMU with the status `2 * value + 1`.
fn exit(value: u32) -> ! {
    // SAFETY: the port belongs to QEMU's exit device, which touches no memory; without one, nothing happens.
    unsafe { asm!("out dx, eax", in("dx") 0xf4_u16, in("eax") value, options(nomem, nostack)) }
    loop {
        // SAFETY: interrupts are off, so the processor stands still for ever.
        unsafe { asm!("hlt", options(nomem, nostack)) }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Serial, "{info}");
    exit(FAILURE)
}
