//! Commands that a client sends again and again: they are encoded once.

use alloc::vec::Vec;

use super::write::{self, write_command};
use crate::Buffer;
use crate::buffer::Full;

/// How a command ends whose last word is empty: its length, and itself.
const EMPTY: &[u8] = b"$0\r\n\r\n";

/// A command that was encoded, perhaps but for its last word.
#[derive(Clone, Debug)]
pub struct Command(Vec<u8>);

impl Command {
    /// A command of these words, which are known to be short.
    pub fn new(words: &[&[u8]]) -> Self {
        let mut out = Buffer::new(super::COMMAND_BYTES_MAX);
        let encoded = write_command(&mut out, words);
        debug_assert_eq!(encoded, Ok(()));
        Self(out.as_slice().to_vec())
    }

    /// A command of these words and one more, which comes when it is written.
    pub fn with_last(words: &[&[u8]]) -> Self {
        let words: Vec<_> = words.iter().copied().chain([&b""[..]]).collect();
        let Self(mut bytes) = Self::new(&words);
        bytes.truncate(bytes.len().saturating_sub(EMPTY.len()));
        Self(bytes)
    }

    /// Appends the command, all of it or nothing.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, out: &mut Buffer) -> Result<(), Full> {
        out.write(&self.0)
    }

    /// Appends the command with its last word.
    ///
    /// # Errors
    /// When it does not fit; a part may have been written.
    pub fn write_with(&self, last: &[u8], out: &mut Buffer) -> Result<(), Full> {
        out.write(&self.0)?;
        write::bulk(out, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use redis_protocol::resp2::encode::encode_borrowed;
    use redis_protocol::resp2::types::BorrowedFrame;

    fn written(write: impl FnOnce(&mut Buffer) -> Result<(), Full>) -> Vec<u8> {
        let mut out = Buffer::new(256);
        write(&mut out).expect("room");
        out.as_slice().to_vec()
    }

    #[test]
    fn a_command_is_an_array_of_strings() {
        let words: [&[u8]; 3] = [b"RPUSH", b"votes", b"a\r\n\xff"];
        let expected = b"*3\r\n$5\r\nRPUSH\r\n$5\r\nvotes\r\n$4\r\na\r\n\xff\r\n";
        assert_eq!(written(|out| write_command(out, &words)), expected);
        assert_eq!(written(|out| Command::new(&words).write(out)), expected);
        let command = Command::with_last(&words[..2]);
        assert_eq!(written(|out| command.write_with(words[2], out)), expected);
    }

    /// The crate `redis-protocol` is the judge.
    #[test]
    fn commands_are_what_others_write_whatever_the_lengths() {
        for length in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1_000, 1_001, 9_999, 10_000, 65_000] {
            let word = vec![b'x'; length];
            for words in [1, 7, 8, 99, 100] {
                let mut words = vec![&b"word"[..]; words];
                words.push(&word);
                let mut ours = Buffer::new(128 * 1024);
                write_command(&mut ours, &words).expect("room");
                let frames: Vec<_> = words.iter().map(|word| BorrowedFrame::BulkString(word)).collect();
                let command = BorrowedFrame::Array(&frames);
                let mut theirs = vec![0; command.encode_len(false)];
                let length = encode_borrowed(&mut theirs, &command, false).expect("room");
                assert_eq!(ours.as_slice(), &theirs[..length], "{} words, {length} bytes", words.len());
            }
        }
    }

    #[test]
    fn a_command_that_does_not_fit_is_not_begun() {
        let mut out = Buffer::new(32);
        out.write(b"before").expect("room");
        let full = write_command(&mut out, &[b"SET", b"key", b"0123456789"]).expect_err("no room");
        assert_eq!((full.wanted, full.space, out.as_slice()), (39, 26, &b"before"[..]));
    }
}
