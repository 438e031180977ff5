//! The input of the serial line: the host that started this machine sends a request to stop, or the time.
//!
//! A byte interrupts, which only sets a flag (`interrupt_table`). Where a machine's line does not interrupt, it is
//! looked at when the loop is awake anyhow: after 4 s at most. Reference: 16550 UART, line status, interrupt enable and
//! receive registers.

use core::time::Duration;

use super::console::{INTERRUPT_ENABLE, LINE_STATUS, RECEIVE};
use super::interrupt_table::Source;
use super::uhyve;
use super::x86::{read_port_u8, write_port_u8};
use crate::timekeeping::asked::AnswerReader;
use wire::Instant;

/// Time between two looks without an interrupt.
const INTERVAL: Duration = Duration::from_secs(1);
/// Bytes that are read in one look.
const BYTES_MAX: usize = 64;
/// Interrupt enable: when a byte has come.
const ON_BYTE: u8 = 1;
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
    /// Whether the last look has left something in the line, which interrupts no more.
    has_more: bool,
    answer: AnswerReader,
}

impl SerialLine {
    /// From now on bytes stay in the line until they are looked at.
    pub fn new() -> Self {
        if !uhyve::is_monitor() {
            // SAFETY: the register takes any value; its interrupt has an entry of ours.
            unsafe { write_port_u8(INTERRUPT_ENABLE, ON_BYTE) }
        }
        Self { look_at: Instant::ZERO, has_more: false, answer: AnswerReader::default() }
    }

    /// Whether [`next`](Self::next) has something to look at.
    pub fn has_work(&self) -> bool {
        self.has_more || Source::Serial.has_interrupted()
    }

    /// The next message, if one has come. Other bytes mean nothing.
    pub fn next(&mut self, now: Instant) -> Option<Message> {
        // Asked for first: what comes after the look interrupts again.
        let has_interrupted = Source::Serial.take();
        if !(has_interrupted || self.has_more || now >= self.look_at) {
            return None;
        }
        self.look_at = now + INTERVAL;
        if uhyve::is_monitor() {
            return None;
        }
        for _ in 0..BYTES_MAX {
            self.has_more = false;
            let message = match byte()? {
                STOP => Some(Message::Stop),
                byte => self.answer.take(byte).map(Message::Time),
            };
            self.has_more = true;
            if message.is_some() {
                return message;
            }
        }
        None
    }
}

/// A byte that is there.
fn byte() -> Option<u8> {
    // SAFETY: reading the line status has no effect but to clear error bits that nobody uses, and a byte that is there
    // is nobody else's to read.
    unsafe { (read_port_u8(LINE_STATUS) & DATA_READY != 0).then(|| read_port_u8(RECEIVE)) }
}
