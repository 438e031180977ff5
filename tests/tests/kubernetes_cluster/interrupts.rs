//! Ctrl-C and SIGTERM: the test then puts back what it has changed outside of its namespaces, and fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// An error once somebody has asked to end; from the first call on, such a signal no longer ends this process.
///
/// # Errors
/// When there was a signal.
pub fn ensure_none() -> Result<()> {
    static CAME: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let came = CAME.get_or_init(|| {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&came)).expect("these signals can be handled");
        }
        came
    });
    ensure!(!came.load(Ordering::Relaxed), "somebody has asked this test to end");
    Ok(())
}
