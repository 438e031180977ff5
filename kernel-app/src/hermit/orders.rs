//! Orders from whoever started the machine, as bytes on the serial line.
//!
//! Carries none out. Reference: 16550 UART, line status and receive registers. The line is looked at a few times a
//! second rather than by interrupt: the kernel's handler would take the bytes away.

use core::time::Duration;

use super::console::{INTERRUPT_ENABLE, LINE_STATUS, RECEIVE};
use super::machine::{read_port_u8, write_port_u8};
use wire::Instant;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// Line status: a byte has come.
const DATA_READY: u8 = 1;
/// The order to stop: End of Transmission (ECMA-48), Ctrl-D on a terminal.
const STOP: u8 = 0x04;

/// The orders of the serial line.
pub struct Orders {
    look_at: Instant,
}

impl Orders {
    /// From now on bytes stay in the line until they are looked at.
    pub fn new() -> Self {
        // SAFETY: the register takes any value; without interrupts the device only keeps what comes.
        unsafe { write_port_u8(INTERRUPT_ENABLE, 0) }
        Self { look_at: Instant::ZERO }
    }

    /// When the line is to be looked at again.
    pub fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Whether the order to stop has come since the last look, once it is time for one. Other bytes mean nothing.
    pub fn stop_has_come(&mut self, now: Instant) -> bool {
        if now < self.look_at {
            return false;
        }
        self.look_at = now + INTERVAL;
        // SAFETY: reading the line status has no effect but to clear error bits that nobody uses, and a byte that
        // is there is nobody else's to read.
        unsafe { read_port_u8(LINE_STATUS) & DATA_READY != 0 && read_port_u8(RECEIVE) == STOP }
    }
}
