//! One log record as one line: UTC time, level, instance, message.
//!
//! Knows neither the clock nor where lines go: the platform's logger hands both over.

use core::fmt::{self, Write};
use core::time::Duration;

use log::{Level, LevelFilter};

use crate::settings::{SettingError, Settings};
use wire::calendar::Rfc3339;

/// Longest `INSTANCE`, in bytes.
pub const INSTANCE_BYTES_MAX: usize = 64;

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
    write!(out, "{} {level:<5} {instance} ", Rfc3339(unix_time))?;
    write!(OneLine(out), "{message}")?;
    out.write_str("\n")
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
    fn the_level_is_checked() {
        let level = |value| level_setting(&Settings::from_pairs([("LOG", value)]));
        assert_eq!(level(""), Ok(LevelFilter::Info));
        assert_eq!(level("debug"), Ok(LevelFilter::Debug));
        assert_eq!(level("loud").expect_err("no level").name, "LOG");
    }
}
