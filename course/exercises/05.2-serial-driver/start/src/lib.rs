//! Exercise 05.2: the driver of a serial port. Write `open` and `send`, and type `cargo course check 5.2`.
//!
//! The ports of a 16550 UART, counted from its base:
//!
//! | port | read | written |
//! |---|---|---|
//! | 0 | | a byte to send; while bit 7 of port 3 is set: the divisor, lower half |
//! | 1 | | which interrupts it makes; while bit 7 of port 3 is set: the divisor, upper half |
//! | 2 | | bit 0: use the queue of 16 bytes |
//! | 3 | | line control: bits 0 and 1 both set: 8 bits, no parity, one stop bit; bit 7: ports 0 and 1 are the divisor |
//! | 5 | line status: bit 5 is set when the queue is empty, so that there is room for 16 bytes | |
//!
//! The divisor is 115,200 divided by the speed in baud. A byte that is written to a full queue is lost.
#![no_std]

/// The base of the first serial port of a PC.
pub const COM1: u16 = 0x3f8;
/// How often in a row `send` may ask for room in vain.
pub const POLLS_MAX: u32 = 10_000;

/// I/O ports: a machine's, or a model's.
pub trait Ports {
    /// Reads a byte.
    fn read(&mut self, port: u16) -> u8;
    /// Writes a byte.
    fn write(&mut self, port: u16, value: u8);
}

/// A serial port that was set up.
pub struct Serial<P> {
    ports: P,
}

impl<P: Ports> Serial<P> {
    /// Sets the port up: without interrupts, at this speed (at least 2 baud), with 8 bits, no parity, one stop bit, and
    /// with its queue.
    pub fn open(ports: P, baud: u32) -> Self {
        // Yours to write.
        let _ = baud;
        Self { ports }
    }

    /// Sends bytes, and returns how many: fewer if there was no room after [`POLLS_MAX`] questions.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        // Yours to write.
        for byte in bytes {
            self.ports.write(COM1, *byte);
        }
        bytes.len()
    }
}
