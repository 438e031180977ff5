//! A complete, checked request as slices of the input.
//!
//! It owns nothing. Percent-encoding in path and query is not decoded.

use super::Method;

/// A request whose body has arrived completely.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method,
    /// The path, beginning with `/`; `*` for `OPTIONS *`.
    pub path: &'a str,
    /// What follows the first `?`, without it; empty when there is none.
    pub query: &'a str,
    /// The body without its transfer coding; empty when there is none.
    pub body: &'a [u8],
    /// Header lines in the order they came.
    pub(super) headers: &'a [httparse::Header<'a>],
}

impl<'a> Request<'a> {
    /// The value of the first header line called `name` (letter case does not matter); none when there is
    /// no such line or its value is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// The value of the first header line called `name`, as it came.
    pub fn header_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// The values of all header lines called `name`, leaving out those that are not UTF-8.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .filter_map(|header| core::str::from_utf8(header.value).ok())
    }

    /// The value of the first cookie called `name` (letter case matters), without the quotes that may surround
    /// it (RFC 6265 sections 4.1.1 and 4.2).
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let pairs = self.values("cookie").flat_map(|line| line.split(';'));
        let mut named = pairs.filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='));
        let (_, value) = named.find(|(key, _)| *key == name)?;
        Some(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(name: &'a str, value: &'a [u8]) -> httparse::Header<'a> {
        httparse::Header { name, value }
    }

    #[test]
    fn headers_and_cookies_are_found_by_name() {
        let headers = [
            header("Cookie", b"a=1; voter_id=\"x=y\";b"),
            header("X", b"\xff"),
            header("x", b"second"),
            header("cookie", b"c=; VOTER_ID=no; d=\""),
        ];
        let request = Request { method: Method::Get, path: "/", query: "", body: b"", headers: &headers };
        assert_eq!(request.header("X"), Some("second"), "what is not UTF-8 is passed over");
        assert_eq!(request.header_bytes("x"), Some(&b"\xff"[..]));
        assert_eq!((request.header("host"), request.header_bytes("host")), (None, None));
        let cookies =
            [("a", Some("1")), ("voter_id", Some("x=y")), ("b", None), ("c", Some("")), ("d", Some("\""))];
        for (name, value) in cookies {
            assert_eq!(request.cookie(name), value, "{name}");
        }
    }
}
