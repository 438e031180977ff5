//! Exercise 08.2: a parser that can be smuggled through.
//!
//! A proxy and this server read the same bytes of one connection. If they do not agree where a request's body ends, the
//! end of one client's request becomes the beginning of the next client's. The function below decides where a body
//! ends, and can be made to disagree. Mend it: refuse what another reader could read otherwise (RFC 9112, sections 6.1
//! to 6.3).
//!
//! Only `chunked` alone is understood as a transfer coding. Judge it with `cargo course check 8.2`.
#![no_std]
#![forbid(unsafe_code)]

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes; without a body 0.
    Length(usize),
    /// After the last chunk.
    Chunked,
}

/// The request is answered 400, and the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Where the body of a request ends. `minor` is 0 for HTTP/1.0 and 1 for HTTP/1.1. Each field is a header line: its
/// name, in any letter case, and its value without blanks around it.
pub fn framing(minor: u8, fields: &[(&str, &[u8])]) -> Result<Framing, Refused> {
    let values = |wanted: &'static str| {
        fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
    };
    let (mut lengths, mut codings) = (values("content-length"), values("transfer-encoding"));
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::Length(0)),
        (Some(length), None) if lengths.next().is_none() => decimal(length).map(Framing::Length),
        (None, Some(coding))
            if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() && minor > 0 =>
        {
            Ok(Framing::Chunked)
        }
        (Some(_), Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        _ => Err(Refused),
    }
}

/// Decimal digits and nothing else.
pub fn decimal(digits: &[u8]) -> Result<usize, Refused> {
    if digits.is_empty() {
        return Err(Refused);
    }
    digits.iter().try_fold(0_usize, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| usize::from(byte - b'0')).ok_or(Refused)?;
        length.checked_mul(10).and_then(|length| length.checked_add(digit)).ok_or(Refused)
    })
}
