//! A password in the form that PostgreSQL hashes: prepared with SASLprep (RFC 4013) if possible, otherwise unchanged.
//!
//! So `é` is one password whether it is typed as one character or as two, and an invisible hyphen is removed. The
//! tables for this are several times as large as everything else that a service needs of Unicode. So only programs on
//! a host have them (the feature `saslprep`), and the host prepares the passwords that it passes to guests.

use alloc::borrow::Cow;
#[cfg(feature = "saslprep")]
use alloc::{format, string::String};

#[cfg(feature = "saslprep")]
use super::url::SCHEMES;
#[cfg(feature = "saslprep")]
use crate::hex::percent_decoded;

/// The bytes that are hashed for a password.
#[cfg(feature = "saslprep")]
pub fn prepared(password: &[u8]) -> Cow<'_, [u8]> {
    let text = core::str::from_utf8(password).ok();
    let prepared = text.and_then(|text| stringprep::saslprep(text).ok());
    match prepared {
        // Of a password that is invisible as a whole nothing would be left; PostgreSQL takes it as it is.
        Some(Cow::Owned(prepared)) if !prepared.is_empty() => Cow::Owned(prepared.into_bytes()),
        _ => Cow::Borrowed(password),
    }
}

/// The same where there are no tables: passwords come prepared.
#[cfg(not(feature = "saslprep"))]
pub fn prepared(password: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(password)
}

/// An address whose password is prepared already, for those who have no tables. What is no address stays as it is.
#[cfg(feature = "saslprep")]
pub fn prepared_url(url: &str) -> Cow<'_, str> {
    rewritten(url).map_or(Cow::Borrowed(url), Cow::Owned)
}

/// None where nothing changes.
#[cfg(feature = "saslprep")]
fn rewritten(url: &str) -> Option<String> {
    let scheme = SCHEMES.iter().find(|scheme| url.starts_with(**scheme))?;
    let (credentials, place) = url[scheme.len()..].rsplit_once('@')?;
    let (user, password) = credentials.split_once(':')?;
    let password = percent_decoded(password.bytes())?;
    let Cow::Owned(prepared) = prepared(&password) else { return None };
    let encoded: String = prepared.iter().map(|byte| format!("%{byte:02X}")).collect();
    Some(format!("{scheme}{user}:{encoded}@{place}"))
}

#[cfg(all(test, feature = "saslprep"))]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_prepared_where_that_can_be_done() {
        for (password, expected) in [
            ("Cafe\u{301}", "Caf\u{e9}"),
            ("no\u{a0}break", "no break"),
            ("soft\u{ad}hyphen", "softhyphen"),
            ("o\u{fb03}ce", "office"),
            ("pencil", "pencil"),
            // No text of RFC 4013: a tab, Arabic letters with Latin ones, a letter that Unicode 3.2 did not know,
            // nothing.
            ("Cafe\u{301}\t", "Cafe\u{301}\t"),
            ("\u{627}a\u{fb03}", "\u{627}a\u{fb03}"),
            ("\u{fb03}\u{1f600}", "\u{fb03}\u{1f600}"),
            ("\u{ad}", "\u{ad}"),
        ] {
            assert_eq!(prepared(password.as_bytes()), expected.as_bytes(), "{password:?}");
        }
        assert_eq!(prepared(b"Caf\xe9"), &b"Caf\xe9"[..], "no UTF-8");
    }

    #[test]
    fn the_password_of_an_address_is_prepared_and_nothing_else_changes() {
        let url = prepared_url("postgresql://me\u{ad}:Cafe%CC%81%40@db\u{ad}/votes");
        assert_eq!(url, "postgresql://me\u{ad}:%43%61%66%C3%A9%40@db\u{ad}/votes");
        assert_eq!(prepared_url(&url), url);
        for unchanged in
            ["postgres://me:pencil@db/votes", "postgres://me@db/votes", "redis://:Cafe%CC%81@db", "%"]
        {
            assert_eq!(prepared_url(unchanged), unchanged);
        }
    }
}
