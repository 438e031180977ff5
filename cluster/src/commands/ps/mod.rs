//! `cargo ps`: shows what runs, its health, and its resource usage. It changes nothing.

mod figures;
pub(crate) mod look;
mod shares;
mod table;
mod watch;

use std::thread;
use std::time::Duration;

use anyhow::Result;
use image_build::tool::output;
use image_build::tool::progress::Patience;

use crate::commands::options::PsOptions;
use crate::state::run_dir::RunDir;
use crate::terminal::style::Style;
use look::{look, with_rates};

/// Time between two looks, from which rates are worked out.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Prints what runs, once or again and again.
///
/// # Errors
/// When the state file cannot be read.
pub fn ps(run_dir: &RunDir, options: PsOptions) -> Result<()> {
    if options.watch {
        return watch::watch(run_dir);
    }
    let patience = Patience::start("asking all instances");
    let before = look(run_dir)?;
    if !before.is_empty() {
        thread::sleep(BETWEEN_LOOKS);
    }
    let rows = with_rates(&before, look(run_dir)?);
    drop(patience);
    let text = if options.json {
        format!("{}\n", serde_json::to_string_pretty(&rows)?)
    } else {
        table::table(&rows, Style::of_output()) + &shares::lines(&shares::reports(run_dir))
    };
    Ok(output::print(&text)?)
}
