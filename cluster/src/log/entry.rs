//! A log line as an object: instance, time, level and message. It reads no file.

use std::time::Duration;

use serde::Serialize;
use wire::calendar::Rfc3339;

use crate::log::file::Line;

/// The levels, as lines have them.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
/// Level of a line that names none: the loader's, the kernel's or QEMU's.
const LEVEL_UNKNOWN: &str = "INFO";

/// One line of `cargo logs --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it came, as RFC 3339 in UTC with milliseconds, by the host's clock.
    pub time: String,
    /// The instance that wrote the line, such as `vote-1`.
    pub instance: String,
    /// The service of the instance, such as `vote`.
    pub service: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// What it says.
    pub message: String,
}

impl Entry {
    /// The object for a line of an instance.
    pub fn new(instance: &str, line: &Line) -> Self {
        let (level, message) = level_and_message(instance, &line.text);
        let service = instance.rsplit_once('-').map_or(instance, |(service, _)| service);
        Self {
            time: Rfc3339(Duration::from_millis(line.at_ms)).to_string(),
            instance: instance.to_owned(),
            service: service.to_owned(),
            level: level.to_ascii_lowercase(),
            message: message.to_owned(),
        }
    }
}

/// Level and message of a line `[TIME] LEVEL [INSTANCE] MESSAGE`, as services and the supervisor write them.
fn level_and_message<'a>(instance: &str, text: &'a str) -> (&'static str, &'a str) {
    let after_time = text.split_once(' ').filter(|(time, _)| time.ends_with('Z') && time.contains('T'));
    let rest = after_time.map_or(text, |(_, rest)| rest);
    let Some((level, message)) = rest.split_once(' ') else { return (LEVEL_UNKNOWN, text) };
    // The loader and a failing program end the level's word with a colon.
    let Some(level) = LEVELS.into_iter().find(|known| level.trim_end_matches(':') == *known) else {
        return (LEVEL_UNKNOWN, text);
    };
    let message = message.trim_start();
    (level, message.strip_prefix(instance).map_or(message, str::trim_start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> (String, String) {
        let entry = Entry::new("vote-1", &Line { at_ms: 0, text: text.to_owned() });
        (entry.level, entry.message)
    }

    #[test]
    fn lines_are_taken_apart() {
        let line = Line {
            at_ms: 1_795_590_484_089,
            text: "2026-11-25T07:08:02.392Z INFO  vote-1 vote is up".into(),
        };
        let json = serde_json::to_string(&Entry::new("vote-1", &line)).expect("JSON");
        let expected = r#"{"time":"2026-11-25T07:08:04.089Z","instance":"vote-1","service":"vote","level":"info","message":"vote is up"}"#;
        assert_eq!(json, expected);
        let of = |level: &str, message: &str| (level.to_owned(), message.to_owned());
        assert_eq!(entry("WARN  supervisor: killed"), of("warn", "supervisor: killed"));
        assert_eq!(entry("ERROR: no card"), of("error", "no card"));
        assert_eq!(entry("PANIC: no memory"), of("info", "PANIC: no memory"));
        assert_eq!(entry("x"), of("info", "x"));
        assert_eq!(entry("2026-11-25T07:08:02.392Z"), of("info", "2026-11-25T07:08:02.392Z"));
    }
}
