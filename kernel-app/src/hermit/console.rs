//! The output of the serial line: log lines, and the last message before the machine stops.
//!
//! `log_line` formats the lines.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::uhyve;
use super::x86::{read_port_u8, write_port_u8};

/// First serial port of a PC (16550 UART).
const COM1: u16 = 0x3f8;
/// Receive buffer register, when it is read.
pub(super) const RECEIVE: u16 = COM1;
/// Interrupt enable register.
pub(super) const INTERRUPT_ENABLE: u16 = COM1 + 1;
/// Line status register.
pub(super) const LINE_STATUS: u16 = COM1 + 5;
/// Line status: the transmit FIFO is empty.
const TRANSMIT_EMPTY: u8 = 1 << 5;
/// Bytes that the transmit FIFO takes at once.
const FIFO_BYTES: usize = 16;
/// How often an empty FIFO is waited for; a line that nobody reads must not stop the service.
const POLLS_MAX: usize = 100_000;

/// Bytes that the transmit FIFO takes before it is to be asked again: each question leaves a virtual machine, and a
/// line is written in many pieces.
static ROOM: AtomicUsize = AtomicUsize::new(0);

/// Writer to the serial line.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if uhyve::is_monitor() {
            uhyve::write(text);
            return Ok(());
        }
        for byte in text.bytes() {
            let mut room = ROOM.load(Ordering::Relaxed);
            if room == 0 {
                wait_for_room();
                room = FIFO_BYTES;
            }
            ROOM.store(room - 1, Ordering::Relaxed);
            // SAFETY: COM1's data register takes any byte and touches no memory.
            unsafe { write_port_u8(COM1, byte) }
        }
        Ok(())
    }
}

fn wait_for_room() {
    for _ in 0..POLLS_MAX {
        // SAFETY: reading the line status has no effect but to clear error bits that nobody uses.
        if unsafe { read_port_u8(LINE_STATUS) } & TRANSMIT_EMPTY != 0 {
            return;
        }
        core::hint::spin_loop();
    }
}
