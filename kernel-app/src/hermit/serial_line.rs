//! The input of the serial line: the host that started this machine sends a request to stop, or the time.
//!
//! The line is polled a few times a second. An interrupt would not work, because the kernel's handler consumes the
//! bytes. Reference: 16550 UART, line status and receive registers.

use core::time::Duration;

use super::console::{INTERRUPT_ENABLE, LINE_STATUS, RECEIVE};
use super::uhyve;
use super::x86::{read_port_u8, write_port_u8};
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

/// What the host has said.
pub enum Message {
    /// The order to stop.
    Stop,
    /// The host's time when it was asked for it.
    Time(Duration),
}

/// The line, and what of an answer has come.
pub struct SerialLine {
    look_at: Instant,
    answer: AnswerReader,
}

impl SerialLine {
    /// From now on bytes stay in the line until they are looked at.
    pub fn new() -> Self {
        if !uhyve::is_monitor() {
            // SAFETY: the register takes any value; without interrupts the device only keeps what comes.
            unsafe { write_port_u8(INTERRUPT_ENABLE, 0) }
        }
        Self { look_at: Instant::ZERO, answer: AnswerReader::default() }
    }

    /// When the line is to be looked at again.
    pub fn look_at(&self) -> Instant {
        self.look_at
    }

    /// The next message, if one has come since the last look and it is time for another. Other bytes mean nothing.
    pub fn next(&mut self, now: Instant) -> Option<Message> {
        if now < self.look_at {
            return None;
        }
        self.look_at = now + INTERVAL;
        if uhyve::is_monitor() {
            return None;
        }
        (0..BYTES_MAX).map_while(|_| byte()).find_map(|byte| match byte {
            STOP => Some(Message::Stop),
            byte => self.answer.take(byte).map(Message::Time),
        })
    }
}

/// A byte that is there.
fn byte() -> Option<u8> {
    // SAFETY: reading the line status has no effect but to clear error bits that nobody uses, and a byte that is there
    // is nobody else's to read.
    unsafe { (read_port_u8(LINE_STATUS) & DATA_READY != 0).then(|| read_port_u8(RECEIVE)) }
}
