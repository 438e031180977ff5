//! The `Date` header line (RFC 9110 section 5.6.7), rendered once a second.
//!
//! It reads no clock. A time before [`CLOCK_SET_AFTER`] means that the clock is not set, and then there is no line.

use crate::calendar::date;

/// Seconds since 1970 below which a wall clock cannot be right: 2020-01-01.
const CLOCK_SET_AFTER: u64 = 1_577_836_800;
/// The end of year 9999, the last that the format can name.
const LAST_SECOND: u64 = 253_402_300_799;

const TEMPLATE: &[u8; LINE_BYTES] = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
const LINE_BYTES: usize = 37;
const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The line of the second it was last asked for.
#[derive(Clone, Debug)]
pub struct DateLine {
    second: u64,
    line: [u8; LINE_BYTES],
}

impl Default for DateLine {
    fn default() -> Self {
        Self { second: 0, line: *TEMPLATE }
    }
}

impl DateLine {
    /// The line for a time since 1970-01-01T00:00:00Z, with its line end; empty when the clock is not set.
    pub fn at(&mut self, unix_seconds: u64) -> &[u8] {
        if unix_seconds != self.second {
            self.second = unix_seconds;
            self.render();
        }
        if (CLOCK_SET_AFTER..=LAST_SECOND).contains(&self.second) { &self.line } else { &[] }
    }

    fn render(&mut self) {
        let days = self.second.min(LAST_SECOND) / 86_400;
        let (year, month, day) = date(days);
        self.line[6..9].copy_from_slice(WEEKDAYS[(days % 7) as usize]);
        self.line[14..17].copy_from_slice(MONTHS[(month - 1) as usize]);
        let rest = self.second % 86_400;
        let pairs = [
            (11, day),
            (18, year / 100),
            (20, year % 100),
            (23, rest / 3_600),
            (26, rest / 60 % 60),
            (29, rest % 60),
        ];
        for (at, value) in pairs {
            self.line[at] = b'0' + (value / 10 % 10) as u8;
            self.line[at + 1] = b'0' + (value % 10) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_rendered_and_unset_clocks_are_not() {
        let mut date = DateLine::default();
        let cases: [(u64, &[u8]); 6] = [
            (0, b""),
            (784_111_777, b""),
            (1_577_836_800, b"Date: Wed, 01 Jan 2020 00:00:00 GMT\r\n"),
            (1_709_251_199, b"Date: Thu, 29 Feb 2024 23:59:59 GMT\r\n"),
            (4_107_542_400, b"Date: Mon, 01 Mar 2100 00:00:00 GMT\r\n"),
            (u64::MAX, b""),
        ];
        for (second, line) in cases {
            assert_eq!(date.at(second), line, "{second}");
        }
    }
}
