//! Calendar dates and times of day in UTC, for headers and logs.
//!
//! It reads no clock, and knows no time zones and no leap seconds.

use core::fmt;
use core::time::Duration;

const SECONDS_PER_DAY: u64 = 86_400;
/// Days of 400 years.
const DAYS_PER_ERA: u64 = 146_097;
/// Days from the first era's beginning, 0000-03-01, to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar.
///
/// Counts in eras that begin on a 1st of March, so that the leap day is a year's last.
pub fn date(days: u64) -> (u64, u64, u64) {
    let day = days + DAYS_BEFORE_1970;
    let (era, day) = (day / DAYS_PER_ERA, day % DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / (DAYS_PER_ERA - 1)) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// A time since 1970 as it is written in logs: RFC 3339 with milliseconds, `2026-11-23T07:51:00.123Z`.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339(pub Duration);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.as_secs() / SECONDS_PER_DAY, self.0.as_secs() % SECONDS_PER_DAY);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millis = self.0.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn dates_are_right_around_leap_days_and_centuries() {
        let known = [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (10_957, (2000, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (19_782, (2024, 2, 29)),
            (20_088, (2024, 12, 31)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ];
        for (day, expected) in known {
            assert_eq!(date(day), expected, "day {day}");
        }
    }

    #[test]
    fn a_moment_has_its_milliseconds_and_its_zone() {
        let time = Duration::from_millis(1_795_420_260_123);
        assert_eq!(Rfc3339(time).to_string(), "2026-11-23T07:51:00.123Z");
    }
}
