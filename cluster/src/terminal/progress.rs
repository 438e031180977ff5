//! The progress of a start: one updated line per instance on a terminal, plain lines elsewhere. It receives events
//! and decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::state::event::Event;
use image_build::tool::screen::screen;

/// How often the lines turn.
const TICK: Duration = Duration::from_millis(100);

/// The lines.
pub struct Progress {
    bars: BTreeMap<String, ProgressBar>,
}

impl Progress {
    /// Lines for these instances; none on anything but a terminal.
    pub fn new(instances: &[String], is_terminal: bool) -> Self {
        let mut bars = BTreeMap::new();
        if is_terminal {
            let width = instances.iter().map(String::len).max().unwrap_or(0);
            for instance in instances {
                let bar = screen().add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix} {wide_msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(format!("{instance:width$}"));
                bar.set_message("waits");
                bar.enable_steady_tick(TICK);
                bars.insert(instance.clone(), bar);
            }
        }
        Self { bars }
    }

    /// Shows what has happened.
    pub fn show(&mut self, event: &Event) {
        let (instance, words) = match event {
            Event::Started { instance } => (instance, "boots".to_owned()),
            Event::Waiting { instance, problem } => (instance, format!("boots ({problem})")),
            Event::Healthy { instance, after_ms } => {
                (instance, format!("is healthy after {:.2} s", *after_ms as f64 / 1000.0))
            }
            _ => return,
        };
        match self.bars.get(instance) {
            Some(bar) if matches!(event, Event::Healthy { .. }) => bar.finish_with_message(words),
            Some(bar) => bar.set_message(words),
            // What a starting guest says meanwhile would only be noise in a file.
            None if matches!(event, Event::Waiting { .. }) => {}
            None => note!("{instance} {words}"),
        }
    }
}

impl Drop for Progress {
    /// Takes the lines away.
    fn drop(&mut self) {
        self.bars.values().for_each(ProgressBar::finish_and_clear);
        // It fails when the terminal has gone, and then there is nothing to clear.
        let _ = screen().clear();
    }
}
