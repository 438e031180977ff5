//! Numbers as command lines have them.

/// A decimal number.
pub fn number(text: &[u8]) -> Option<u32> {
    let digit = |byte: &u8| char::from(*byte).to_digit(10);
    let append = |number: u32, byte: &u8| number.checked_mul(10)?.checked_add(digit(byte)?);
    text.iter().try_fold(0, append).filter(|_| !text.is_empty())
}
