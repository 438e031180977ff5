//! What a web page is made of: static files with a strong ETag, and templates filled once at start.
//!
//! Reads no files: they are part of the program. Holds no page of its own.

use alloc::string::String;

use wire::http::{Request, Response};

/// A file under `/static/`, the same for as long as the program runs. Made by [`asset!`](crate::asset).
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Media type.
    pub content_type: &'static str,
    /// The quoted entity tag.
    pub etag: &'static str,
    /// Header lines of every response, the tag among them; see [`Response::headers`].
    pub headers: &'static [&'static str],
    /// Content of the file.
    pub body: &'static [u8],
}

impl Asset {
    /// The file, or 304 when the request's `If-None-Match` (RFC 9110 section 13.1.2) names it.
    pub fn respond(&self, request: &Request<'_>) -> Response<'static> {
        if request.values("if-none-match").any(|list| matches(list, self.etag)) {
            return Response::new(304, "", b"").with_headers(self.headers);
        }
        Response::new(200, self.content_type, self.body).with_headers(self.headers)
    }
}

/// An [`Asset`](crate::assets::Asset) from a media type and bytes that are known when the program is compiled.
#[macro_export]
macro_rules! asset {
    ($content_type:expr, $body:expr) => {{
        const BODY: &[u8] = $body;
        const TAG: &[u8; $crate::assets::ETAG_BYTES] = &$crate::assets::etag(BODY);
        const ETAG: &str = $crate::assets::ascii(TAG);
        $crate::assets::Asset {
            content_type: $content_type,
            etag: ETAG,
            headers: &["ETag: ", ETAG, "\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"],
            body: BODY,
        }
    }};
}

/// Length of an entity tag: 16 hexadecimal digits in quotes.
pub const ETAG_BYTES: usize = 18;

/// A strong entity tag: the 64-bit FNV-1a hash of the bytes. It tells builds apart, not attackers.
pub const fn etag(bytes: &[u8]) -> [u8; ETAG_BYTES] {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    let mut tag = [b'"'; ETAG_BYTES];
    let mut digit = 0;
    while digit < 16 {
        tag[1 + digit] = b"0123456789abcdef"[(hash >> (60 - 4 * digit)) as usize & 15];
        digit += 1;
    }
    tag
}

/// The text of an entity tag.
pub const fn ascii(tag: &[u8; ETAG_BYTES]) -> &str {
    match core::str::from_utf8(tag) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// Whether an `If-None-Match` list names the tag; the comparison is weak (RFC 9110 section 8.8.3.2).
fn matches(list: &str, etag: &str) -> bool {
    let mut tags = list.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The text with the characters replaced that mean something in HTML text and quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The template with each `{name}` replaced by its value, which is not looked at again. A name that is not
/// among `values` stays as it is.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let value = values.iter().find_map(|(name, value)| {
            let after = rest[1..].strip_prefix(name)?.strip_prefix('}')?;
            Some((*value, after))
        });
        let (text, after) = value.unwrap_or(rest.split_at(1));
        filled.push_str(text);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_the_hash_in_quotes() {
        let tag = etag(b"foobar");
        assert_eq!(ascii(&tag), "\"85944171f73967e8\"", "the published FNV-1a test vector");
        let asset = asset!("text/css", b"foobar");
        assert_eq!(asset.headers[..2], ["ETag: ", asset.etag]);
    }

    #[test]
    fn a_list_of_tags_matches_weakly() {
        let tag = "\"1\"";
        for list in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*", "\"0\",W/\"1\""] {
            assert!(matches(list, tag), "{list}");
        }
        for list in ["", "1", "\"2\"", "w/\"1\""] {
            assert!(!matches(list, tag), "{list}");
        }
    }

    #[test]
    fn values_are_filled_in_once_and_unknown_names_stay() {
        let values = [("a", "{b}"), ("b", "Dogs")];
        assert_eq!(fill("<{a}|{b}|{c}|{>{", &values), "<{b}|Dogs|{c}|{>{");
    }

    #[test]
    fn nothing_that_html_reads_survives_escaping() {
        assert_eq!(escape("<b a=\"'&'\">ü"), "&lt;b a=&quot;&#39;&amp;&#39;&quot;&gt;ü");
    }
}
