//! Messages of the server (PostgreSQL 15, section 55.7, "Message Formats").
//!
//! Every length is checked before it is used. Messages that our clients do not need are [`Message::Other`].

use core::fmt;

use super::limits::{COLUMNS_MAX, MESSAGE_BYTES_MAX};
use super::row::Row;
use super::server_error::ServerError;

/// A message's type and length.
const HEADER_BYTES: usize = 5;
/// Bytes of the length itself, which it counts.
const LENGTH_BYTES: usize = 4;

/// One message of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// `R`
    Authentication(Authentication<'a>),
    /// `D`: DataRow.
    Row(Row<'a>),
    /// `C` CommandComplete, or `I` EmptyQueryResponse.
    Complete,
    /// `E`: ErrorResponse.
    Error(ServerError<'a>),
    /// `Z`: ReadyForQuery.
    Ready,
    /// ParameterStatus, BackendKeyData, NoticeResponse, BindComplete and others that tell nothing we need.
    Other,
}

/// What the server wants to know of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Nothing (any more).
    Ok,
    /// The password as it is.
    Cleartext,
    /// The password's MD5.
    Md5,
    /// To choose one of these mechanisms, each of which ends with a zero byte.
    Sasl(&'a [u8]),
    /// The client's proof, to this challenge.
    SaslContinue(&'a [u8]),
    /// Nothing more, if this is its own proof.
    SaslFinal(&'a [u8]),
    /// Something else: its number.
    Other(u32),
}

/// Bytes that are no message of a PostgreSQL server, or beyond the limits; close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// No message has this type.
    Type(u8),
    /// A length is less than it can be, or more than [`MESSAGE_BYTES_MAX`].
    Length(u32),
    /// The message does not have the shape of its type.
    Malformed(u8),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(byte) => {
                write!(f, "no message has type {byte:#04x}: is RESULTS_URL the port of a PostgreSQL server?")
            }
            Self::Length(length) => {
                write!(f, "a message of {length} bytes is too short, or longer than is taken")
            }
            Self::Malformed(byte) => write!(f, "a message of type {:?} is malformed", char::from(*byte)),
        }
    }
}

impl core::error::Error for MessageError {}

/// The first message of `input` and its length; none when it is not complete yet.
///
/// # Errors
/// When it is no message, or longer than is taken.
pub fn parse_message(input: &[u8]) -> Result<Option<(Message<'_>, usize)>, MessageError> {
    let Some(&kind) = input.first() else { return Ok(None) };
    if !b"RSKZTDCEN123nIstAGHWcdVv".contains(&kind) {
        return Err(MessageError::Type(kind));
    }
    let Some(length) = input.get(1..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
    let length = u32::from_be_bytes(*length);
    let end = 1 + usize::try_from(length).unwrap_or(usize::MAX).min(MESSAGE_BYTES_MAX);
    if (length as usize) < LENGTH_BYTES || end > MESSAGE_BYTES_MAX {
        return Err(MessageError::Length(length));
    }
    let Some(body) = input.get(HEADER_BYTES..end) else { return Ok(None) };
    let message = parse_body(kind, body).ok_or(MessageError::Malformed(kind))?;
    Ok(Some((message, end)))
}

fn parse_body(kind: u8, body: &[u8]) -> Option<Message<'_>> {
    Some(match kind {
        b'R' => Message::Authentication(parse_authentication(body)?),
        b'D' => Message::Row(Row::parse(body, COLUMNS_MAX)?),
        b'C' | b'I' => Message::Complete,
        b'E' => Message::Error(ServerError::parse(body)?),
        b'Z' => Message::Ready,
        _ => Message::Other,
    })
}

fn parse_authentication(body: &[u8]) -> Option<Authentication<'_>> {
    let (number, rest) = body.split_first_chunk()?;
    Some(match u32::from_be_bytes(*number) {
        0 => Authentication::Ok,
        3 => Authentication::Cleartext,
        5 => Authentication::Md5,
        10 => Authentication::Sasl(rest),
        11 => Authentication::SaslContinue(rest),
        12 => Authentication::SaslFinal(rest),
        number => Authentication::Other(number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + LENGTH_BYTES).expect("short").to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    #[test]
    fn a_message_is_taken_once_it_is_whole() {
        let error = message(b'E', b"SERROR\0C42P01\0Mno such table\0\0");
        let stream = [message(b'Z', b"I"), error.clone(), message(b'R', &[0, 0, 0, 0])].concat();
        assert_eq!(parse_message(&stream), Ok(Some((Message::Ready, 6))));
        let expected = ServerError { sqlstate: *b"42P01", message: b"no such table" };
        assert_eq!(parse_message(&stream[6..]), Ok(Some((Message::Error(expected), error.len()))));
        assert_eq!(format!("{expected}"), "42P01 no such table");
        for end in 0..error.len() {
            assert_eq!(parse_message(&error[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn a_length_is_not_believed() {
        for (length, taken) in [(3, false), (0, false), (65_536, false), (u32::MAX, false), (65_535, true)] {
            let bytes = [&b"D"[..], &u32::to_be_bytes(length)].concat();
            let expected = if taken { Ok(None) } else { Err(MessageError::Length(length)) };
            assert_eq!(parse_message(&bytes), expected, "{length}");
        }
    }

    #[test]
    fn what_is_no_message_is_told_at_the_first_byte() {
        assert_eq!(parse_message(b"-ERR unknown command"), Err(MessageError::Type(b'-')));
        assert_eq!(parse_message(b"HTTP/1.1"), Err(MessageError::Length(u32::from_be_bytes(*b"TTP/"))));
        for (kind, body) in
            [(b'R', &b"\0\0\0"[..]), (b'D', b"\0\x01\0\0\0\x05abc"), (b'E', b"C42P0\0\0"), (b'E', b"")]
        {
            assert_eq!(
                parse_message(&message(kind, body)),
                Err(MessageError::Malformed(kind)),
                "{}",
                body.escape_ascii()
            );
        }
    }
}
