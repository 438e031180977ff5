//! What whoever started the machine says, as bytes on the serial line.
//!
//! Does nothing of it. Reference: 16550 UART, line status and receive registers. The line is looked at a few times a
//! second rather than by interrupt: the kernel's handler would take the bytes away.

use core::time::Duration;

use super::console::{INTERRUPT_ENABLE, LINE_STATUS, RECEIVE};
use super::machine::{read_port_u8, write_port_u8};
use crate::timekeeping::asked::AnswerReader;
use wire::Instant;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// Bytes that are read in one look.
const BYTES_MAX: usize = 64;
/// Line status: a byte has come.
const DATA_READY: u8 = 1;
/// The order to stop: End of Transmission (ECMA-48), Ctrl-D on a terminal.
const STOP: u8 = 0x04;

/// Something that was said.
pub enum Order {
    /// The order to stop.
    Stop,
    /// The host's time when it was asked for it.
    Time(Duration),
}

/// The serial line's other end.
pub struct Orders {
    look_at: Instant,
    answer: AnswerReader,
}

impl Orders {
    /// From now on bytes stay in the line until they are looked at.
    pub fn new() -> Self {
        // SAFETY: the register takes any value; without interrupts the device only keeps what comes.
        unsafe { write_port_u8(INTERRUPT_ENABLE, 0) }
        Self { look_at: Instant::ZERO, answer: AnswerReader::default() }
    }

    /// When the line is to be looked at again.
    pub fn look_at(&self) -> Instant {
        self.look_at
    }

    /// The next order, if one has come since the last look and it is time for one. Other bytes mean nothing.
    pub fn next(&mut self, now: Instant) -> Option<Order> {
        if now < self.look_at {
            return None;
        }
        self.look_at = now + INTERVAL;
        (0..BYTES_MAX).map_while(|_| byte()).find_map(|byte| match byte {
            STOP => Some(Order::Stop),
            byte => self.answer.take(byte).map(Order::Time),
        })
    }
}

/// A byte that is there.
fn byte() -> Option<u8> {
    // SAFETY: reading the line status has no effect but to clear error bits that nobody uses, and a byte that is there
    // is nobody else's to read.
    unsafe { (read_port_u8(LINE_STATUS) & DATA_READY != 0).then(|| read_port_u8(RECEIVE)) }
}
