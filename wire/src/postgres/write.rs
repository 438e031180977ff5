//! Messages of the client (PostgreSQL 15, section 55.7), appended to a buffer as a whole or not at all.
//!
//! There is no COPY, no function call and no simple query.

use crate::Buffer;
use crate::buffer::Full;

/// Protocol 3.0.
const VERSION: u32 = 3 << 16;
/// The result's values and the parameters as text.
const TEXT: [u8; 2] = 0_u16.to_be_bytes();
/// As many rows as there are.
const ALL_ROWS: [u8; 4] = [0; 4];

/// StartupMessage: who logs in where. Names must have no zero byte.
///
/// # Errors
/// [`Full`]; nothing was written.
pub fn startup(output: &mut Buffer, user: &str, database: &str) -> Result<(), Full> {
    let pairs = [("user", user), ("database", database), ("client_encoding", "UTF8")];
    let bytes = |(name, value): (&'static str, &str)| name.len() + value.len() + 2;
    let length = 4 + 4 + pairs.into_iter().map(bytes).sum::<usize>() + 1;
    let mut room = output.reserve(length)?;
    room.put(&length_of(length));
    room.put(&VERSION.to_be_bytes());
    for (name, value) in pairs {
        [name.as_bytes(), b"\0", value.as_bytes(), b"\0"].into_iter().for_each(|piece| room.put(piece));
    }
    room.put(b"\0");
    Ok(())
}

/// SASLInitialResponse: the mechanism and the client's first message.
///
/// # Errors
/// [`Full`]; nothing was written.
pub fn sasl_initial(output: &mut Buffer, mechanism: &str, response: &[u8]) -> Result<(), Full> {
    message(output, b'p', &[mechanism.as_bytes(), b"\0", &length_of(response.len()), response])
}

/// SASLResponse: the client's further message.
///
/// # Errors
/// [`Full`]; nothing was written.
pub fn sasl_response(output: &mut Buffer, response: &[u8]) -> Result<(), Full> {
    message(output, b'p', &[response])
}

/// Close and Parse: makes `name` stand for a statement, whatever it stood for before.
///
/// # Errors
/// [`Full`]; part of it may have been written.
pub fn prepare(output: &mut Buffer, name: &str, sql: &str) -> Result<(), Full> {
    message(output, b'C', &[b"S", name.as_bytes(), b"\0"])?;
    // No types are named: the server finds them.
    message(output, b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0", &0_u16.to_be_bytes()])
}

/// Bind and Execute: carries out a prepared statement with these parameters.
///
/// # Errors
/// [`Full`]; part of it may have been written.
pub fn execute(output: &mut Buffer, name: &str, parameters: &[&[u8]]) -> Result<(), Full> {
    // Statements are ours: none has as many.
    let count = u16::try_from(parameters.len()).unwrap_or(u16::MAX).to_be_bytes();
    let bytes: usize = parameters.iter().map(|value| 4 + value.len()).sum();
    let length = 4 + 1 + name.len() + 1 + 2 + 2 + bytes + 2;
    let mut room = output.reserve(1 + length)?;
    room.put(b"B");
    // The portal without a name; no formats, so all are text.
    [&length_of(length)[..], b"\0", name.as_bytes(), b"\0", &TEXT, &count]
        .into_iter()
        .for_each(|piece| room.put(piece));
    for value in parameters {
        room.put(&length_of(value.len()));
        room.put(value);
    }
    room.put(&TEXT);
    message(output, b'E', &[b"\0", &ALL_ROWS])
}

/// Sync: ends what belongs together; the server answers it with ReadyForQuery.
///
/// # Errors
/// [`Full`]; nothing was written.
pub fn sync(output: &mut Buffer) -> Result<(), Full> {
    message(output, b'S', &[])
}

fn message(output: &mut Buffer, kind: u8, pieces: &[&[u8]]) -> Result<(), Full> {
    let length = 4 + pieces.iter().map(|piece| piece.len()).sum::<usize>();
    let mut room = output.reserve(1 + length)?;
    room.put(&[kind]);
    room.put(&length_of(length));
    pieces.iter().for_each(|piece| room.put(piece));
    Ok(())
}

/// A length as the protocol has it. An output buffer is smaller than what does not fit.
fn length_of(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Buffer) -> Result<(), Full>) -> alloc::vec::Vec<u8> {
        let mut output = Buffer::new(1024);
        write(&mut output).expect("room");
        output.as_slice().to_vec()
    }

    #[test]
    fn messages_have_the_documented_bytes() {
        let startup = written(|output| startup(output, "me", "db"));
        assert_eq!(startup, b"\0\0\0\x32\0\x03\0\0user\0me\0database\0db\0client_encoding\0UTF8\0\0");
        assert_eq!(startup.len(), 0x32);
        assert_eq!(written(|output| sasl_initial(output, "M", b"ab")), b"p\0\0\0\x0cM\0\0\0\0\x02ab");
        assert_eq!(written(sync), b"S\0\0\0\x04");
        let prepared = written(|output| prepare(output, "n", "SELECT 1"));
        assert_eq!(prepared, b"C\0\0\0\x07Sn\0P\0\0\0\x11n\0SELECT 1\0\0\0");
        let executed = written(|output| execute(output, "n", &[b"x", b""]));
        assert_eq!(executed, b"B\0\0\0\x16\0n\0\0\0\0\x02\0\0\0\x01x\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0");
    }
}
