//! A complete, checked request as slices of the input.
//!
//! Owns nothing. Percent-encoding in path and query is left as it came.

use core::mem::MaybeUninit;

use super::Method;

/// Most header lines of a request; more are answered 431.
pub const HEADERS_MAX: usize = 64;

/// Room for the header lines of one request, on the caller's stack.
pub type HeaderSpace<'a> = [MaybeUninit<httparse::Header<'a>>; HEADERS_MAX];

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

    /// The values of all header lines called `name`, leaving out those that are not UTF-8.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .filter_map(|header| core::str::from_utf8(header.value).ok())
    }

    /// The value of the first cookie called `name` (letter case matters), without surrounding quotes
    /// (RFC 6265 section 4.2).
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let pairs = self.values("cookie").flat_map(|line| line.split(';'));
        let mut named = pairs.filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='));
        let (_, value) = named.find(|(key, _)| *key == name)?;
        Some(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
    }
}
