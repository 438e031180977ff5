//! The head of a request: `httparse`, plus the checks that it does not make (RFC 9112 sections 2, 3 and 6).
//!
//! It keeps nothing between calls and allocates nothing.

use core::mem::MaybeUninit;

use super::limits::{HEAD_BYTES_MAX, HEADERS_MAX, REQUEST_LINE_BYTES_MAX};
use super::{Method, Refusal, target};

/// Room for the header lines of one request, on the caller's stack.
pub(super) type HeaderSpace<'a> = [MaybeUninit<httparse::Header<'a>>; HEADERS_MAX];

/// Fresh [`HeaderSpace`]; costs nothing, because nothing is written.
pub(super) const fn header_space<'a>() -> HeaderSpace<'a> {
    [const { MaybeUninit::uninit() }; HEADERS_MAX]
}

/// Minor version of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// HTTP/1.0
    Zero,
    /// HTTP/1.1
    One,
}

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After this many bytes; without a body 0.
    Length(usize),
    /// After the last chunk.
    Chunked,
}

/// What a head says but for its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub method: Method,
    pub version: Version,
    pub framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// The connection may serve another request.
    pub persists: bool,
    /// Length, from the start of the input to the end of the empty line.
    pub bytes: usize,
}

/// A complete and checked head, as slices of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parsed<'a> {
    pub facts: Facts,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a [httparse::Header<'a>],
}

/// Reads a head from the start of `input`; none when it has not arrived completely.
pub(super) fn parse<'h, 'b: 'h>(
    input: &'b [u8],
    space: &'h mut HeaderSpace<'b>,
) -> Result<Option<Parsed<'h>>, Refusal> {
    let skipped = empty_line(input);
    let input = &input[skipped..];
    if matches!(input.first(), Some(b'\r' | b'\n')) {
        return if skipped == 0 && input == b"\r" { Ok(None) } else { Err(Refusal::RequestLine) };
    }
    check_line_length(input)?;
    let window = &input[..input.len().min(HEAD_BYTES_MAX)];
    let mut parsed = httparse::Request::new(&mut []);
    let bytes = match parsed.parse_with_uninit_headers(window, space) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) if window.len() == HEAD_BYTES_MAX => return Err(Refusal::HeadTooLarge),
        Ok(httparse::Status::Partial) => return Ok(None),
        // Which version it is, the whole line says.
        Err(httparse::Error::Version) if !window.contains(&b'\n') => return Ok(None),
        Err(error) => return Err(refusal(error, input)),
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::RequestLine);
    };
    let headers: &'h [httparse::Header<'b>] = parsed.headers;
    check_line_ends(window, target, headers, bytes)?;
    let version = if minor == 0 { Version::Zero } else { Version::One };
    let method = known_method(method)?;
    let (path, query) = target::split(method, target)?;
    let fields = Fields::read(headers)?;
    fields.check_host(version)?;
    let facts = Facts {
        method,
        version,
        framing: fields.framing(version)?,
        expects_continue: fields.expects_continue(version)?,
        persists: fields.persists(version),
        bytes: skipped + bytes,
    };
    Ok(Some(Parsed { facts, path, query, headers }))
}

/// Length of the one empty line that may stand before a request (RFC 9112 section 2.2).
pub(super) fn empty_line(input: &[u8]) -> usize {
    if input.starts_with(b"\r\n") { 2 } else { 0 }
}

fn check_line_length(input: &[u8]) -> Result<(), Refusal> {
    match input.get(..REQUEST_LINE_BYTES_MAX + 2) {
        Some(line) if !line.contains(&b'\n') => Err(Refusal::LineTooLong),
        _ => Ok(()),
    }
}

fn known_method(token: &str) -> Result<Method, Refusal> {
    match Method::from_token(token) {
        Method::Connect => Err(Refusal::Connect),
        Method::Other if token.bytes().any(|byte| byte.is_ascii_lowercase()) => Err(Refusal::LowerCaseMethod),
        method => Ok(method),
    }
}

fn refusal(error: httparse::Error, input: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Refusal::Header,
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders,
        httparse::Error::Version if names_a_version(input) => Refusal::Version,
        _ => Refusal::RequestLine,
    }
}

