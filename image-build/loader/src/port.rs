//! The two I/O ports that the loader uses: the serial line and QEMU's exit device.

use core::arch::asm;
use core::fmt;

/// Data port of the first serial line. Its state after reset serves; the kernel sets it up.
pub const SERIAL: u16 = 0x3f8;
/// Port of `isa-debug-exit`.
const EXIT: u16 = 0xf4;
/// What the Hermit kernel, too, writes there for a failure; QEMU then ends with status 1.
const EXIT_FAILURE: u32 = 0;

/// The serial line as a writer.
#[derive(Debug)]
pub struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: a write to the serial line's data port has no effect on memory.
            unsafe {
                asm!("out dx, al", in("dx") SERIAL, in("al") byte, options(nomem, nostack, preserves_flags))
            };
        }
        Ok(())
    }
}

/// A descriptor table without entries.
static NO_TABLE: [u16; 5] = [0; 5];

/// Ends the machine with a failing status, or resets it where there is no exit device: a machine that stands still
/// would not be noticed, and one that is switched off would seem to have ended well.
pub fn exit_failure() -> ! {
    // SAFETY: a write to the exit device's port ends the machine, or has no effect without the device. An exception
    // that cannot be delivered, nor the two that follow from it, resets the machine; nothing runs after it.
    unsafe {
        asm!("out dx, eax", in("dx") EXIT, in("eax") EXIT_FAILURE, options(nomem, nostack, preserves_flags));
        asm!("lidt [{}]", "int3", in(reg) NO_TABLE.as_ptr(), options(noreturn))
    }
}
