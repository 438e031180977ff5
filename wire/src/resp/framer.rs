//! Requests as a server reads them: an array of bulk strings, or an inline line.
//!
//! It is flat and bounded: nested arrays are not requests. It remembers its position, so input that arrives byte by
//! byte is scanned once per byte.

use alloc::vec::Vec;
use core::fmt;

use super::{ARGS_MAX, Args, COMMAND_BYTES_MAX, Span};
use super::{inline, ordinary};

/// Storage of inline words above this is given back.
const WORDS_BYTES_KEPT: usize = 1024;
/// The same for the positions of this number of arguments.
const SPANS_KEPT: usize = 128;

/// Finds requests in one connection's input.
#[derive(Debug, Default)]
pub struct Framer {
    state: State,
    /// Bytes of the current request that are dealt with.
    at: usize,
    spans: Vec<Span>,
    /// The words of an inline request.
    words: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// In a line without a type byte.
    Inline,
    /// Before a bulk string's header; the number of missing bulk strings.
    Header { left: usize },
    /// In a bulk string of this length; the number of missing bulk strings, including this one.
    Bulk { left: usize, length: usize },
    /// The last call gave a request by steps; the next one begins another.
    Done,
}

/// A complete request.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its arguments; none for a blank line or an empty array, which get no reply.
    pub args: Args<'a>,
    /// Its length in the input, to be consumed before the framer is asked again.
    pub bytes: usize,
}

/// Input that is no request. Reply with the text as an `ERR`, then close: what follows has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// An array's count is no number or above [`ARGS_MAX`].
    ArrayCount,
    /// A bulk string's length is no number or makes the request longer than [`COMMAND_BYTES_MAX`].
    BulkLength,
    /// An argument begins with this byte instead of `$`.
    ExpectedBulk(u8),
    /// A bulk string is not followed by CRLF.
    BulkEnd,
    /// A line without end is longer than [`COMMAND_BYTES_MAX`].
    InlineTooLong,
    /// An inline request's quotes do not match.
    UnbalancedQuotes,
}

impl fmt::Display for FrameError {
    /// Redis's own words, where it has any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::ArrayCount => f.write_str("invalid multibulk length"),
            Self::BulkLength => f.write_str("invalid bulk length"),
            Self::ExpectedBulk(byte) => write!(f, "expected '$', got '{}'", byte.escape_ascii()),
            Self::BulkEnd => f.write_str("expected CRLF after a bulk string"),
            Self::InlineTooLong => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
        }
    }
}

impl core::error::Error for FrameError {}

/// What one step of the framer came to.
enum Step {
    Again,
    Incomplete,
    Complete,
}

impl Framer {
    /// A framer at the start of a connection's input.
    pub fn new() -> Self {
        Self::default()
    }

