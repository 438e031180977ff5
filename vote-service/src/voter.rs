//! A voter's identity: 128 random bits in a cookie, or the id that the original's vote service has set.
//!
//! This is not a login. Anybody who has the bits is this voter, so they are never logged.

use kernel_app::Entropy;

/// Name of the cookie.
pub const COOKIE: &str = "voter_id";
/// Digits of an id that is made here, and most of any voter.
pub const DIGITS: usize = 32;

const NAME: &[u8; 21] = b"Set-Cookie: voter_id=";
/// A year: without it a browser forgets its voter when it is closed, and the next vote is another voter's.
const LINE: &[u8] =
    b"Set-Cookie: voter_id=00000000000000000000000000000000; Path=/; Max-Age=31536000; HttpOnly; \
    SameSite=Lax\r\n";
const DIGITS_END: usize = NAME.len() + DIGITS;

/// 128 bits as 32 lower-case hexadecimal digits: a voter, or one vote. Aligned, because the check that they are text
/// takes aligned bytes by words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(8))]
pub struct Id(pub [u8; DIGITS]);

impl Id {
    /// A new id.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0; DIGITS / 2];
        entropy.fill(&mut bytes);
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = digit(byte >> 4);
            pair[1] = digit(byte & 15);
        }
        Self(digits)
    }

    /// The id as 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        text(&self.0)
    }
}

/// Digits are ASCII.
fn text(digits: &[u8]) -> &str {
    core::str::from_utf8(digits).unwrap_or_default()
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// Who votes: an [`Id`], or fewer digits when the original has made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Voter {
    /// The last of them count. So they are copied all at once, and what stands before them begins later.
    digits: [u8; DIGITS],
    /// How many do not count.
    unused: u8,
}

impl Voter {
    /// The voter in a cookie's value; none unless [`Voter::random`] or the original could have made it. Browsers do
    /// not tell ports apart, so whoever changes from the original's page to this one brings its cookie, and stays
    /// the same voter.
    pub fn parse(text: &str) -> Option<Self> {
        let unused = DIGITS.checked_sub(text.len()).filter(|unused| *unused < DIGITS)?;
        let mut digits = [b'0'; DIGITS];
        digits[unused..].copy_from_slice(text.as_bytes());
        let is_digit = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        // Fewer than DIGITS.
        digits.iter().all(is_digit).then_some(Self { digits, unused: unused as u8 })
    }

    /// A new voter.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        Self { digits: Id::random(entropy).0, unused: 0 }
    }

    /// The digits, as they stand in entries and results.
    pub fn as_str(&self) -> &str {
        text(&self.digits[usize::from(self.unused)..])
    }
}

/// A `Set-Cookie` line, written in place.
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
    pub fn of(&mut self, voter: Voter) -> &[u8] {
        let start = usize::from(voter.unused);
        self.0[DIGITS_END - DIGITS..DIGITS_END].copy_from_slice(&voter.digits);
        self.0[start..start + NAME.len()].copy_from_slice(NAME);
        &self.0[start..]
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
    fn a_random_voter_keeps_all_its_digits_and_is_accepted_back() {
        assert_eq!(&Id::random(&mut Counting).0, b"00112233445566778899aabbccddeeff");
        let voter = Voter::random(&mut Counting);
        assert_eq!(Voter::parse("00112233445566778899aabbccddeeff"), Some(voter));
    }

    #[test]
    fn only_what_could_have_been_made_by_a_vote_service_is_a_voter() {
        for right in ["0", "1f2e3d4c5b6a798", "ffffffffffffffffffffffffffffffff"] {
            let voter = Voter::parse(right).expect("a voter");
            let expected = alloc::format!(
                "Set-Cookie: voter_id={right}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax\r\n"
            );
            assert_eq!(CookieLine::new().of(voter), expected.as_bytes());
        }
        for wrong in
            ["", "001122334455AABB", "00112233445566778899aabbccddeef\"", "é", &"0".repeat(DIGITS + 1)]
        {
            assert_eq!(Voter::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_cookie_is_for_this_site_and_out_of_scripts_reach() {
        let expected =
            b"Set-Cookie: voter_id=00112233445566778899aabbccddeeff; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax\r\n";
        let mut line = CookieLine::new();
        assert_eq!(line.of(Voter::random(&mut Counting)), expected);
        line.of(Voter::parse("1f2e3d4c5b6a798").expect("a voter"));
        assert_eq!(line.of(Voter::random(&mut Counting)), expected, "nothing stays of others");
    }
}
