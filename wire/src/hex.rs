//! Hexadecimal digits, and the bytes that a `%` and two of them stand for (RFC 3986, section 2.1).

use alloc::vec::Vec;

/// The value of a digit.
pub fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The bytes that stand for themselves, or as `%` and two digits; none when a `%` has not two.
pub fn percent_decoded(bytes: impl IntoIterator<Item = u8>) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = bytes.into_iter();
    while let Some(byte) = rest.next() {
        decoded.push(if byte == b'%' { digit(rest.next()?)? << 4 | digit(rest.next()?)? } else { byte });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_needs_two_digits() {
        let decoded = |text: &str| percent_decoded(text.bytes());
        assert_eq!(decoded("a%2Fb%e9+").as_deref(), Some(&b"a/b\xe9+"[..]));
        for wrong in ["%", "%2", "%2g", "%+1", "%%41"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
