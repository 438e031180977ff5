//! Writes log records as lines on standard error.
//!
//! `log_line` formats a line; the level and the instance come from the settings.

use std::io::Write as _;
use std::string::String;
use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};

use super::clock::LinuxClock;
use crate::log_line::{self, INSTANCE_BYTES_MAX};
use crate::settings::{SettingError, Settings};

static LOGGER: OnceLock<StderrLogger> = OnceLock::new();

struct StderrLogger {
    instance: String,
    level: LevelFilter,
    clock: LinuxClock,
}

/// Sends the records of this process to standard error, from the level in `LOG` and marked with
/// `INSTANCE` (by default the program's name).
///
/// # Errors
/// When one of the two settings cannot be used.
pub(super) fn install(name: &'static str, settings: &Settings) -> Result<(), SettingError> {
    let level = log_line::level_setting(settings)?;
    let instance = settings.text("INSTANCE", name, INSTANCE_BYTES_MAX)?;
    let logger = LOGGER.get_or_init(|| StderrLogger { instance, level, clock: LinuxClock::new() });
    // A second install in one process keeps the first logger.
    if log::set_logger(logger).is_ok() {
        log::set_max_level(level);
    }
    Ok(())
}

impl Log for StderrLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = String::new();
        let time = self.clock.unix_time();
        if log_line::write_line(&mut line, time, record.level(), &self.instance, record.args()).is_ok() {
            // One write, so that lines of several threads never mix. Nobody can be told of a failure.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}
