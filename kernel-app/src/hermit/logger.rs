//! The logger for `log`, which writes to the serial line.
//!
//! `log_line` formats the lines.

use alloc::boxed::Box;
use alloc::string::String;

use log::{Log, Metadata, Record};

use super::clock::Clock;
use super::console::Console;
use crate::log_line;
use crate::settings::{SettingError, Settings};

struct SerialLogger {
    clock: Clock,
    instance: String,
}

/// Sends log lines to the console from here on: `LOG` says from which level, `INSTANCE` who speaks.
///
/// # Errors
/// When one of the two settings cannot be used.
pub fn start(name: &'static str, settings: &Settings, clock: Clock) -> Result<(), SettingError> {
    let level = log_line::level_setting(settings)?;
    let instance = settings.text("INSTANCE", name, log_line::INSTANCE_BYTES_MAX)?;
    let logger = SerialLogger { clock, instance };
    if log::set_logger(Box::leak(Box::new(logger))).is_ok() {
        log::set_max_level(level);
    }
    Ok(())
}

impl Log for SerialLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // The console never fails.
            let (level, message) = (record.level(), record.args());
            let _ =
                log_line::write_line(&mut Console, self.clock.unix_time(), level, &self.instance, message);
        }
    }

    fn flush(&self) {}
}
