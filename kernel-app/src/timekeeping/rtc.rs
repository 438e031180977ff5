//! Conversion of the registers of a PC's real-time clock to a time.
//!
//! The caller reads the registers. The century is assumed to be the current one. Reference: Motorola MC146818A, and
//! the ACPI's FADT for the century.

/// How the clock counts, from its status register B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcFormat {
    binary: bool,
    hours_24: bool,
}

/// The hour is after noon, where hours go up to 12.
const AFTERNOON: u8 = 1 << 7;

impl RtcFormat {
    /// Status register B says so.
    pub fn new(status_b: u8) -> Self {
        Self { binary: status_b & 1 << 2 != 0, hours_24: status_b & 1 << 1 != 0 }
    }

    /// A register's number, or none when it is no decimal number.
    pub fn number(self, register: u8) -> Option<u8> {
        if self.binary {
            return Some(register);
        }
        let (tens, ones) = (register >> 4, register & 0xf);
        (tens < 10 && ones < 10).then_some(tens * 10 + ones)
    }

    fn hour(self, register: u8) -> Option<u8> {
        if self.hours_24 {
            return self.number(register);
        }
        let hour = self.number(register & !AFTERNOON)?;
        let noon = if register & AFTERNOON != 0 { 12 } else { 0 };
        (1..=12).contains(&hour).then_some(hour % 12 + noon)
    }
}

/// Seconds, minutes, hours, day of the month, month and year, as the clock has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcRegisters(pub [u8; 6]);

impl RtcRegisters {
    /// Seconds since 1970; none when this is no time, as where there is no clock.
    pub fn unix_seconds(self, format: RtcFormat) -> Option<u64> {
        let [second, minute, hour, day, month, year] = self.0;
        let [second, minute, day, month, year] =
            [second, minute, day, month, year].map(|register| format.number(register));
        let (second, minute, hour) = (second?, minute?, format.hour(hour)?);
        let (day, month, year) = (day?, month?, u64::from(year?) + 2000);
        let valid = second < 60
            && minute < 60
            && hour < 24
            && (1..=12).contains(&month)
            && day >= 1
            && year < 2100
            && day <= days_of_month(month, year);
        valid.then(|| {
            let days = days_since_1970(year, month.into(), day.into());
            ((days * 24 + u64::from(hour)) * 60 + u64::from(minute)) * 60 + u64::from(second)
        })
    }
}

fn days_of_month(month: u8, year: u64) -> u8 {
    match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// As in Linux' mktime64: the year begins with March, so that a leap day is its last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (month, year) = if month > 2 { (month - 2, year) } else { (month + 10, year - 1) };
    year / 4 - year / 100 + year / 400 + 367 * month / 12 + day + year * 365 - 719_499
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCD_24: u8 = 0b010;
    const BINARY_24: u8 = 0b110;
    const BCD_12: u8 = 0b000;

    fn seconds(status_b: u8, registers: [u8; 6]) -> Option<u64> {
        RtcRegisters(registers).unix_seconds(RtcFormat::new(status_b))
    }

    #[test]
    fn decimal_and_binary_clocks_say_the_same() {
        // 2024-02-29T23:59:58Z.
        let expected = Some(1_709_251_198);
        assert_eq!(seconds(BCD_24, [0x58, 0x59, 0x23, 0x29, 0x02, 0x24]), expected);
        assert_eq!(seconds(BINARY_24, [58, 59, 23, 29, 2, 24]), expected);
        assert_eq!(seconds(BCD_12, [0x58, 0x59, 0x91, 0x29, 0x02, 0x24]), expected);
        assert_eq!(seconds(BINARY_24, [0, 0, 0, 1, 1, 0]), Some(946_684_800));
    }

    #[test]
    fn noon_and_midnight_are_twelve_o_clock() {
        let at = |hour| seconds(BCD_12, [0, 0, hour, 0x01, 0x01, 0x00]).map(|time| time - 946_684_800);
        assert_eq!([at(0x12), at(0x92), at(0x01), at(0x81)], [0, 12, 1, 13].map(|hour| Some(hour * 3600)));
        assert_eq!([at(0x00), at(0x13)], [None, None]);
    }

    #[test]
    fn invalid_clock_registers_give_no_time() {
        for registers in [[0; 6], [0xff; 6], [0x0a, 0, 0, 1, 1, 0], [0x61, 0, 0, 1, 1, 0]] {
            assert_eq!(seconds(BCD_24, registers), None, "{registers:?}");
            assert_eq!(seconds(0xff, [0xff; 6]), None);
        }
        assert_eq!(seconds(BINARY_24, [0, 0, 0, 30, 2, 24]), None, "no such day");
        assert_eq!(seconds(BINARY_24, [0, 0, 0, 29, 2, 25]), None, "no leap year");
    }
}
