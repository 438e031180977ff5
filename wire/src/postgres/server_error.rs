//! An error of the server: its code and its message (PostgreSQL 15, section 55.8, "Error and Notice Message Fields").
//!
//! Details and hints are omitted, because they may quote data.

use core::fmt;

/// Most bytes of a message that are shown.
const SHOWN_BYTES_MAX: usize = 160;

/// An ErrorResponse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerError<'a> {
    /// The code (Appendix A, "PostgreSQL Error Codes"), such as `28P01`.
    pub sqlstate: [u8; 5],
    /// What it says, in the server's language.
    pub message: &'a [u8],
}

impl<'a> ServerError<'a> {
    /// The fields of a message's body; none when the code is missing.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut sqlstate = None;
        let mut message = &b""[..];
        let mut rest = body;
        while let Some((kind, after)) = rest.split_first()
            && *kind != 0
        {
            let end = after.iter().position(|byte| *byte == 0)?;
            let value = &after[..end];
            match kind {
                b'C' => sqlstate = Some(value.try_into().ok()?),
                b'M' => message = value,
                _ => {}
            }
            rest = &after[end + 1..];
        }
        Some(Self { sqlstate: sqlstate?, message })
    }
}

impl fmt::Display for ServerError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.message[..self.message.len().min(SHOWN_BYTES_MAX)];
        write!(f, "{} ", self.sqlstate.escape_ascii())?;
        for chunk in shown.utf8_chunks() {
            chunk
                .valid()
                .chars()
                .try_for_each(|letter| write!(f, "{}", if letter.is_control() { ' ' } else { letter }))?;
        }
        Ok(())
    }
}
