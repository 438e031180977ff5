//! Conditions are awaited with a deadline. One that passes says what was awaited, and what was seen last.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long between two looks.
const POLL: Duration = Duration::from_millis(500);

/// Waits until a look gives something.
///
/// # Errors
/// After `limit`, with what the last look said.
pub fn wait_until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if begun.elapsed() >= limit => {
                bail!("{what} did not come within {limit:?}: {error:#}")
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}
