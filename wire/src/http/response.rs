//! A response as slices of whoever made it.
//!
//! Framing (`Content-Length`, `Connection`, `Transfer-Encoding`, `Date`) is the server's; it must not be in
//! `headers`.

/// What a handler answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Response<'a> {
    /// Status code, 200 to 599.
    pub status: u16,
    /// Media type of the body; empty when there is no body.
    pub content_type: &'a str,
    /// More header lines, as name and value; neither may contain line ends.
    pub headers: &'a [(&'a str, &'a str)],
    /// Value of one `Set-Cookie` line. Beside `headers`, so that those can be a constant.
    pub set_cookie: Option<&'a str>,
    /// The body; the server leaves it out where there must be none (HEAD, 204, 304).
    pub body: &'a [u8],
}

impl<'a> Response<'a> {
    /// A response without further header lines.
    pub const fn new(status: u16, content_type: &'a str, body: &'a [u8]) -> Self {
        Self { status, content_type, headers: &[], set_cookie: None, body }
    }

    /// A line of plain text.
    pub const fn text(status: u16, body: &'a str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.as_bytes())
    }

    /// The same response with these header lines.
    #[must_use]
    pub const fn with_headers(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }

    /// The same response with a `Set-Cookie` line.
    #[must_use]
    pub const fn with_cookie(self, set_cookie: Option<&'a str>) -> Self {
        Self { set_cookie, ..self }
    }
}
