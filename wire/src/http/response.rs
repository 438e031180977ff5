//! Responses, and how they are written (RFC 9112 sections 4 to 7).
//!
//! It writes whole responses or nothing. The session knows the request, and whether the connection stays open.

use alloc::format;
use alloc::string::String;

use super::head::Version;
use super::status::{STATUSES, Status, position};
use crate::buffer::{Buffer, Full, Room};

/// What a handler answers. Framing (`Content-Length`, `Connection`, `Transfer-Encoding`, `Date`) is the server's
/// and must not be in `headers`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Response<'a> {
    /// One of [`STATUSES`]; another becomes 500.
    pub status: u16,
    /// Media type of the body; empty when there is no body.
    pub content_type: &'a str,
    /// More header lines, each with its line end, in pieces of any length: those of a page are one constant,
    /// which is copied at once.
    pub headers: &'a [&'a str],
    /// One more line, with its end, or nothing. Beside `headers`, so that those can be a constant.
    pub cookie_line: &'a [u8],
    /// The body; the server leaves it out where there must be none (HEAD, 204, 304).
    pub body: &'a [u8],
    /// What follows the other lines, up to the end of the body, if it is rendered already.
    rendered: &'a [u8],
}

impl<'a> Response<'a> {
    /// A response without further header lines.
    pub const fn new(status: u16, content_type: &'a str, body: &'a [u8]) -> Self {
        Self { status, content_type, headers: &[], cookie_line: &[], body, rendered: &[] }
    }

    /// A line of plain text.
    pub const fn text(status: u16, body: &'a str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.as_bytes())
    }

    /// The same response with these header lines.
    #[must_use]
    pub const fn with_headers(self, headers: &'a [&'a str]) -> Self {
        Self { headers, ..self }
    }

    /// The same response with this `Set-Cookie` line, with its end.
    #[must_use]
    pub const fn with_cookie(self, cookie_line: &'a [u8]) -> Self {
        Self { cookie_line, ..self }
    }
}

/// A response with a body that is sent again and again: all of it that is the same each time is rendered once, and
/// copied at once.
#[derive(Clone, Debug)]
pub struct Page {
    status: u16,
    /// Header lines, the empty line, and the body.
    rendered: String,
    /// Where the body begins.
    body_at: usize,
}

impl Page {
    /// That of a status, a media type, header lines as in [`Response::headers`], and a body.
    pub fn new(status: u16, content_type: &str, headers: &[&str], body: &str) -> Self {
        let (length, lines) = (body.len(), headers.concat());
        let rendered =
            format!("{lines}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}");
        Self { status, body_at: rendered.len() - length, rendered }
    }

    /// The response.
    pub fn response(&self) -> Response<'_> {
        let rendered = self.rendered.as_bytes();
        Response { rendered, ..Response::new(self.status, "", &rendered[self.body_at..]) }
    }
}

/// The interim response that a client with `Expect: 100-continue` waits for.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The last chunk and an empty trailer section.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What the session knows of the request that a response answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing<'a> {
    pub version: Version,
    pub persists: bool,
    pub head_only: bool,
    /// A whole `Date` line, or nothing.
    pub date: &'a [u8],
}

/// How a head says where the body ends.
#[derive(Clone, Copy, Debug)]
enum Length<'a> {
    None,
    Chunked,
    /// Decimal digits.
    Bytes(&'a [u8]),
}

/// Writes a whole response.
pub(super) fn write(response: &Response<'_>, framing: Framing<'_>, output: &mut Buffer) -> Result<(), Full> {
    let status = &STATUSES[position(response.status)];
    let bodiless = matches!(status.code, 204 | 304);
    let body = if bodiless || framing.head_only { &[] } else { response.body };
    let mut digits = [0; DIGITS_MAX];
    let length = match bodiless || !response.rendered.is_empty() {
        true => Length::None,
        false => Length::Bytes(decimal(response.body.len(), &mut digits)),
    };
    write_head(status, response, length, framing, body, output)
}

/// Writes the head of a response whose body follows in pieces: chunks, or on HTTP/1.0 bytes up to the end of the
/// connection.
pub(super) fn write_stream_head(
    content_type: &str,
    headers: &[&str],
    framing: Framing<'_>,
    output: &mut Buffer,
) -> Result<(), Full> {
    let length = match framing.version {
        Version::One => Length::Chunked,
        Version::Zero => Length::None,
    };
    let response = Response::new(200, content_type, &[]).with_headers(headers);
    write_head(&STATUSES[position(200)], &response, length, framing, &[], output)
}

/// Writes a piece of a chunked body, which must not be empty: that would be the last chunk.
pub(super) fn write_chunk(bytes: &[u8], output: &mut Buffer) -> Result<(), Full> {
    let mut digits = [0; DIGITS_MAX];
    let size = hexadecimal(bytes.len(), &mut digits);
    let mut room = output.reserve(size.len() + bytes.len() + 4)?;
    room.put(size);
    room.put(b"\r\n");
    room.put(bytes);
    room.put(b"\r\n");
    Ok(())
}

