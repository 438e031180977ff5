//! Checks of the request target (RFC 9112 section 3.2) and of `Host` (RFC 9110 section 7.2).
//!
//! Percent-encoding is not decoded.

use super::{Method, Refusal};

/// Path and query of a checked request target, which may be in origin, absolute or asterisk form.
pub(super) fn split(method: Method, target: &str) -> Result<(&str, &str), Refusal> {
    let mut question = None;
    for (at, byte) in target.bytes().enumerate() {
        match byte {
            b'?' if question.is_none() => question = Some(at),
            b'#' | 0x80.. => return Err(Refusal::Target),
            _ => {}
        }
    }
    let (path, query) = question.map_or((target, ""), |at| (&target[..at], &target[at + 1..]));
    if path.starts_with('/') {
        return Ok((path, query));
    }
    if target == "*" && method == Method::Options {
        return Ok((path, query));
    }
    Ok((absolute(method, path)?, query))
}

/// The path of a target in absolute form; its authority stands in for `Host`, of which we have one only.
fn absolute(method: Method, target: &str) -> Result<&str, Refusal> {
    const SCHEME: &str = "http://";
    let (scheme, rest) = target.split_at_checked(SCHEME.len()).ok_or(Refusal::Target)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(Refusal::Target);
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match path {
        _ if !is_host(authority.as_bytes()) => Err(Refusal::Target),
        "" if method == Method::Options => Ok("*"),
        "" => Ok("/"),
        path => Ok(path),
    }
}

/// Whether `value` is a host and perhaps a port: a name, an IPv4 address or an IPv6 address in brackets. An
/// empty host is none (RFC 9110 section 4.2.1), and a comma means that two lines were merged on the way.
pub(super) fn is_host(value: &[u8]) -> bool {
    if let [b'[', rest @ ..] = value {
        let address_bytes = rest.iter().take_while(|byte| is_address_byte(byte)).count();
        return address_bytes > 0 && rest[address_bytes..].strip_prefix(b"]").is_some_and(is_port);
    }
    let name_bytes = value.iter().take_while(|byte| NAME_BYTES[usize::from(**byte)]).count();
    name_bytes > 0 && is_port(&value[name_bytes..])
}

fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_address_byte(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// Bytes of a host's name (RFC 3986 section 3.2.2, without the comma). A table, because every request asks.
static NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~%!$&'()*+;=";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_give_path_and_query_or_are_refused() {
        let good = [
            ("/", ("/", "")),
            ("/a?b=c?d", ("/a", "b=c?d")),
            ("//a", ("//a", "")),
            ("/%2e?", ("/%2e", "")),
            ("http://host", ("/", "")),
            ("HTTP://host:80/a?b", ("/a", "b")),
            ("http://[::1]?b", ("/", "b")),
        ];
        for (target, parts) in good {
            assert_eq!(split(Method::Get, target), Ok(parts), "{target}");
        }
        let bad = [
            "*",
            "a",
            "",
            "?a",
            "/a#b",
            "/\u{e9}",
            "https://host/",
            "http://",
            "http:///a",
            "http://u@host/",
            "host:80",
        ];
        for target in bad {
            assert_eq!(split(Method::Get, target), Err(Refusal::Target), "{target}");
        }
        for target in ["*", "http://host"] {
            assert_eq!(split(Method::Options, target), Ok(("*", "")), "{target}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_with_a_port_perhaps() {
        for good in ["a", "a:", "a:80", "127.0.0.1:8080", "[::1]", "[::1]:80", "a_b-c.d", "%41"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        let bad = [
            "", ":80", "a b", "a,b", "a:b", "a:123456", "u@a", "a/b", "[]", "[::1", "[::1]80", "[g]",
            "a:8:0", "\u{e9}",
        ];
        for bad in bad {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
