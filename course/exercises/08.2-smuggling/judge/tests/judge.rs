//! Judges exercise 08.2: requests that a proxy in front reads otherwise, and requests that must still be served.

use exercise_08_2::{Framing, Refused, framing};

/// What an attacker wants to be taken for the next request.
const HIDDEN: &str = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request that a proxy reads otherwise.
struct Attack {
    minor: u8,
    fields: &'static [(&'static str, &'static [u8])],
    body: String,
    /// The proxy, as in "a proxy that ...", and where it ends the body.
    proxy: &'static str,
    proxy_end: usize,
    rule: &'static str,
}

#[test]
fn judge_1_good_requests_are_served() {
    let cases: [(u8, &[(&str, &[u8])], Framing); 9] = [
        (1, &[("Host", b"a")], Framing::Length(0)),
        (0, &[], Framing::Length(0)),
        (1, &[("Content-Length", b"5")], Framing::Length(5)),
        (1, &[("Host", b"a"), ("CONTENT-LENGTH", b"1048576")], Framing::Length(1_048_576)),
        (0, &[("content-length", b"0")], Framing::Length(0)),
        (1, &[("Content-Length", b"007")], Framing::Length(7)),
        (1, &[("Transfer-Encoding", b"chunked")], Framing::Chunked),
        (1, &[("TRANSFER-ENCODING", b"Chunked")], Framing::Chunked),
        (1, &[("Content-Length-Hint", b"9"), ("Content-Length", b"5")], Framing::Length(5)),
    ];
    for (minor, fields, expected) in cases {
        check_good(minor, fields, expected);
    }
}

#[test]
fn judge_2_requests_with_two_readings_are_refused() {
    let mut faults: Vec<(bool, String)> = attacks().iter().filter_map(Attack::fault).collect();
    // Those first in which proxy and server do not agree.
    faults.sort_by_key(|(agree, _)| *agree);
    if let Some((_, fault)) = faults.first() {
        panic!("{fault}");
    }
}

fn check_good(minor: u8, fields: &[(&str, &[u8])], expected: Framing) {
    let came = framing(minor, fields);
    assert!(
        came == Ok(expected),
        "HTTP/1.{minor} with {}: expected {expected:?}; came {came:?}",
        list(fields)
    );
}

fn list(fields: &[(&str, &[u8])]) -> String {
    let lines = fields.iter().map(|(name, value)| format!("`{name}: {}`", value.escape_ascii()));
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "no header lines".into() } else { lines.join(", ") }
}

fn attacks() -> Vec<Attack> {
    let plain = format!("hello{HIDDEN}");
    let in_chunks = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let behind_chunks = format!("0\r\n\r\n{HIDDEN}");
    let all = behind_chunks.len();
    let attack = |fields, body: &String, (proxy, proxy_end), rule| Attack {
        minor: 1,
        fields,
        body: body.clone(),
        proxy,
        proxy_end,
        rule,
    };
    let (one_of_two, one_line) =
        ("a request has one of Content-Length and Transfer-Encoding", "there is one Content-Length line");
    let (digits, exactly) =
        ("a length has digits only", "a coding that is not exactly chunked is not understood");
    vec![
        attack(
            &[("Content-Length", b"4"), ("Transfer-Encoding", b"chunked")],
            &in_chunks,
            ("goes by Transfer-Encoding", in_chunks.len()),
            one_of_two,
        ),
        attack(
            &[("Transfer-Encoding", b"chunked"), ("Content-Length", b"37")],
            &behind_chunks,
            ("goes by Content-Length", all),
            one_of_two,
        ),
        attack(
            &[("Content-Length", b"37"), ("Content-Length", b"5")],
            &plain,
            ("goes by the first Content-Length", all),
            one_line,
        ),
        attack(
            &[("Content-Length", b"5"), ("content-length", b"37")],
            &plain,
            ("goes by the last Content-Length", all),
            one_line,
        ),
        attack(&[("Content-Length", b"+5")], &plain, ("takes no notice of a length with a sign", 0), digits),
        attack(&[("Content-Length", b"-5")], &plain, ("takes no notice of a length with a sign", 0), digits),
        attack(&[("Content-Length", b"5, 37")], &plain, ("goes by the last of a list", all), digits),
        attack(&[("Content-Length", b"5 37")], &plain, ("leaves blanks out", 0), digits),
        attack(&[("Content-Length", b"0x5")], &plain, ("reads hexadecimal digits", 5), digits),
        attack(&[("Content-Length", b"")], &plain, ("takes no notice of an empty length", 0), digits),
        attack(
            &[("Content-Length", b"18446744073709551621")],
            &plain,
            ("counts with more than 64 bits", all),
            "a length that does not fit is none",
        ),
        attack(
            &[("Transfer-Encoding", b"xchunked")],
            &behind_chunks,
            ("does not know that coding", 0),
            exactly,
        ),
        attack(
            &[("Transfer-Encoding", b"gzip, chunked")],
            &behind_chunks,
            ("goes by the first coding", 0),
            exactly,
        ),
        attack(
            &[("Transfer-Encoding", b"chunked, identity")],
            &behind_chunks,
            ("goes by the last coding", 0),
            exactly,
        ),
        attack(
            &[("Transfer-Encoding", b"chunked"), ("Transfer-Encoding", b"identity")],
            &behind_chunks,
            ("goes by the last Transfer-Encoding", 0),
            "there is one Transfer-Encoding line",
        ),
        Attack {
            minor: 0,
            ..attack(
                &[("Transfer-Encoding", b"chunked")],
                &behind_chunks,
                ("knows that HTTP/1.0 has no transfer codings", 0),
                "HTTP/1.0 has no transfer codings",
            )
        },
    ]
}

impl Attack {
    /// What is wrong with the answer to it, and whether the proxy sees the same end.
    fn fault(&self) -> Option<(bool, String)> {
        let framing = match framing(self.minor, self.fields) {
            Err(Refused) => return None,
            Ok(framing) => framing,
        };
        let end = match framing {
            Framing::Length(length) => length,
            Framing::Chunked => chunked_end(&self.body),
        };
        let Self { minor, proxy, proxy_end, rule, .. } = self;
        let fields = list(self.fields);
        let what = match self.body.get(end..*proxy_end) {
            Some("") => {
                return Some((
                    true,
                    format!("HTTP/1.{minor} with {fields}: expected a refusal, as {rule}; came {framing:?}"),
                ));
            }
            Some(_) => "and what you take for the next request is \"GET /admin\"",
            None => "and what it takes for the next request is the end of this one",
        };
        let fault = format!(
            "HTTP/1.{minor} with {fields}: expected a refusal, as {rule}; came {framing:?}: a proxy that {proxy} ends \
             the body after {proxy_end} bytes and not after {end}, {what}"
        );
        Some((false, fault))
    }
}

/// Where a chunked body ends.
fn chunked_end(body: &str) -> usize {
    let mut at = 0;
    while let Some(line) = body[at..].find("\r\n") {
        let size = usize::from_str_radix(&body[at..at + line], 16).unwrap_or(0);
        at += line + 2 + size + 2;
        if size == 0 {
            break;
        }
    }
    at.min(body.len())
}
