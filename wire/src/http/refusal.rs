//! The reasons why a request is refused before any service sees it.
//!
//! Every refusal closes the connection: after a message that cannot be trusted, the beginning of the next one cannot
//! be found.

use core::fmt;

/// The rule that a request broke; its text is the body of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is explained by its text below")]
pub enum Refusal {
    RequestLine,
    BareLineFeed,
    LowerCaseMethod,
    Target,
    Header,
    HostMissing,
    HostRepeated,
    Host,
    ContentLength,
    ContentLengthRepeated,
    LengthAndCoding,
    CodingOnOldVersion,
    Chunk,
    ChunkLineTooLong,
    Truncated,
    TimedOut,
    BodyTooLarge,
    LineTooLong,
    Expectation,
    HeadTooLarge,
    TooManyHeaders,
    TrailerTooLarge,
    Coding,
    Connect,
    Version,
}

impl Refusal {
    /// The status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::RequestLine
            | Self::BareLineFeed
            | Self::LowerCaseMethod
            | Self::Target
            | Self::Header
            | Self::HostMissing
            | Self::HostRepeated
            | Self::Host
            | Self::ContentLength
            | Self::ContentLengthRepeated
            | Self::LengthAndCoding
            | Self::CodingOnOldVersion
            | Self::Chunk
            | Self::ChunkLineTooLong
            | Self::Truncated => 400,
            Self::TimedOut => 408,
            Self::BodyTooLarge => 413,
            Self::LineTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge | Self::TooManyHeaders | Self::TrailerTooLarge => 431,
            Self::Coding | Self::Connect => 501,
            Self::Version => 505,
        }
    }

    /// What is wrong, and what to send instead.
    pub const fn text(self) -> &'static str {
        match self {
            Self::RequestLine => {
                "malformed request line: send METHOD, target and HTTP/1.1, one space between\n"
            }
            Self::BareLineFeed => "a line ends in LF alone: end every line with CR LF\n",
            Self::LowerCaseMethod => "methods are case-sensitive: write the method in capitals\n",
            Self::Target => "malformed request target: send a path of ASCII characters without a fragment\n",
            Self::Header => "malformed header line: send name, colon and value on one line\n",
            Self::HostMissing => "no Host header line: HTTP/1.1 needs exactly one\n",
            Self::HostRepeated => "more than one Host header line: send exactly one\n",
            Self::Host => "malformed Host: send a name or address, and a port where it is not the default\n",
            Self::ContentLength => "malformed Content-Length: send decimal digits only\n",
            Self::ContentLengthRepeated => "more than one Content-Length header line: send exactly one\n",
            Self::LengthAndCoding => "Content-Length together with Transfer-Encoding: send one of them\n",
            Self::CodingOnOldVersion => {
                "Transfer-Encoding in HTTP/1.0: send Content-Length or use HTTP/1.1\n"
            }
            Self::Chunk => {
                "malformed chunk: send its size in hexadecimal digits, CR LF, the data and CR LF\n"
            }
            Self::ChunkLineTooLong => "a chunk's size and extensions are too long: leave extensions out\n",
            Self::Truncated => "the request ends too early: send all of it before closing\n",
            Self::TimedOut => "the request took too long to arrive: send it again, faster\n",
            Self::BodyTooLarge => "the body is too large: send a smaller one\n",
            Self::LineTooLong => "the request line is too long: send a shorter target\n",
            Self::Expectation => "unknown expectation: only 100-continue can be met\n",
            Self::HeadTooLarge => "the header lines are too long: send fewer or shorter ones\n",
            Self::TooManyHeaders => "too many header lines: send fewer\n",
            Self::TrailerTooLarge => "the trailer section is too long: leave it out\n",
            Self::Coding => "unknown Transfer-Encoding: only chunked is understood\n",
            Self::Connect => "this is no proxy: CONNECT is not supported\n",
            Self::Version => "unknown HTTP version: use HTTP/1.1\n",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().trim_end())
    }
}

impl core::error::Error for Refusal {}
