//! Conversions between our time type and smoltcp's.

use core::time::Duration;

use wire::Instant;

/// smoltcp's span of time for ours.
pub(super) fn stack_duration(duration: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// smoltcp's clock for ours.
pub fn stack_time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}
