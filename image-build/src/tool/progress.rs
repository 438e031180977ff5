//! Progress messages: a spinner on a terminal, plain lines elsewhere.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::tool::output;
use crate::tool::screen::screen;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);
/// How long nothing needs to be said.
const PATIENCE: Duration = Duration::from_millis(800);

/// A piece of work that takes long enough to be shown.
#[derive(Debug)]
pub struct Step {
    what: String,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Says what begins.
    pub fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = output::is_screen(&io::stderr()).then(|| spinner(&what));
        if bar.is_none() {
            note!("{what} ...");
        }
        Self { what, started: Instant::now(), bar }
    }

    /// Says that it is done, and how long it took.
    pub fn done(mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        note!("{}: done in {:.1} s", self.what, self.started.elapsed().as_secs_f32());
    }
}

impl Drop for Step {
    /// A step that fails leaves no spinner behind; the error says the rest.
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Work that is mostly over before anybody wonders; until this is dropped. Otherwise it is said what takes so long.
#[derive(Debug)]
pub struct Patience(Option<Sender<()>>);

impl Patience {
    /// Begins to wait.
    pub fn start(what: &'static str) -> Self {
        let (over, is_over) = mpsc::channel();
        thread::spawn(move || {
            if is_over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                note!("{what} ...");
            }
        });
        Self(Some(over))
    }
}

impl Drop for Patience {
    /// The closed channel tells the thread.
    fn drop(&mut self) {
        self.0 = None;
    }
}

fn spinner(what: &str) -> ProgressBar {
    let bar = screen().add(ProgressBar::new_spinner().with_message(what.to_owned()));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}
