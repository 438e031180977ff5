//! Reads heads, and remembers the last one: whoever sends the same head again is understood by a comparison.
//!
//! Clients repeat themselves: those that load a page again, probes, proxies, scripts. A head is understood from its
//! bytes alone, so the same bytes mean the same.

use alloc::string::String;
use alloc::vec::Vec;

use super::Refusal;
use super::head::{self, Facts};
use super::headers::{Headers, Line};

/// Most bytes of a head that is remembered; that of a browser has some 600.
pub const REMEMBERED_BYTES_MAX: usize = 1024;

/// The head that was read last; see the module above.
#[derive(Debug, Default)]
pub struct HeadReader {
    /// All of its bytes, if it is remembered.
    bytes: Vec<u8>,
    facts: Option<Facts>,
    path: String,
    query: String,
    lines: Vec<Line>,
}

/// A complete and checked head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub facts: Facts,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: Headers<'a>,
}

impl HeadReader {
    /// Reads a head from the start of `input`; none when it has not arrived completely.
    pub(super) fn read<'a>(&'a mut self, input: &'a [u8]) -> Result<Option<Head<'a>>, Refusal> {
        let is_known = !self.bytes.is_empty() && input.starts_with(&self.bytes);
        if !is_known && !self.learn(input)? {
            return Ok(None);
        }
        let Self { facts, path, query, lines, .. } = self;
        Ok(facts.map(|facts| Head { facts, path, query, headers: Headers { input, lines } }))
    }

    /// Takes the head of `input` in place of the last one; whether there is one.
    fn learn(&mut self, input: &[u8]) -> Result<bool, Refusal> {
        let mut space = head::header_space();
        let Some(head) = head::parse(input, &mut space)? else { return Ok(false) };
        self.facts = Some(head.facts);
        for (kept, text) in [(&mut self.path, head.path), (&mut self.query, head.query)] {
            kept.clear();
            // What a long one took is given back.
            kept.shrink_to(REMEMBERED_BYTES_MAX);
            kept.push_str(text);
        }
        self.lines.clear();
        self.lines.extend(head.headers.iter().map(|header| Line::of(header, input)));
        self.bytes.clear();
        if head.facts.bytes <= REMEMBERED_BYTES_MAX {
            self.bytes.extend_from_slice(&input[..head.facts.bytes]);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    fn described(head: &Head<'_>) -> (Facts, String, [Vec<Vec<u8>>; 4]) {
        let lines = ["host", "cookie", "a", "empty"]
            .map(|name| head.headers.named(name).map(<[u8]>::to_vec).collect());
        (head.facts, format!("{}?{}", head.path, head.query), lines)
    }

    #[test]
    fn a_head_that_comes_again_is_what_it_was() {
        let long =
            format!("GET /long HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "x".repeat(REMEMBERED_BYTES_MAX));
        let heads = [
            "GET /?q HTTP/1.1\r\nHost: h\r\nCookie: voter_id=1\r\n\r\n",
            "\r\nGET /?q HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nConnection: close\r\n\r\n",
            "OPTIONS http://h HTTP/1.0\r\nEmpty:\r\n\r\n",
            "GET /?q HTTP/1.1\r\nHost: h\r\n\r\n",
            &long,
        ];
        let mut reader = HeadReader::default();
        for head in heads {
            let fresh =
                described(&HeadReader::default().read(head.as_bytes()).expect("good").expect("whole"));
            for (round, rest) in ["", "a=b&", "\0\0\0\0\0"].iter().enumerate() {
                let input = [head, rest].concat();
                let read = described(&reader.read(input.as_bytes()).expect("good").expect("whole"));
                assert_eq!(read, fresh, "{head:?} in round {round}");
            }
        }
        assert!(reader.bytes.is_empty(), "one that is too long is not kept");
    }

    #[test]
    fn what_is_wrong_or_missing_is_not_taken_for_what_was_there_before() {
        let good = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut reader = HeadReader::default();
        assert!(reader.read(good).is_ok_and(|head| head.is_some()));
        for end in 0..good.len() {
            assert!(reader.read(&good[..end]).is_ok_and(|head| head.is_none()), "{end} bytes");
        }
        for at in 0..good.len() {
            let mut wrong = vec![0; good.len()];
            wrong.copy_from_slice(good);
            wrong[at] = 0;
            assert!(!reader.read(&wrong).is_ok_and(|head| head.is_some()), "byte {at}");
        }
        assert!(reader.read(good).is_ok_and(|head| head.is_some()), "it is still known");
    }
}