/// Whether the request line ends in something like `HTTP/2.0`; with a version that we know, the fault is elsewhere.
fn names_a_version(input: &[u8]) -> bool {
    let line = input.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let digit = |byte: &u8| byte.is_ascii_digit();
    let known = line.ends_with(b"HTTP/1.0") || line.ends_with(b"HTTP/1.1");
    !known
        && matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if digit(major) && digit(minor))
}

/// `httparse` takes LF alone as a line end. It does give slices of the input, so where each line must end in
/// CR LF is known without another scan.
fn check_line_ends(
    input: &[u8],
    target: &str,
    headers: &[httparse::Header<'_>],
    head_bytes: usize,
) -> Result<(), Refusal> {
    const VERSION_BYTES: usize = " HTTP/1.1".len();
    let start = input.as_ptr().addr();
    let after = |slice: &[u8]| slice.as_ptr().addr().wrapping_sub(start).wrapping_add(slice.len());
    let ends = |at: usize| input.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n"));
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let header_ends = |header: &httparse::Header<'_>| {
        let mut at = after(header.value);
        at += input.get(at..).map_or(0, |rest| rest.iter().take_while(blank).count());
        ends(at)
    };
    let good = ends(after(target.as_bytes()).wrapping_add(VERSION_BYTES))
        && headers.iter().all(header_ends)
        && head_bytes.checked_sub(2).is_some_and(ends);
    if good { Ok(()) } else { Err(Refusal::BareLineFeed) }
}

/// The header lines that decide where the message ends and what becomes of the connection.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
    coding_lines: usize,
    expectation: Option<&'a [u8]>,
    close: bool,
    keep_alive: bool,
}

impl<'a> Fields<'a> {
    fn read(headers: &[httparse::Header<'a>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            match header.name.len() {
                4 if is("host") => once(&mut fields.host, header.value, Refusal::HostRepeated)?,
                6 if is("expect") => once(&mut fields.expectation, header.value, Refusal::Expectation)?,
                10 if is("connection") => fields.read_connection(header.value),
                14 if is("content-length") => {
                    once(&mut fields.length, header.value, Refusal::ContentLengthRepeated)?;
                }
                17 if is("transfer-encoding") => {
                    fields.coding = Some(header.value);
                    fields.coding_lines += 1;
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    fn read_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn check_host(&self, version: Version) -> Result<(), Refusal> {
        match self.host {
            Some(host) if target::is_host(host) => Ok(()),
            Some(_) => Err(Refusal::Host),
            None if version == Version::Zero => Ok(()),
            None => Err(Refusal::HostMissing),
        }
    }

    fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        match (self.coding, self.length) {
            (None, None) => Ok(Framing::Length(0)),
            (None, Some(length)) => content_length(length).map(Framing::Length),
            (Some(_), Some(_)) => Err(Refusal::LengthAndCoding),
            (Some(_), None) if version == Version::Zero => Err(Refusal::CodingOnOldVersion),
            (Some(coding), None) if self.coding_lines == 1 && coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(Framing::Chunked)
            }
            (Some(_), None) => Err(Refusal::Coding),
        }
    }

    /// HTTP/1.0 knows no expectations, so there they say nothing (RFC 9110 section 10.1.1).
    fn expects_continue(&self, version: Version) -> Result<bool, Refusal> {
        match self.expectation {
            Some(_) if version == Version::Zero => Ok(false),
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
            Some(_) => Err(Refusal::Expectation),
            None => Ok(false),
        }
    }

    fn persists(&self, version: Version) -> bool {
        !self.close && (version == Version::One || self.keep_alive)
    }
}

fn once<'a>(place: &mut Option<&'a [u8]>, value: &'a [u8], refusal: Refusal) -> Result<(), Refusal> {
    if place.replace(value).is_some() { Err(refusal) } else { Ok(()) }
}

/// Decimal digits and nothing else; a number that does not fit is no length.
fn content_length(value: &[u8]) -> Result<usize, Refusal> {
    if value.is_empty() {
        return Err(Refusal::ContentLength);
    }
    value.iter().try_fold(0_usize, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| usize::from(byte - b'0'));
        digit.and_then(|digit| length.checked_mul(10)?.checked_add(digit)).ok_or(Refusal::ContentLength)
    })
}
