//! Who votes: 128 random bits in a cookie, or what the original's vote service has put there.
//!
//! Not a login. Whoever has the bits is the voter, so they are never logged.

use kernel_app::Entropy;

/// Name of the cookie.
pub const COOKIE: &str = "voter_id";
/// Digits of an id that is made here.
pub const DIGITS: usize = 32;

const NAME: &[u8] = b"voter_id=";
const ATTRIBUTES: &[u8] = b"; Path=/; HttpOnly; SameSite=Lax";

/// Lower-case hexadecimal digits that name a voter or one vote: 32 of them, or fewer when the original has made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    digits: [u8; DIGITS],
    /// How many of the digits count; at least one.
    length: u8,
}

impl Id {
    /// The id in a cookie's value; none unless [`Id::random`] or the original could have made it. Browsers do not
    /// tell ports apart, so whoever changes from the original's page to this one brings its cookie and stays the
    /// same voter.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let is_digit = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if text.is_empty() || text.len() > DIGITS || !text.iter().all(is_digit) {
            return None;
        }
        let mut digits = [0; DIGITS];
        digits[..text.len()].copy_from_slice(text);
        // Not more than DIGITS.
        Some(Self { digits, length: text.len() as u8 })
    }

    /// A new id.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0; DIGITS / 2];
        entropy.fill(&mut bytes);
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = digit(byte >> 4);
            pair[1] = digit(byte & 15);
        }
        Self { digits, length: DIGITS as u8 }
    }

    /// Its digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// The value of a `Set-Cookie` line, written in place.
#[derive(Clone, Debug)]
pub struct CookieLine([u8; NAME.len() + DIGITS + ATTRIBUTES.len()]);

impl CookieLine {
    /// A line for nobody yet.
    pub fn new() -> Self {
        let mut line = Self([0; NAME.len() + DIGITS + ATTRIBUTES.len()]);
        line.0[..NAME.len()].copy_from_slice(NAME);
        line
    }

    /// The line that gives `voter` back to the browser.
    pub fn of(&mut self, voter: Id) -> &[u8] {
        let attributes_at = NAME.len() + voter.as_bytes().len();
        let end = attributes_at + ATTRIBUTES.len();
        self.0[NAME.len()..attributes_at].copy_from_slice(voter.as_bytes());
        self.0[attributes_at..end].copy_from_slice(ATTRIBUTES);
        &self.0[..end]
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
        assert_eq!(id.as_bytes(), b"00112233445566778899aabbccddeeff");
        assert_eq!(Id::parse("00112233445566778899aabbccddeeff"), Some(id));
    }

    #[test]
    fn only_what_could_have_been_made_by_a_vote_service_is_an_id() {
        for right in ["0", "1f2e3d4c5b6a798", "ffffffffffffffffffffffffffffffff"] {
            assert_eq!(Id::parse(right).as_ref().map(Id::as_bytes), Some(right.as_bytes()));
        }
        for wrong in
            ["", "001122334455AABB", "00112233445566778899aabbccddeef\"", "é", &"0".repeat(DIGITS + 1)]
        {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_cookie_is_for_this_site_and_out_of_scripts_reach() {
        let expected = b"voter_id=00112233445566778899aabbccddeeff; Path=/; HttpOnly; SameSite=Lax";
        let mut line = CookieLine::new();
        assert_eq!(line.of(Id::random(&mut Counting)), expected);
        let original = Id::parse("1f2e3d4c5b6a798").expect("an id");
        assert_eq!(line.of(original), b"voter_id=1f2e3d4c5b6a798; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(line.of(Id::random(&mut Counting)), expected);
    }
}
