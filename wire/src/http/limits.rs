//! All limits of the HTTP server, except for the size of a body, which the service chooses.

use core::time::Duration;

use crate::time::Instant;

/// Most bytes of a request line without its line end; longer ones are answered 414 (RFC 9112 section 3 wants
/// at least 8000).
pub const REQUEST_LINE_BYTES_MAX: usize = 8 * 1024;
/// Most bytes of a request's head, from the request line to the empty line; more are answered 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header lines of a request; more are answered 431.
pub const HEADERS_MAX: usize = 64;
/// Most bytes of a chunk's size with its extensions; more are answered 400.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Most bytes of the trailer section of a chunked body; more are answered 431.
pub const TRAILER_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of a chunked body that are not body: sizes, extensions, line ends and trailers together; more are
/// answered 413.
pub const CHUNK_OVERHEAD_BYTES_MAX: usize = 16 * 1024;

/// How long a connection may wait for the first byte of its next request.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a head may take, from its first byte.
pub const HEAD_PACE: Pace =
    Pace { grace: Duration::from_secs(10), total: Duration::from_secs(30), bytes_per_second: 500 };
/// How long a body may take, from the end of its head.
pub const BODY_PACE: Pace =
    Pace { grace: Duration::from_secs(10), total: Duration::from_secs(60), bytes_per_second: 500 };
/// How long a service may take to answer; then the client gets 503.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may leave its output untouched, and the time in which it has to take
/// [`WRITE_STALL_BYTES`].
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes a client has to take in each [`WRITE_STALL_TIMEOUT`], or all that waited when it began.
pub const WRITE_STALL_BYTES: u64 = 4 * 1024;

/// No wait above ends sooner than this after the event that began it, so whoever looks at the time this long after
/// each event misses no deadline.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(10);

/// A total deadline and a least rate in one: the time allowed is `grace`, longer by what arrives at
/// `bytes_per_second`, but never more than `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time allowed even if nothing arrives.
    pub grace: Duration,
    /// Time allowed whatever arrives.
    pub total: Duration,
    /// Bytes that buy one second more.
    pub bytes_per_second: u32,
}

impl Pace {
    /// When what began at `start` is too slow, should nothing come after the `received` bytes.
    pub fn deadline(&self, start: Instant, received: usize) -> Instant {
        let micros = (received as u64).saturating_mul(1_000_000) / u64::from(self.bytes_per_second.max(1));
        start + self.grace.saturating_add(Duration::from_micros(micros)).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_shorter_than_the_shortest() {
        let waits = [IDLE_TIMEOUT, HEAD_PACE.grace, BODY_PACE.grace, ANSWER_TIMEOUT, WRITE_STALL_TIMEOUT];
        assert_eq!(waits.into_iter().min(), Some(SHORTEST_WAIT));
    }

    #[test]
    fn bytes_buy_time_up_to_the_total() {
        let pace =
            Pace { grace: Duration::from_secs(2), total: Duration::from_secs(10), bytes_per_second: 100 };
        let start = Instant::from_millis(1_000);
        for (received, deadline_ms) in
            [(0, 3_000), (50, 3_500), (799, 10_990), (800, 11_000), (1 << 40, 11_000)]
        {
            assert_eq!(pace.deadline(start, received), Instant::from_millis(deadline_ms), "{received}");
        }
    }
}
