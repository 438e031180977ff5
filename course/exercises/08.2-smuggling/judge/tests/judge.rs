//! Judges exercise 08.2: requests that a proxy in front reads otherwise, and requests that must still be served.

use exercise_08_2::{Framing, Refused, framing};

/// What an attacker wants to be taken for the next request.
const HIDDEN: &str = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request whose body a proxy reads to its end.
struct Attack {
    minor: u8,
    fields: &'static [(&'static str, &'static [u8])],
    body: String,
    /// The proxy, as in "a proxy that ...".
    proxy: &'static str,
    rule: &'static str,
}

#[test]
fn judge_1_good_requests_are_served() {
    let cases: [(u8, &[(&str, &[u8])], Framing); 8] = [
        (1, &[("Host", b"a")], Framing::Length(0)),
        (0, &[], Framing::Length(0)),
        (1, &[("Content-Length", b"5")], Framing::Length(5)),
        (1, &[("Host", b"a"), ("CONTENT-LENGTH", b"1048576")], Framing::Length(1_048_576)),
        (0, &[("content-length", b"0")], Framing::Length(0)),
        (1, &[("Content-Length", b"007")], Framing::Length(7)),
        (1, &[("Transfer-Encoding", b"chunked")], Framing::Chunked),
        (1, &[("Content-Length-Hint", b"9"), ("Content-Length", b"5")], Framing::Length(5)),
    ];
    for (minor, fields, expected) in cases {
        check_good(minor, fields, expected);
    }
}

#[test]
fn judge_2_requests_with_two_readings_are_refused() {
    for attack in attacks() {
        attack.check();
    }
}

#[test]
fn judge_3_codings_are_known_in_any_letter_case() {
    check_good(1, &[("transfer-encoding", b"Chunked")], Framing::Chunked);
    check_good(1, &[("TRANSFER-ENCODING", b"CHUNKED")], Framing::Chunked);
}

fn check_good(minor: u8, fields: &[(&str, &[u8])], expected: Framing) {
    let came = framing(minor, fields);
    assert!(came == Ok(expected), "HTTP/1.{minor} with {}: expected {expected:?}; came {came:?}", list(fields));
}

fn list(fields: &[(&str, &[u8])]) -> String {
    let lines = fields.iter().map(|(name, value)| format!("`{name}: {}`", value.escape_ascii()));
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "no header lines".into() } else { lines.join(", ") }
}

fn attacks() -> Vec<Attack> {
    let by_length = |fields, proxy, rule| Attack { minor: 1, fields, body: format!("hello{HIDDEN}"), proxy, rule };
    let in_chunks = || format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let behind_chunks = || format!("0\r\n\r\n{HIDDEN}");
    let coded = |fields, body, proxy, rule| Attack { minor: 1, fields, body, proxy, rule };
    vec![
        coded(
            &[("Content-Length", b"4"), ("Transfer-Encoding", b"chunked")],
            in_chunks(),
            "goes by Transfer-Encoding",
            "a request has one of Content-Length and Transfer-Encoding",
        ),
        coded(
            &[("Transfer-Encoding", b"chunked"), ("Content-Length", b"37")],
            behind_chunks(),
            "goes by Content-Length",
            "a request has one of Content-Length and Transfer-Encoding",
        ),
        by_length(
            &[("Content-Length", b"37"), ("Content-Length", b"5")],
            "goes by the first Content-Length",
            "there is one Content-Length line",
        ),
        by_length(
            &[("Content-Length", b"5"), ("content-length", b"37")],
            "goes by the last Content-Length",
            "there is one Content-Length line",
        ),
        by_length(&[("Content-Length", b"+5")], "takes no notice of a length with a sign", "a length has digits only"),
        by_length(&[("Content-Length", b"5, 37")], "goes by the last of a list", "a length has digits only"),
        by_length(&[("Content-Length", b"5 ")], "refuses blanks", "a length has digits only"),
        by_length(&[("Content-Length", b"0x5")], "reads hexadecimal digits", "a length has digits only"),
        by_length(&[("Content-Length", b"")], "takes no notice of an empty length", "a length has at least one digit"),
        by_length(
            &[("Content-Length", b"18446744073709551621")],
            "counts with more than 64 bits",
            "a length that does not fit is none",
        ),
        coded(
            &[("Transfer-Encoding", b"xchunked"), ("X", b"y")],
            behind_chunks(),
            "does not know that coding and passes all on",
            "a coding that is not exactly chunked is not understood",
        ),
        coded(
            &[("Transfer-Encoding", b"gzip, chunked")],
            behind_chunks(),
            "decodes both codings",
            "a coding that is not exactly chunked is not understood",
        ),
        coded(
            &[("Transfer-Encoding", b"chunked, identity")],
            behind_chunks(),
            "goes by the last coding",
            "a coding that is not exactly chunked is not understood",
        ),
        coded(
            &[("Transfer-Encoding", b"chunked"), ("Transfer-Encoding", b"identity")],
            behind_chunks(),
            "goes by the last Transfer-Encoding",
            "there is one Transfer-Encoding line",
        ),
        Attack {
            minor: 0,
            fields: &[("Transfer-Encoding", b"chunked")],
            body: behind_chunks(),
            proxy: "knows that HTTP/1.0 has no transfer codings",
            rule: "HTTP/1.0 has no transfer codings",
        },
    ]
}

impl Attack {
    fn check(&self) {
        let framing = match framing(self.minor, self.fields) {
            Err(Refused) => return,
            Ok(framing) => framing,
        };
        let end = match framing {
            Framing::Length(length) => length,
            Framing::Chunked => chunked_end(&self.body),
        };
        let (minor, fields, body, proxy) = (self.minor, list(self.fields), &self.body, self.proxy);
        let rest = body.get(end..).filter(|rest| !rest.is_empty()).map(|rest| {
            let rest: String = rest.chars().take(19).collect();
            format!(
                ": a proxy that {proxy} passes on {} bytes of body, and \"{}...\" is taken for the next request",
                body.len(),
                rest.escape_default()
            )
        });
        panic!(
            "HTTP/1.{minor} with {fields}: expected a refusal, as {}; came {framing:?}{}",
            self.rule,
            rest.unwrap_or_default()
        );
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