fn write_head(
    status: &Status,
    response: &Response<'_>,
    length: Length<'_>,
    framing: Framing<'_>,
    body: &[u8],
    output: &mut Buffer,
) -> Result<(), Full> {
    let mut room = output.reserve(head_bytes_max(response, framing.date) + body.len())?;
    room.put(status.line.as_bytes());
    room.put(framing.date);
    put_some(connection_line(framing), &mut room);
    put_some(response.cookie_line, &mut room);
    debug_assert!(response.headers.last().is_none_or(|piece| piece.ends_with("\r\n")), "a line has no end");
    for piece in response.headers {
        room.put(piece.as_bytes());
    }
    if response.rendered.is_empty() {
        put_lines_of_body(response.content_type, length, &mut room);
        room.put(b"\r\n");
        room.put(body);
    } else {
        let left_out = response.body.len() - body.len();
        room.put(&response.rendered[..response.rendered.len() - left_out]);
    }
    Ok(())
}

/// A line that is not there takes no call.
#[inline]
fn put_some(line: &[u8], room: &mut Room<'_>) {
    if !line.is_empty() {
        room.put(line);
    }
}

/// Puts the lines that say what the body is, and where it ends.
fn put_lines_of_body(content_type: &str, length: Length<'_>, room: &mut Room<'_>) {
    if !content_type.is_empty() {
        room.put(b"Content-Type: ");
        room.put(content_type.as_bytes());
        room.put(b"\r\n");
    }
    match length {
        Length::None => {}
        Length::Chunked => room.put(b"Transfer-Encoding: chunked\r\n"),
        Length::Bytes(digits) => {
            room.put(b"Content-Length: ");
            room.put(digits);
            room.put(b"\r\n");
        }
    }
}

/// Says only what is not the version's default.
fn connection_line(framing: Framing<'_>) -> &'static [u8] {
    match (framing.persists, framing.version) {
        (false, _) => b"Connection: close\r\n",
        (true, Version::Zero) => b"Connection: keep-alive\r\n",
        (true, Version::One) => b"",
    }
}

/// At least the bytes of a response's head.
fn head_bytes_max(response: &Response<'_>, date: &[u8]) -> usize {
    /// Status line, names of header lines, framing and line ends.
    const FIXED: usize = 256;
    let lines = response.headers.iter().map(|piece| piece.len()).sum::<usize>();
    FIXED
        + date.len()
        + response.rendered.len()
        + response.content_type.len()
        + response.cookie_line.len()
        + lines
}

/// Digits of the largest number, in either base.
const DIGITS_MAX: usize = 20;

fn decimal(number: usize, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    render(number, 10, digits)
}

fn hexadecimal(number: usize, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    render(number, 16, digits)
}

#[inline]
fn render(mut number: usize, base: usize, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[number % base];
        number /= base;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(response: &Response<'_>, framing: Framing<'_>) -> String {
        let mut output = Buffer::new(1024);
        write(response, framing, &mut output).expect("fits");
        core::str::from_utf8(output.as_slice()).expect("text").into()
    }

    const KEPT: Framing<'_> = Framing { version: Version::One, persists: true, head_only: false, date: b"" };

    #[test]
    fn responses_are_written_to_the_byte() {
        let page = Response::new(200, "text/html", b"<p>").with_headers(&["A: ", "b", "\r\nC: d\r\n"]);
        let cases = [
            (
                page,
                KEPT,
                "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>",
            ),
            (
                page.with_headers(&[]).with_cookie(b"Set-Cookie: a=b\r\n"),
                Framing { head_only: true, date: b"Date: x\r\n", ..KEPT },
                "HTTP/1.1 200 OK\r\nDate: x\r\nSet-Cookie: a=b\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n",
            ),
            (
                Response::text(404, ""),
                Framing { version: Version::Zero, ..KEPT },
                "HTTP/1.1 404 Not Found\r\nConnection: keep-alive\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                Response::new(304, "", b"never sent"),
                Framing { persists: false, ..KEPT },
                "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n",
            ),
            (Response::new(204, "", b"never sent"), KEPT, "HTTP/1.1 204 No Content\r\n\r\n"),
        ];
        for (response, framing, bytes) in cases {
            assert_eq!(written(&response, framing), bytes);
        }
    }

    #[test]
    fn a_page_is_what_its_response_would_be() {
        let (kind, headers) = ("text/html", ["A: ", "b\r\n"]);
        let page = Page::new(503, kind, &headers, "<p>");
        let response = Response::new(503, kind, b"<p>").with_headers(&headers);
        for (persists, head_only) in [(true, false), (false, true)] {
            let framing = Framing { persists, head_only, date: b"Date: x\r\n", ..KEPT };
            for cookie in [&b""[..], b"Set-Cookie: a=b\r\n"] {
                let expected = written(&response.with_cookie(cookie), framing);
                assert_eq!(written(&page.response().with_cookie(cookie), framing), expected);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_begun() {
        let mut output = Buffer::new(1024);
        let body = [b'x'; 1000];
        assert!(write(&Response::new(200, "text/plain", &body), KEPT, &mut output).is_err());
        assert!(output.is_empty());
        let mut small = Buffer::new(9);
        assert!(write_chunk(b"12345", &mut small).is_err());
        assert!(small.is_empty());
        write_chunk(b"1234", &mut small).expect("fits");
        assert_eq!(small.as_slice(), b"4\r\n1234\r\n");
    }

    #[test]
    fn numbers_are_rendered_in_full() {
        for (number, decimal_text, hexadecimal_text) in
            [(0, "0", "0"), (10, "10", "a"), (usize::MAX, "18446744073709551615", "ffffffffffffffff")]
        {
            assert_eq!(decimal(number, &mut [0; DIGITS_MAX]), decimal_text.as_bytes());
            assert_eq!(hexadecimal(number, &mut [0; DIGITS_MAX]), hexadecimal_text.as_bytes());
        }
    }
}
