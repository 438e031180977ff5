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
    let _ = minor;
    for (name, value) in fields {
        if name.eq_ignore_ascii_case("content-length") {
            let text = core::str::from_utf8(value).map_err(|_| Refused)?;
            return text.parse().map(Framing::Length).map_err(|_| Refused);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            let end = &value[value.len().saturating_sub(b"chunked".len())..];
            return if end.eq_ignore_ascii_case(b"chunked") { Ok(Framing::Chunked) } else { Err(Refused) };
        }
    }
    Ok(Framing::Length(0))
}
