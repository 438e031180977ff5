//! Decimal integers as RESP and Redis write and read them, without the formatting machinery.
//!
//! Floats, plus signs and leading zeros are refused, because Redis does not accept them as integers.

/// The digits of 0 to 99: by pairs, a number takes half as many divisions.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + value as u8 / 10, b'0' + value as u8 % 10];
        value += 1;
    }
    pairs
};

/// An integer's decimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    bytes: [u8; Self::LEN_MAX],
    start: usize,
}

impl Digits {
    /// Most digits: `-9223372036854775808`, `18446744073709551615`.
    pub const LEN_MAX: usize = 20;

    /// The digits of `value`, with a minus sign when it is negative.
    pub fn new(value: i64) -> Self {
        let mut digits = Self::of_u64(value.unsigned_abs());
        if value < 0 {
            digits.start -= 1;
            digits.bytes[digits.start] = b'-';
        }
        digits
    }

    /// The digits of a length or count.
    pub fn of_len(value: usize) -> Self {
        Self::of_u64(value as u64)
    }

    /// The digits of `value`.
    pub fn of_u64(value: u64) -> Self {
        let mut bytes = [b'0'; Self::LEN_MAX];
        let start = put_before(&mut bytes, Self::LEN_MAX, value);
        Self { bytes, start }
    }

    /// The digits with as many zeros before them as the longest number needs; not of a negative one.
    pub fn padded(&self) -> &[u8; Self::LEN_MAX] {
        &self.bytes
    }

    /// How many digits a length or count has.
    pub fn count(value: usize) -> usize {
        match value {
            0..10 => 1,
            10..100 => 2,
            100..1000 => 3,
            _ => value.ilog10() as usize + 1,
        }
    }

    /// The digits as text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Puts the digits of `rest` before `end`; where they begin.
#[inline]
fn put_before(bytes: &mut [u8], end: usize, mut rest: u64) -> usize {
    let mut start = end;
    while rest >= 10 {
        start -= 2;
        bytes[start..start + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest > 0 || start == end {
        start -= 1;
        bytes[start] = b'0' + rest as u8;
    }
    start
}

/// A line with a number of up to five digits: its kind, the digits, and CRLF, and how many bytes these are. It is made
/// in a register.
#[inline]
pub(super) fn short_line(kind: u8, value: usize) -> Option<([u8; 8], usize)> {
    let pair = |value: usize| u64::from(u16::from_le_bytes(PAIRS[value % 100]));
    let digit = |value: usize| u64::from(b'0') + value as u64;
    let (digits, count) = match value {
        0..10 => (digit(value), 1),
        10..100 => (pair(value), 2),
        100..1_000 => (digit(value / 100) | pair(value) << 8, 3),
        1_000..10_000 => (pair(value / 100) | pair(value) << 16, 4),
        10_000..100_000 => (digit(value / 10_000) | pair(value / 100) << 8 | pair(value) << 24, 5),
        _ => return None,
    };
    let end = u64::from(u16::from_le_bytes(*b"\r\n")) << (8 * (1 + count));
    Some(((u64::from(kind) | digits << 8 | end).to_le_bytes(), 1 + count + 2))
}

/// A line with a number: its kind, the digits, and CRLF, in one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberLine {
    bytes: [u8; Self::LEN_MAX],
    start: usize,
}

impl NumberLine {
    /// Where the digits end.
    const DIGITS_END: usize = 1 + Digits::LEN_MAX;
    const LEN_MAX: usize = Self::DIGITS_END + 2;

    /// The line of a length or count.
    #[inline(never)]
    pub(super) fn of_len(kind: u8, value: usize) -> Self {
        // What is before the digits is the kind already, wherever they begin.
        let mut bytes = [kind; Self::LEN_MAX];
        bytes[Self::DIGITS_END..].copy_from_slice(b"\r\n");
        let start = put_before(&mut bytes, Self::DIGITS_END, value as u64) - 1;
        Self { bytes, start }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// The integer that all of `text` spells, in the one spelling Redis accepts.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = parse_magnitude(digits)?;
    match (negative, magnitude) {
        (true, 0) => None,
        (true, _) => 0_i64.checked_sub_unsigned(magnitude),
        (false, _) => i64::try_from(magnitude).ok(),
    }
}

fn parse_magnitude(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_integer_is_read_back_from_its_digits() {
        for value in [0, 1, -1, 9, 10, 99, 100, -1234, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(parse_integer(Digits::new(value).as_bytes()), Some(value));
        }
        for value in
            [0, 1, 9, 10, 11, 99, 100, 101, 999, 1_000, 123_456, u64::MAX / 10, u64::MAX - 1, u64::MAX]
        {
            let digits = Digits::of_u64(value);
            assert_eq!(core::str::from_utf8(digits.as_bytes()), Ok(value.to_string().as_str()));
            assert_eq!(Digits::count(value as usize), digits.as_bytes().len(), "{value}");
            let line = NumberLine::of_len(b':', value as usize);
            assert_eq!(line.as_bytes(), [b":", digits.as_bytes(), b"\r\n"].concat());
            assert!(value < 100_000 || short_line(b':', value as usize).is_none());
        }
        assert_eq!(Digits::new(i64::MIN).as_bytes(), b"-9223372036854775808");
    }

    #[test]
    fn short_lines_are_as_others() {
        for value in 0..100_000 {
            let (bytes, len) = short_line(b'$', value).expect("short");
            assert_eq!(bytes[..len], *NumberLine::of_len(b'$', value).as_bytes());
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let wrong: [&[u8]; 11] = [
            b"",
            b"-",
            b"+1",
            b"01",
            b"-0",
            b"-01",
            b" 1",
            b"1 ",
            b"1.0",
            b"9223372036854775808",
            b"-9223372036854775809",
        ];
        for text in wrong {
            assert_eq!(parse_integer(text), None, "{text:?}");
        }
    }
}
