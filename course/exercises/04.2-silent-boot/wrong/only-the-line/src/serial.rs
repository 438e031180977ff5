//! The first serial port of a PC (16550 UART), for output.

use core::arch::asm;
use core::fmt;

const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = 0x3fd;
/// There is room for more bytes.
const READY: u8 = 1 << 5;

pub struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while read(LINE_STATUS) & READY == 0 {}
            write(DATA, byte);
        }
        Ok(())
    }
}

fn read(port: u16) -> u8 {
    let value;
    // SAFETY: reading this port of the serial line touches no memory.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) }
    value
}

fn write(port: u16, value: u8) {
    // SAFETY: writing to this port of the serial line touches no memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) }
}
