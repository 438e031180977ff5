//! Who votes: 128 random bits in a cookie.
//!
//! Not a login. Whoever has the bits is the voter, so they are never logged.

use kernel_app::Entropy;

/// Name of the cookie.
pub const COOKIE: &str = "voter_id";

const HEX_BYTES: usize = 32;
const LINE: &[u8] = b"voter_id=00000000000000000000000000000000; Path=/; HttpOnly; SameSite=Lax";
const HEX_AT: usize = COOKIE.len() + 1;

/// 128 bits as 32 lower-case hexadecimal digits: a voter, or one vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub [u8; HEX_BYTES]);

impl Id {
    /// The id in a cookie's value; none unless it is one that [`Id::random`] could have made.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; HEX_BYTES] = text.as_bytes().try_into().ok()?;
        digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(digits))
    }

    /// A new id.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0; HEX_BYTES / 2];
        entropy.fill(&mut bytes);
        let mut digits = [0; HEX_BYTES];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = digit(byte >> 4);
            pair[1] = digit(byte & 15);
        }
        Self(digits)
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// The value of a `Set-Cookie` line, written in place.
#[derive(Clone, Debug)]
pub struct CookieLine([u8; LINE.len()]);

impl CookieLine {
    /// A line for nobody yet.
    pub fn new() -> Self {
        let mut line = [0; LINE.len()];
        line.copy_from_slice(LINE);
        Self(line)
    }

    /// The line that gives `voter` back to the browser.
    pub fn of(&mut self, voter: Id) -> &[u8] {
        self.0[HEX_AT..HEX_AT + HEX_BYTES].copy_from_slice(&voter.0);
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for (index, byte) in (0..).zip(bytes) {
                *byte = index * 17;
            }
        }
    }

    #[test]
    fn a_random_id_keeps_all_its_digits_and_is_accepted_back() {
        let id = Id::random(&mut Counting);
        assert_eq!(&id.0, b"00112233445566778899aabbccddeeff");
        assert_eq!(Id::parse("00112233445566778899aabbccddeeff"), Some(id));
    }

    #[test]
    fn only_what_could_have_been_made_here_is_an_id() {
        for wrong in
            ["", "0011", "00112233445566778899AABBCCDDEEFF", "00112233445566778899aabbccddeef\"", "é"]
        {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_cookie_is_for_this_site_and_out_of_scripts_reach() {
        let expected = b"voter_id=00112233445566778899aabbccddeeff; Path=/; HttpOnly; SameSite=Lax";
        assert_eq!(CookieLine::new().of(Id::random(&mut Counting)), expected);
    }
}
