//! Exercise 08.1: sequence numbers.
//!
//! TCP numbers each byte of a stream with 32 bits, from a first number that nobody can guess. After 2^32 bytes, or
//! after a few if the first number was large, the numbers begin again at 0. Write the two questions that TCP asks of
//! them (RFC 9293, sections 3.4 and 3.10.7.4). Judge it with `cargo course check 8.1`.
#![no_std]
#![forbid(unsafe_code)]

/// Whether `one` lies before `other`. They are less than 2^31 apart.
pub fn is_before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

/// Whether a segment is acceptable: `next` is the number of the byte that is expected next, and `window` how many bytes
/// from there on have room. The segment's first byte has the number `number`, and it has `length` bytes. The four cases
/// are in a table of section 3.10.7.4.
pub fn is_acceptable(next: u32, window: u32, number: u32, length: u32) -> bool {
    let in_window = |byte: u32| byte.wrapping_sub(next) < window;
    match (length, window) {
        (0, 0) => number == next,
        (0, _) => in_window(number),
        (_, 0) => false,
        _ => in_window(number),
    }
}
