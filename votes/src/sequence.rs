//! Sequences: of two votes of a voter, the one with the larger sequence counts.
//!
//! The store counts up tickets. One ticket is enough for many votes of one instance, which get consecutive sequences:
//! those of ticket 3 begin at 3 times [`PER_TICKET`].

use serde::Serializer;
use wire::resp::Digits;

/// Sequences that a ticket is good for.
pub const PER_TICKET: u64 = 1 << 16;
/// The largest ticket whose sequences fit into 64 bits; at a million a second it is reached after 8 years.
const TICKET_MAX: u64 = u64::MAX / PER_TICKET - 1;

/// The ticket that the store gives with this number, if it can be one.
pub fn ticket(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|ticket| (1..=TICKET_MAX).contains(ticket))
}

/// The first of a ticket's sequences.
pub const fn first_of(ticket: u64) -> u64 {
    ticket * PER_TICKET
}

/// Reads a sequence as entries and results carry it: decimal digits, leading zeros allowed.
pub fn parse(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > Digits::LEN_MAX {
        return None;
    }
    text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then_some(u64::from(byte.wrapping_sub(b'0')))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Writes a sequence as entries carry it: all digits that it can have, in a string. As a number it would lose
/// digits in JavaScript's hands.
pub(crate) fn serialize<S: Serializer>(sequence: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(Digits::of_u64(*sequence).padded())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_has_room_for_its_sequences() {
        let last = i64::try_from(TICKET_MAX).expect("a ticket");
        assert_eq!([0, -1, last + 1].map(ticket), [None; 3]);
        assert_eq!([1, last].map(ticket), [Some(1), Some(TICKET_MAX)]);
        assert!(first_of(TICKET_MAX).checked_add(PER_TICKET).is_some());
    }

    #[test]
    fn only_digits_are_a_sequence() {
        assert_eq!(parse(b"00000000000000065536"), Some(65_536));
        assert_eq!(parse(b"18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "-1", "+1", "1.5", "x", "18446744073709551616", "000000000000000000001"] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
