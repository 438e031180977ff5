//! The sender of a vote: whether it comes from this site's page or another site's, and its address.
//!
//! It trusts only headers that browsers and the nearest proxy write, and none that a page of another site can set.

use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use kernel_app::http::Request;
use kernel_app::settings::{SettingError, Settings};

const HEADER_BYTES_MAX: usize = 64;

/// Whether the page of another site has sent this, in the browser of somebody who may know nothing of it.
///
/// Browsers say so in `Sec-Fetch-Site`, or, where the page was not loaded over a safe connection, name the page's
/// origin (Fetch standard, sections 2.2.4 and 3.2). What says neither is no browser of today, and nobody's but its
/// user's.
pub fn is_from_elsewhere(request: &Request<'_>) -> bool {
    match (request.header("sec-fetch-site"), request.header("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => !is_of_this_site(origin, request),
        (None, None) => false,
    }
}

/// Whether an origin is where the request went to: to `Host`, or to where a proxy says that it went before.
fn is_of_this_site(origin: &str, request: &Request<'_>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let port = if scheme == "https" { ":443" } else { ":80" };
    let plain = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    let hosts = ["host", "x-forwarded-host"].into_iter().filter_map(|name| request.header(name));
    // Of several proxies, the first has written what the browser asked for.
    hosts.filter_map(|host| host.split(',').next()).any(|host| plain(host.trim()) == plain(authority))
}

/// Which address counts as that of the client.
#[derive(Debug, Default)]
pub struct AddressSource {
    /// The header in which the nearest proxy names it; in lower case.
    header: Option<String>,
}

impl AddressSource {
    /// As `CLIENT_ADDRESS_HEADER` says.
    ///
    /// # Errors
    /// When that names no header.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        const NAME: &str = "CLIENT_ADDRESS_HEADER";
        let Some(value) = settings.get(NAME) else { return Ok(Self::default()) };
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if value.len() > HEADER_BYTES_MAX || !value.bytes().all(is_token) {
            let expected = "the name of the header in which your proxy puts the client's address, such as X-Forwarded-For";
            let value = value.chars().take(HEADER_BYTES_MAX).collect();
            return Err(SettingError { name: NAME, value, expected });
        }
        Ok(Self { header: Some(value.to_ascii_lowercase()) })
    }

    /// The client's address. Proxies append, so only the last one in the header is from the proxy next to us; what
    /// stands before it anybody may have written. Without one it is that of the connection's other side.
    pub fn address(&self, request: &Request<'_>, peer: Option<IpAddr>) -> IpAddr {
        let named = self.header.as_deref().and_then(|name| {
            let last = request.values(name).last()?.rsplit(',').next()?.trim();
            if name == "forwarded" { forwarded_for(last) } else { parse(last) }
        });
        named.or(peer).unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }
}

/// The client in an element of `Forwarded` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    parse(value.trim_matches('"'))
}

/// An address, with or without a port and brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;
    use kernel_app::Instant;
    use wire::Buffer;
    use wire::http::{HeadReader, Received, Session};

    /// What `ask` says of a request with these header lines.
    fn with_headers<T>(lines: &[&str], ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let head = format!("GET / HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"));
        let (mut heads, mut output) = (HeadReader::default(), Buffer::new(4_096));
        let mut session = Session::new(64, Instant::ZERO);
        match session.receive(head.as_bytes(), false, Instant::ZERO, &mut heads, &mut output) {
            Received::Request { request, .. } => ask(&request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_form_of_this_site_s_page_is_told_from_that_of_another() {
        let cases: [(&[&str], bool); 17] = [
            (&["Host: poll"], false),
            (&["Host: poll", "Sec-Fetch-Site: same-origin"], false),
            (&["Host: poll", "Sec-Fetch-Site: none"], false),
            (&["Host: poll", "Sec-Fetch-Site: cross-site"], true),
            (&["Host: poll", "Sec-Fetch-Site: same-site"], true),
            (&["Host: poll", "Sec-Fetch-Site: cross-site", "Origin: http://poll"], true),
            // Behind a proxy that sends its own name for this one.
            (&["Host: 127.0.0.1:8080", "Sec-Fetch-Site: same-origin", "Origin: https://poll.example"], false),
            (&["Host: poll", "Origin: http://poll"], false),
            (&["Host: poll:80", "Origin: http://poll"], false),
            (&["Host: POLL.example", "Origin: https://poll.example:443"], false),
            (&["Host: poll:8080", "Origin: http://poll:8080"], false),
            (&["Host: poll:8080", "Origin: http://poll:9090"], true),
            (&["Host: poll", "Origin: http://evil"], true),
            (&["Host: poll", "Origin: http://poll.evil"], true),
            (&["Host: poll", "Origin: null"], true),
            (
                &["Host: vote:80", "X-Forwarded-Host: poll.example, inner", "Origin: https://poll.example"],
                false,
            ),
            (&["Host: vote:80", "X-Forwarded-Host: poll.example", "Origin: https://evil"], true),
        ];
        for (lines, expected) in cases {
            assert_eq!(with_headers(lines, is_from_elsewhere), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_address_is_the_peer_s_unless_a_header_is_trusted() {
        let peer: Option<IpAddr> = "192.0.2.9".parse().ok();
        let of = |header: &str, lines: &[&str]| {
            let settings = Settings::from_pairs([("CLIENT_ADDRESS_HEADER", header)]);
            let source = AddressSource::new(&settings).expect("a header");
            let lines: Vec<_> = [&["Host: a"], lines].concat();
            with_headers(&lines, |request| format!("{}", source.address(request, peer)))
        };
        let forged = "X-Forwarded-For: 10.0.0.1";
        assert_eq!(of("", &[forged]), "192.0.2.9", "anybody can write that");
        assert_eq!(of("X-Forwarded-For", &[]), "192.0.2.9");
        assert_eq!(of("X-Forwarded-For", &[forged]), "10.0.0.1");
        assert_eq!(of("x-forwarded-for", &["X-Forwarded-For: 10.0.0.1, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(of("X-Forwarded-For", &[forged, "X-Forwarded-For: 203.0.113.8:5060"]), "203.0.113.8");
        assert_eq!(of("X-Forwarded-For", &["X-Forwarded-For: 10.0.0.1, unknown"]), "192.0.2.9");
        assert_eq!(of("X-Real-IP", &["X-Real-IP: 2001:db8::7"]), "2001:db8::7");
        assert_eq!(of("X-Real-IP", &["X-Real-IP: [2001:db8::7]:99"]), "2001:db8::7");
        let forwarded = "Forwarded: for=10.0.0.1, For=\"[2001:db8::8]:4711\";proto=https;by=203.0.113.43";
        assert_eq!(of("Forwarded", &[forwarded]), "2001:db8::8");
        assert_eq!(of("Forwarded", &["Forwarded: for=_hidden"]), "192.0.2.9");
        let wrong = Settings::from_pairs([("CLIENT_ADDRESS_HEADER", "X-Forwarded-For: 1")]);
        assert_eq!(AddressSource::new(&wrong).expect_err("no name").name, "CLIENT_ADDRESS_HEADER");
    }
}