    /// The request at the start of `input`; `None` while it is incomplete.
    ///
    /// Until a request is given, `input` must be what it was at the last call, with new bytes only at
    /// its end. After one is given, [`Frame::bytes`] of it must be gone.
    ///
    /// # Errors
    /// When the input is no request; the framer must not be asked again.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Result<Option<Frame<'a>>, FrameError> {
        match self.state {
            State::Start => {}
            State::Done => self.reset(),
            _ => return self.next_by_steps(input),
        }
        match ordinary::read(input, &mut self.spans) {
            Some((count, bytes)) => Ok(Some(Frame { args: Args::new(input, &self.spans[..count]), bytes })),
            None => self.next_by_steps(input),
        }
    }

    /// The same for any request, however much of it is there.
    #[inline(never)]
    pub(super) fn next_by_steps<'a>(&'a mut self, input: &'a [u8]) -> Result<Option<Frame<'a>>, FrameError> {
        if self.state == State::Start {
            self.spans.clear();
        }
        loop {
            match self.step(input)? {
                Step::Again => {}
                // Headers alone can fill what a request may take; waiting for more would be in vain.
                Step::Incomplete if input.len() >= COMMAND_BYTES_MAX => return Err(FrameError::BulkLength),
                Step::Incomplete => return Ok(None),
                Step::Complete => break,
            }
        }
        let inline = self.state == State::Inline;
        self.state = State::Done;
        let args = Args::new(if inline { &self.words } else { input }, &self.spans);
        Ok(Some(Frame { args, bytes: self.at }))
    }

    /// Bytes that are allocated, in use or not.
    pub fn storage_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>() + self.words.capacity()
    }

    /// Gives back what is allocated, unless a request is half read.
    pub fn give_back(&mut self) {
        if !self.is_midway() {
            *self = Self::default();
        }
    }

    /// Whether part of a request has been seen, so that an end of input would cut it off.
    pub fn is_midway(&self) -> bool {
        !matches!(self.state, State::Start | State::Done)
    }

    #[inline(never)]
    fn reset(&mut self) {
        self.state = State::Start;
        self.at = 0;
        self.spans.clear();
        self.words.clear();
        self.words.shrink_to(WORDS_BYTES_KEPT);
        self.spans.shrink_to(SPANS_KEPT);
    }

    fn step(&mut self, input: &[u8]) -> Result<Step, FrameError> {
        match self.state {
            State::Start => self.start(input),
            State::Inline => self.inline(input),
            State::Header { left } => self.header(left, input),
            State::Bulk { left, length } => self.bulk(left, length, input),
            State::Done => Ok(Step::Complete),
        }
    }

    fn start(&mut self, input: &[u8]) -> Result<Step, FrameError> {
        match input.first() {
            None => return Ok(Step::Incomplete),
            Some(b'*') => {}
            Some(_) => {
                self.state = State::Inline;
                return Ok(Step::Again);
            }
        }
        let Some((count, length)) = number_line(&input[1..]).map_err(|NotANumber| FrameError::ArrayCount)?
        else {
            return Ok(Step::Incomplete);
        };
        self.at = 1 + length;
        let left = usize::try_from(count).unwrap_or(0);
        if left > ARGS_MAX {
            return Err(FrameError::ArrayCount);
        }
        self.state = State::Header { left };
        Ok(if left == 0 { Step::Complete } else { Step::Again })
    }

    fn inline(&mut self, input: &[u8]) -> Result<Step, FrameError> {
        let Some(found) = input[self.at..].iter().position(|byte| *byte == b'\n') else {
            self.at = input.len();
            let too_long = self.at >= COMMAND_BYTES_MAX;
            return if too_long { Err(FrameError::InlineTooLong) } else { Ok(Step::Incomplete) };
        };
        let end = self.at + found;
        self.at = end + 1;
        if self.at > COMMAND_BYTES_MAX {
            return Err(FrameError::InlineTooLong);
        }
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        inline::split(line, &mut self.words, &mut self.spans).map_err(|_| FrameError::UnbalancedQuotes)?;
        if self.spans.len() > ARGS_MAX {
            return Err(FrameError::InlineTooLong);
        }
        Ok(Step::Complete)
    }

    fn header(&mut self, left: usize, input: &[u8]) -> Result<Step, FrameError> {
        match input.get(self.at) {
            None => return Ok(Step::Incomplete),
            Some(b'$') => {}
            Some(&byte) => return Err(FrameError::ExpectedBulk(byte)),
        }
        let line = number_line(&input[self.at + 1..]).map_err(|NotANumber| FrameError::BulkLength)?;
        let Some((length, header)) = line else { return Ok(Step::Incomplete) };
        self.at += 1 + header;
        let length = usize::try_from(length).map_err(|_| FrameError::BulkLength)?;
        if length > COMMAND_BYTES_MAX || self.at + length + 2 > COMMAND_BYTES_MAX {
            return Err(FrameError::BulkLength);
        }
        self.state = State::Bulk { left, length };
        Ok(Step::Again)
    }

    fn bulk(&mut self, left: usize, length: usize, input: &[u8]) -> Result<Step, FrameError> {
        let end = self.at + length;
        match input.get(end..end + 2) {
            None => return Ok(Step::Incomplete),
            Some(b"\r\n") => {}
            Some(_) => return Err(FrameError::BulkEnd),
        }
        self.spans.push(Span::new(self.at, end));
        self.at = end + 2;
        self.state = State::Header { left: left - 1 };
        Ok(if left == 1 { Step::Complete } else { Step::Again })
    }
}

/// A header's number is malformed.
struct NotANumber;

/// Most characters of a header's number: no limit here has more than 6 digits.
const NUMBER_LEN_MAX: usize = 10;

