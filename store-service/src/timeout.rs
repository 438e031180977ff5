//! The timeouts of blocking commands: decimal seconds.
//!
//! Without exponents, which Redis takes and nobody sends.

use core::time::Duration;

use crate::failure::Failure;
use crate::limits::WAIT_MAX;

const MICROS_PER_SECOND: u64 = 1_000_000;

/// The time that `text` says; `None` for zero, which means without end.
///
/// # Errors
/// When it is no decimal number, below zero, or above [`WAIT_MAX`].
pub fn parse(text: &[u8]) -> Result<Option<Duration>, Failure> {
    let (negative, text) = match text {
        [b'-', text @ ..] => (true, text),
        [b'+', text @ ..] => (false, text),
        text => (false, text),
    };
    let micros = parse_micros(text)?;
    if negative && micros > 0 {
        return Err(Failure::TimeoutNegative);
    }
    let timeout = Duration::from_micros(micros);
    if timeout > WAIT_MAX { Err(Failure::TimeoutTooLong) } else { Ok((micros > 0).then_some(timeout)) }
}

fn parse_micros(text: &[u8]) -> Result<u64, Failure> {
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = text.split_at(point.unwrap_or(text.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    if whole.is_empty() && fraction.is_empty() {
        return Err(Failure::TimeoutNotANumber);
    }
    let mut micros = 0_u64;
    for byte in whole {
        micros = micros.saturating_mul(10).saturating_add(digit(*byte)? * MICROS_PER_SECOND);
    }
    let mut unit = MICROS_PER_SECOND;
    for byte in fraction {
        unit /= 10;
        // Digits beyond the clock's resolution round up: a short wait is not an endless one.
        let part = if unit == 0 { digit(*byte)?.min(1) } else { digit(*byte)? * unit };
        micros = micros.saturating_add(part);
    }
    Ok(micros)
}

fn digit(byte: u8) -> Result<u64, Failure> {
    match byte.wrapping_sub(b'0') {
        digit @ 0..=9 => Ok(u64::from(digit)),
        _ => Err(Failure::TimeoutNotANumber),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_zero_means_for_ever() {
        let micros = |text: &[u8]| parse(text).map(|timeout| timeout.map(|timeout| timeout.as_micros()));
        assert_eq!(micros(b"5"), Ok(Some(5_000_000)));
        assert_eq!(micros(b"0.25"), Ok(Some(250_000)));
        assert_eq!(micros(b".5"), Ok(Some(500_000)));
        assert_eq!(micros(b"+1."), Ok(Some(1_000_000)));
        assert_eq!(micros(b"0.0000001"), Ok(Some(1)));
        assert_eq!(micros(b"0"), Ok(None));
        assert_eq!(micros(b"-0.0"), Ok(None));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [&b""[..], b".", b"-", b"x", b"1x", b"1 ", b"nan", b"inf", b"1..2"] {
            assert_eq!(parse(text), Err(Failure::TimeoutNotANumber), "{text:?}");
        }
        assert_eq!(parse(b"-0.5"), Err(Failure::TimeoutNegative));
        assert_eq!(parse(b"99999999999999999999"), Err(Failure::TimeoutTooLong));
    }
}
