//! A password: what it is, without showing it.
//!
//! Hashes nothing: it is compared with what a peer sends in the clear, as Redis's protocol has it.

use alloc::boxed::Box;
use core::fmt;
use core::hint::black_box;

/// Longest password; Redis takes longer ones, a kernel's command line does not.
pub const SECRET_BYTES_MAX: usize = wire::postgres::url::PASSWORD_BYTES_MAX;

/// A password. Debug output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The password of these bytes; none when there are none, or more than [`SECRET_BYTES_MAX`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (1..=SECRET_BYTES_MAX).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// The password as it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is this one. How long that takes depends on the length of `given` alone, so nobody learns
    /// from it how much was right.
    pub fn is(&self, given: &[u8]) -> bool {
        let bytes = given.iter().zip(self.0.iter().cycle());
        let differing = bytes.fold(0, |differing, (one, other)| black_box(differing | (one ^ other)));
        differing == 0 && given.len() == self.0.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn only_the_whole_password_is_it_and_it_is_not_shown() {
        let secret = Secret::new(b"open sesame").expect("a password");
        assert!(secret.is(b"open sesame"));
        for wrong in [&b""[..], b"open sesam", b"open sesame!", b"open sesameopen sesame", b"Open sesame"] {
            assert!(!secret.is(wrong), "{}", wrong.escape_ascii());
        }
        assert!(!format!("{secret:?}").contains("open"));
        assert_eq!(Secret::new(b""), None);
        assert_eq!(Secret::new(&[b'x'; SECRET_BYTES_MAX + 1]), None);
    }
}