/// The number of a header line and the line's length with CRLF; `None` while it is incomplete.
fn number_line(bytes: &[u8]) -> Result<Option<(i64, usize)>, NotANumber> {
    let Some(end) = bytes.iter().take(NUMBER_LEN_MAX + 1).position(|byte| *byte == b'\r') else {
        return if bytes.len() > NUMBER_LEN_MAX { Err(NotANumber) } else { Ok(None) };
    };
    match bytes.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => {
            let number = super::parse_integer(&bytes[..end]).ok_or(NotANumber)?;
            Ok(Some((number, end + 2)))
        }
        Some(_) => Err(NotANumber),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    /// Feeds `stream` in pieces of `step` bytes; each request becomes a line of quoted words.
    fn frames(stream: &[u8], step: usize) -> Result<String, FrameError> {
        let mut framer = Framer::new();
        let (mut seen, mut taken, mut out) = (0, 0, String::new());
        loop {
            while let Some(frame) = framer.next(&stream[taken..seen])? {
                for argument in frame.args.iter() {
                    out.push_str(&alloc::format!("<{}>", argument.escape_ascii()));
                }
                out.push('\n');
                taken += frame.bytes;
            }
            if seen == stream.len() {
                return Ok(out);
            }
            seen = (seen + step).min(stream.len());
        }
    }

    const PIPELINE: &[u8] = b"*3\r\n$5\r\nRPUSH\r\n$1\r\nk\r\n$4\r\na\r\nb\r\nPING\r\n\r\n*0\r\n\
        SET k \"v \\x01\"\n*-1\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n";

    #[test]
    fn a_pipeline_is_the_same_however_it_is_cut() {
        let whole = frames(PIPELINE, PIPELINE.len()).expect("well formed");
        assert_eq!(whole, "<RPUSH><k><a\\r\\nb>\n<PING>\n\n\n<SET><k><v \\x01>\n\n<ECHO><>\n");
        for step in 1..PIPELINE.len() {
            assert_eq!(frames(PIPELINE, step).as_ref(), Ok(&whole), "pieces of {step}");
        }
    }

    #[test]
    fn a_count_without_arguments_allocates_little() {
        let mut framer = Framer::new();
        for count in ["*9\r\n$1", "*64\r\n$1", "*65\r\n$1", "*999\r\n$1"] {
            framer = Framer { spans: framer.spans, ..Framer::new() };
            assert!(framer.next(count.as_bytes()).expect("incomplete").is_none());
        }
        assert!(framer.storage_bytes() <= SPANS_KEPT * size_of::<Span>());
    }

    #[test]
    fn malformed_requests_are_named() {
        let cases: [(&[u8], FrameError); 12] = [
            (b"*x\r\n", FrameError::ArrayCount),
            (b"*01\r\n", FrameError::ArrayCount),
            (b"*1025\r\n", FrameError::ArrayCount),
            (b"*99999999999999999999\r\n", FrameError::ArrayCount),
            (b"*1\rx", FrameError::ArrayCount),
            (b"*1\r\n*1\r\n", FrameError::ExpectedBulk(b'*')),
            (b"*1\r\n$-1\r\n", FrameError::BulkLength),
            (b"*1\r\n$65536\r\n", FrameError::BulkLength),
            (b"*1\r\n$9223372036854775807\r\n", FrameError::BulkLength),
            (b"*1\r\n$1\r\nabc", FrameError::BulkEnd),
            (b"\"open\r\n", FrameError::UnbalancedQuotes),
            (&[b'a'; COMMAND_BYTES_MAX], FrameError::InlineTooLong),
        ];
        for (input, error) in cases {
            assert_eq!(
                frames(input, input.len()),
                Err(error),
                "{}",
                input[..input.len().min(20)].escape_ascii()
            );
            assert_eq!(frames(input, 1), Err(error));
        }
        assert_eq!(FrameError::ExpectedBulk(b'x').to_string(), "Protocol error: expected '$', got 'x'");
    }

    #[test]
    fn the_longest_request_fits_and_one_byte_more_does_not() {
        let request = |length: usize| {
            let mut bytes = alloc::format!("*1\r\n${length}\r\n").into_bytes();
            bytes.resize(bytes.len() + length, b'v');
            bytes.extend_from_slice(b"\r\n");
            bytes
        };
        let longest = COMMAND_BYTES_MAX - b"*1\r\n$65522\r\n\r\n".len();
        assert_eq!(request(longest).len(), COMMAND_BYTES_MAX);
        assert!(frames(&request(longest), COMMAND_BYTES_MAX).is_ok());
        assert_eq!(frames(&request(longest + 1), 4096), Err(FrameError::BulkLength));
    }

    #[test]
    fn headers_alone_cannot_fill_the_input_for_ever() {
        let mut request = b"*1024\r\n".to_vec();
        request.extend_from_slice(&alloc::format!("$65511\r\n{}\r\n", "v".repeat(65_511)).into_bytes());
        request.extend_from_slice(b"$1");
        assert_eq!(request.len(), COMMAND_BYTES_MAX - 6);
        assert!(frames(&request, 4096).is_ok());
        request.extend_from_slice(b"\r\na\r\n$");
        assert_eq!(request.len(), COMMAND_BYTES_MAX);
        assert_eq!(frames(&request, 4096), Err(FrameError::BulkLength));
    }

    #[test]
    fn input_that_arrives_byte_by_byte_is_not_scanned_again() {
        let mut framer = Framer::new();
        let line = [b'a'; COMMAND_BYTES_MAX - 1];
        for end in 1..=line.len() {
            assert!(framer.next(&line[..end]).expect("short enough").is_none());
            assert_eq!(framer.at, end, "all of it is dealt with");
        }
        assert!(framer.is_midway());
    }
}
