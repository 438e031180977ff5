//! The timeouts of blocking commands: seconds as a decimal number, rounded up to milliseconds, as Redis does.
//!
//! Hexadecimal numbers, which Redis accepts and no client sends, are refused.

use core::time::Duration;

use crate::failure::Failure;
use crate::limits::WAIT_MAX;

/// Milliseconds that do not fit into 64 bits any more.
const MILLIS_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// The time that `text` says; `None` for zero, and for more than [`WAIT_MAX`], which mean without end.
/// `unix_time` bounds it: Redis adds the two.
///
/// # Errors
/// When it is no number, below zero, or beyond 64 bits.
pub fn parse(text: &[u8], unix_time: Duration) -> Result<Option<Duration>, Failure> {
    let seconds = core::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| !seconds.is_nan()).ok_or(Failure::TimeoutNotANumber)?;
    let millis = seconds * 1000.0;
    if millis >= MILLIS_LIMIT {
        // So Redis 7.0 calls what has overflown.
        return Err(Failure::TimeoutNegative);
    }
    let millis = u64::try_from(round_up(millis)).map_err(|_| Failure::TimeoutNegative)?;
    if u128::from(millis) + unix_time.as_millis() > u128::from(i64::MAX.unsigned_abs()) {
        return Err(Failure::TimeoutTooLong);
    }
    let timeout = Duration::from_millis(millis);
    Ok((millis > 0 && timeout <= WAIT_MAX).then_some(timeout))
}

fn round_up(number: f64) -> i64 {
    let whole = number as i64;
    if (whole as f64) < number { whole + 1 } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &[u8]) -> Result<Option<u128>, Failure> {
        parse(text, Duration::from_secs(1_700_000_000))
            .map(|timeout| timeout.map(|timeout| timeout.as_millis()))
    }

    #[test]
    fn seconds_are_rounded_up_and_zero_means_for_ever() {
        assert_eq!(millis(b"5"), Ok(Some(5_000)));
        assert_eq!(millis(b"0.25"), Ok(Some(250)));
        assert_eq!(millis(b".5"), Ok(Some(500)));
        assert_eq!(millis(b"+1."), Ok(Some(1_000)));
        assert_eq!(millis(b"1e-3"), Ok(Some(1)));
        assert_eq!(millis(b"2E1"), Ok(Some(20_000)));
        assert_eq!(millis(b"0.0000001"), Ok(Some(1)), "a short wait is not an endless one");
        for endless in [&b"0"[..], b"-0.0", b"-0.0005", b"9223370000000000"] {
            assert_eq!(millis(endless), Ok(None), "{}", endless.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [&b""[..], b".", b"-", b"x", b"1x", b"1 ", b" 1", b"nan", b"1..2", b"1\0", b"\xff"] {
            assert_eq!(millis(text), Err(Failure::TimeoutNotANumber), "{}", text.escape_ascii());
        }
        for text in [&b"-0.5"[..], b"-1e300", b"-inf", b"inf", b"infinity", b"9223372036854775807"] {
            assert_eq!(millis(text), Err(Failure::TimeoutNegative), "{}", text.escape_ascii());
        }
        assert_eq!(millis(b"9223372036000000"), Err(Failure::TimeoutTooLong));
    }
}
