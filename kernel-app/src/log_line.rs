//! One log record as one line: UTC time, level, instance, message.
//!
//! Knows neither the clock nor where lines go: the platform's logger hands both over.

use core::fmt::{self, Write};
use core::time::Duration;

use log::{Level, LevelFilter};

use crate::settings::{SettingError, Settings};

/// Longest `INSTANCE`, in bytes.
pub const INSTANCE_BYTES_MAX: usize = 64;

const SECONDS_PER_DAY: u64 = 86_400;

/// What `LOG` asks for: `off`, `error`, `warn`, `info` (the default), `debug` or `trace`.
///
/// # Errors
/// When the value is none of these.
pub fn level_setting(settings: &Settings) -> Result<LevelFilter, SettingError> {
    let value = settings.get("LOG").unwrap_or("info");
    value.parse().map_err(|_| SettingError {
        name: "LOG",
        value: value.chars().take(INSTANCE_BYTES_MAX).collect(),
        expected: "off, error, warn, info, debug or trace",
    })
}

/// Writes a record and its line end: `2026-11-23T07:51:00.123Z INFO  vote-1 message`.
///
/// Control characters in the message are escaped, so that no input can forge a line.
///
/// # Errors
/// When `out` fails.
pub fn write_line(
    out: &mut dyn Write,
    unix_time: Duration,
    level: Level,
    instance: &str,
    message: &fmt::Arguments<'_>,
) -> fmt::Result {
    write_time(out, unix_time)?;
    write!(out, " {level:<5} {instance} ")?;
    write!(OneLine(out), "{message}")?;
    out.write_str("\n")
}

/// Writes a time since 1970 as RFC 3339, in UTC and with milliseconds.
fn write_time(out: &mut dyn Write, unix_time: Duration) -> fmt::Result {
    let (days, second) = (unix_time.as_secs() / SECONDS_PER_DAY, unix_time.as_secs() % SECONDS_PER_DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = unix_time.subsec_millis();
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
///
/// Counts in years that begin in March, so that the leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097; // 400 years
    const DAYS_FROM_0000_03_01: u64 = 719_468;
    let day = days + DAYS_FROM_0000_03_01;
    let (era, day) = (day / DAYS_PER_ERA, day % DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / (DAYS_PER_ERA - 1)) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Escapes what would break the line.
struct OneLine<'a>(&'a mut dyn Write);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            match piece.chars().next_back().filter(|last| last.is_control()) {
                None => self.0.write_str(piece)?,
                Some(last) => {
                    self.0.write_str(&piece[..piece.len() - last.len_utf8()])?;
                    write!(self.0, "{}", last.escape_default())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn line(unix_time: Duration, level: Level, message: &str) -> String {
        let mut line = String::new();
        write_line(&mut line, unix_time, level, "vote-1", &format_args!("{message}")).expect("a string");
        line
    }

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let time = Duration::from_millis(1_795_420_260_123);
        assert_eq!(line(time, Level::Info, "hello"), "2026-11-23T07:51:00.123Z INFO  vote-1 hello\n");
        let forged = line(time, Level::Error, "a\r\nb\u{1b}[2Jé\u{85}");
        assert_eq!(forged, "2026-11-23T07:51:00.123Z ERROR vote-1 a\\r\\nb\\u{1b}[2Jé\\u{85}\n");
    }

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
    fn the_level_is_checked() {
        let level = |value| level_setting(&Settings::from_pairs([("LOG", value)]));
        assert_eq!(level(""), Ok(LevelFilter::Info));
        assert_eq!(level("debug"), Ok(LevelFilter::Debug));
        assert_eq!(level("loud").expect_err("no level").name, "LOG");
    }
}
