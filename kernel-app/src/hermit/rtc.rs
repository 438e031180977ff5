//! The registers of a PC's real-time clock.
//!
//! `timekeeping` decodes them. Reference: Motorola MC146818A.

use core::time::Duration;

use super::clock::Clock;
use super::x86::{read_port_u8, write_port_u8};
use crate::timekeeping::rtc::{RtcFormat, RtcRegisters};

const SELECT: u16 = 0x70;
const DATA: u16 = 0x71;
/// Second, minute, hour, day of the month, month, year.
const TIME: [u8; 6] = [0, 2, 4, 7, 8, 9];
const SECOND: u8 = 0;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
/// Status A: the time is about to change, for 2.2 ms at most.
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// How long that is waited for.
pub const UPDATE_TIME_MAX: Duration = Duration::from_millis(3);
/// How often the time is read until two readings agree.
const READINGS_MAX: usize = 4;

/// A clock that shows a time.
pub struct Rtc {
    format: RtcFormat,
}

impl Rtc {
    /// The machine's clock and what it shows; none where nothing answers, or no time.
    pub fn find(clock: Clock) -> Option<(Self, u64)> {
        let rtc = Self { format: RtcFormat::new(read(STATUS_B)) };
        let seconds = rtc.unix_seconds(clock)?;
        Some((rtc, seconds))
    }

    /// Seconds since 1970.
    pub fn unix_seconds(&self, clock: Clock) -> Option<u64> {
        (0..READINGS_MAX).find_map(|_| {
            clock.wait_for(UPDATE_TIME_MAX, || (read(STATUS_A) & UPDATE_IN_PROGRESS == 0).then_some(()))?;
            let registers = TIME.map(read);
            let stays = read(SECOND) == registers[0];
            stays.then(|| RtcRegisters(registers).unix_seconds(self.format)).flatten()
        })
    }

    /// The second that is shown.
    pub fn second(&self) -> Option<u8> {
        self.format.number(read(SECOND)).filter(|second| *second < 60)
    }
}

fn read(register: u8) -> u8 {
    // SAFETY: selecting and reading a register of the clock changes nothing but which one is selected.
    unsafe {
        write_port_u8(SELECT, register);
        read_port_u8(DATA)
    }
}
