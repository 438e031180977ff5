//! Ctrl-C and similar signals in the process that the user started: during a build they end the build; later the
//! running application handles them.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::state::identity::{Identity, descendants};

/// Status of a program that a signal has ended, less the signal's number; what shells use.
pub const STATUS_SIGNAL: i32 = 128;

/// How long that may take.
const SETTLE: Duration = Duration::from_millis(200);

/// Someone who acts on signals.
type Listener = Box<dyn Fn(Interrupt) + Send>;

/// What is done about signals.
#[derive(Clone)]
pub struct Interrupts {
    listener: Arc<Mutex<Option<Listener>>>,
}

/// A signal that has come, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt(pub i32);

impl Interrupts {
    /// Begins to catch signals. Until somebody listens, each ends this process and all that it has
    /// started.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub fn catch() -> Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals cannot be caught")?;
        let interrupts = Self { listener: Arc::default() };
        let shared = interrupts.clone();
        thread::spawn(move || signals.forever().for_each(|signal| shared.act(Interrupt(signal))));
        Ok(interrupts)
    }

    /// From now on signals are this listener's to act on.
    pub fn listen(&self, listener: impl Fn(Interrupt) + Send + 'static) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(listener));
    }

    /// Waits a little for a signal that may have ended a child before it was heard here: then this process ends by it,
    /// and not by the child's failure.
    pub fn settle() {
        thread::sleep(SETTLE);
    }

    fn act(&self, interrupt: Interrupt) {
        match &*self.listener.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(listener) => listener(interrupt),
            None => end(interrupt),
        }
    }
}

/// Ends this process and all that it has started.
fn end(Interrupt(signal): Interrupt) {
    // All are found before the first is ended: what that one has started would get another parent.
    for handle in descendants().iter().filter_map(Identity::open) {
        handle.kill();
    }
    note!("\ninterrupted: nothing was started");
    process::exit(STATUS_SIGNAL + signal);
}
