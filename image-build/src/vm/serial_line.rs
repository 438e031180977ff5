//! A machine's serial line, seen from the host: on it orders are given, and questions for the time answered.

use std::io::Write;
use std::process::ChildStdin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Setting of guests whose questions for the time are answered on this line; kernel-app's `timekeeper` reads it. On KVM
/// they ask nobody.
pub const TIME_SERVER: (&str, &str) = ("TIME_SERVER", "serial");
/// A line of a guest that asks for the time (`kernel_app::timekeeping::asked`); no part of what it says.
pub const QUESTION: &[u8] = b"\x05\n";
/// The order to stop (`kernel_app::hermit`): End of Transmission.
const STOP: u8 = 0x04;
/// What the time begins with: Acknowledge. Microseconds since 1970 in hexadecimal digits follow.
const TIME: char = '\x06';

/// This end of the line. The pipe takes some bytes even when the machine reads none, and breaks only when it has
/// ended.
#[derive(Clone, Debug)]
pub struct SerialLine(Arc<Mutex<Option<ChildStdin>>>);

impl SerialLine {
    /// The line that ends in a machine's standard input; without one, nobody hears.
    pub fn new(input: Option<ChildStdin>) -> Self {
        Self(Arc::new(Mutex::new(input)))
    }

    /// Tells the machine to stop: the first time to announce it, the second time to drain, the third time at once.
    pub fn order_stop(&self) {
        self.write(&[STOP]);
    }

    /// Answers a [`QUESTION`].
    pub fn tell_time(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.write(format!("{TIME}{:014x}", now.as_micros()).as_bytes());
    }

    fn write(&self, bytes: &[u8]) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = line.as_mut().map(|line| line.write_all(bytes));
    }
}
