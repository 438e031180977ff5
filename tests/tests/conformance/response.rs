//! Responses as a client finds them in a stream (RFC 9112 sections 6 and 7).
//!
//! Strict: what a client could read in two ways is not read at all.

/// A complete response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header line that is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name))
    }
}

/// The response at the start of `input` and its length, once it is complete; `bodiless` when it answers HEAD.
pub fn parse(input: &[u8], bodiless: bool) -> Option<(Response, usize)> {
    let end = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&input[..end - 4]).ok()?;
    let mut lines = head.split("\r\n");
    let (status, phrase) = lines.next()?.strip_prefix("HTTP/1.1 ")?.split_at_checked(3)?;
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.to_owned()))
    };
    let headers = lines.map(header).collect::<Option<Vec<_>>>()?;
    let mut response = Response { status: status.parse().ok()?, headers, body: Vec::new() };
    let has_no_body = response.status < 200 || matches!(response.status, 204 | 304);
    if !phrase.starts_with(' ') || (has_no_body && response.has("Content-Length")) {
        return None;
    }
    if has_no_body || bodiless {
        return Some((response, end));
    }
    let length: usize = response.header("Content-Length")?.parse().ok()?;
    if response.has("Transfer-Encoding") {
        return None;
    }
    response.body = input.get(end..end + length)?.to_vec();
    Some((response, end + length))
}
