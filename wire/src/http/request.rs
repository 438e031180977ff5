//! A complete, checked request as slices of the input.
//!
//! It owns nothing. Percent-encoding in path and query is not decoded.

use super::Method;
use super::headers::Headers;

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
    pub(super) headers: Headers<'a>,
}

impl<'a> Request<'a> {
    /// The value of the first header line called `name` (letter case does not matter); none when there is
    /// no such line or its value is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// The value of the first header line called `name`, as it came.
    pub fn header_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.named(name).next()
    }

    /// The values of all header lines called `name`, leaving out those that are not UTF-8.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.named(name).filter_map(|value| core::str::from_utf8(value).ok())
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
    use crate::http::HeadReader;

    #[test]
    fn headers_and_cookies_are_found_by_name() {
        let head =
            b"GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; voter_id=\"x=y\";b\r\nX: \xff\r\nx: second\r\n\
            cookie: c=; VOTER_ID=no; d=\"\r\n\r\n";
        let mut heads = HeadReader::default();
        let headers = heads.read(head).expect("a good one").expect("a whole one").headers;
        let request = Request { method: Method::Get, path: "/", query: "", body: b"", headers };
        assert_eq!(request.header("X"), Some("second"), "what is not UTF-8 is passed over");
        assert_eq!(request.header_bytes("x"), Some(&b"\xff"[..]));
        assert_eq!((request.header("y"), request.header_bytes("y")), (None, None));
        let cookies =
            [("a", Some("1")), ("voter_id", Some("x=y")), ("b", None), ("c", Some("")), ("d", Some("\""))];
        for (name, value) in cookies {
            assert_eq!(request.cookie(name), value, "{name}");
        }
    }
}
