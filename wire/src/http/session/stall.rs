//! The minimum rate at which a client must read its output: a number of bytes within a time. A slower client is
//! disconnected.

use crate::http::limits::{WRITE_STALL_BYTES, WRITE_STALL_TIMEOUT};
use crate::time::Instant;

/// How fast the client takes its output.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stall {
    /// Bytes ever written.
    written: u64,
    /// When the client was last fast enough, and how many bytes it must have taken before the next look.
    mark: Option<(Instant, u64)>,
}

impl Stall {
    /// Counts what was written into an output that held `before` bytes and now holds `after`.
    pub fn wrote(&mut self, before: usize, after: usize) {
        self.written += (after - before) as u64;
        if before == 0 {
            self.mark = None;
        }
    }

    /// When the client is too slow, unless it goes on reading; none when there is nothing to read.
    pub fn deadline(&mut self, now: Instant, output_bytes: usize) -> Option<Instant> {
        let waiting = output_bytes as u64;
        let taken = self.written.saturating_sub(waiting);
        self.mark = match self.mark {
            _ if waiting == 0 => None,
            Some((since, target)) if taken < target => Some((since, target)),
            _ => Some((now, taken + waiting.min(WRITE_STALL_BYTES))),
        };
        self.mark.map(|(since, _)| since + WRITE_STALL_TIMEOUT)
    }
}
