//! SCRAM-SHA-256: proves that the client knows the password, and that the server knows it too (RFC 5802, RFC 7677).
//!
//! There is no channel binding, since there is no TLS. [`password`] turns a password into the bytes that are hashed.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256};

use super::password;

/// The mechanism's name.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// Bytes of the nonce, before it is written as text.
pub const NONCE_BYTES: usize = 18;
/// Fewest rounds that are accepted (RFC 7677 section 4): fewer would make the password easy to guess.
pub const ROUNDS_MIN: u32 = 4096;
/// Most rounds that are computed: while they are, nothing else is done.
pub const ROUNDS_MAX: u32 = 100_000;
/// Longest message of a server that is read.
const CHALLENGE_BYTES_MAX: usize = 1024;

/// No channel binding, and no other identity.
const GS2_HEADER: &str = "n,,";

type Key = [u8; 32];

/// Why a server's message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramError {
    /// It is not a message of the mechanism.
    Malformed,
    /// It does not continue what the client began.
    Nonce,
    /// So many rounds are too few or too many.
    Rounds(u32),
    /// The server refuses the proof.
    Refused,
    /// The server does not know the password.
    Impostor,
}

impl fmt::Display for ScramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("what it says of SCRAM-SHA-256 is malformed"),
            Self::Nonce => f.write_str("its challenge is for somebody else"),
            Self::Rounds(rounds) => {
                write!(f, "it wants {rounds} rounds of hashing, not {ROUNDS_MIN} to {ROUNDS_MAX}")
            }
            Self::Refused => f.write_str("it refuses the proof of the password"),
            Self::Impostor => f.write_str("it does not know the password itself: is RESULTS_URL right?"),
        }
    }
}

impl core::error::Error for ScramError {}

/// The client's side: first message, proof, check.
#[derive(Debug)]
pub struct Scram {
    /// What the client begins with, without the header.
    first_bare: String,
    nonce: String,
    /// What the server will answer if it knows the password; once it has been challenged.
    expected: Option<Key>,
}

impl Scram {
    /// Begins; the nonce must be unpredictable. The server knows the user already.
    pub fn new(nonce: &[u8; NONCE_BYTES]) -> Self {
        Self::with_nonce("", Base64::encode_string(nonce))
    }

    fn with_nonce(user: &str, nonce: String) -> Self {
        Self { first_bare: format!("n={user},r={nonce}"), nonce, expected: None }
    }

    /// The client's first message.
    pub fn first(&self) -> String {
        [GS2_HEADER, &self.first_bare].concat()
    }

    /// The client's answer to the server's challenge.
    ///
    /// # Errors
    /// When the challenge is not acceptable.
    pub fn prove(&mut self, challenge: &[u8], password: &[u8]) -> Result<String, ScramError> {
        let challenge = text(challenge)?;
        let mut fields = challenge.split(',');
        let mut field = |name| fields.next()?.strip_prefix(name);
        let nonce = field("r=").ok_or(ScramError::Malformed)?;
        let salt = field("s=").and_then(|salt| Base64::decode_vec(salt).ok()).ok_or(ScramError::Malformed)?;
        let rounds = field("i=").and_then(|rounds| rounds.parse().ok()).ok_or(ScramError::Malformed)?;
        if nonce.strip_prefix(&self.nonce).is_none_or(str::is_empty) {
            return Err(ScramError::Nonce);
        }
        if !(ROUNDS_MIN..=ROUNDS_MAX).contains(&rounds) {
            return Err(ScramError::Rounds(rounds));
        }
        let mut salted = Key::default();
        pbkdf2_hmac::<Sha256>(&password::prepared(password), &salt, rounds, &mut salted);
        let last_bare = format!("c={},r={nonce}", Base64::encode_string(GS2_HEADER.as_bytes()));
        let signed = [&self.first_bare, challenge, &last_bare].map(ToString::to_string).join(",");
        let client_key = keyed(&salted, b"Client Key");
        let signature = keyed(&Sha256::digest(client_key).into(), signed.as_bytes());
        let proof: Vec<u8> =
            client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
        self.expected = Some(keyed(&keyed(&salted, b"Server Key"), signed.as_bytes()));
        Ok(format!("{last_bare},p={}", Base64::encode_string(&proof)))
    }

    /// Whether the server has proved that it knows the password.
    ///
    /// # Errors
    /// When it has not.
    pub fn check(&self, last: &[u8]) -> Result<(), ScramError> {
        let last = text(last)?;
        if last.starts_with("e=") {
            return Err(ScramError::Refused);
        }
        let signature = last.strip_prefix("v=").and_then(|rest| rest.split(',').next());
        let signature = signature.and_then(|signature| Base64::decode_vec(signature).ok());
        let signature = signature.ok_or(ScramError::Malformed)?;
        // Nobody can measure how long this takes and try again: the nonce is another one then.
        if self.expected.is_some_and(|expected| signature == expected) {
            Ok(())
        } else {
            Err(ScramError::Impostor)
        }
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    let text = core::str::from_utf8(message).ok().filter(|text| text.len() <= CHALLENGE_BYTES_MAX);
    text.ok_or(ScramError::Malformed)
}

fn keyed(key: &Key, message: &[u8]) -> Key {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Key::default() };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;

    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const LAST: &[u8] = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    /// The client of the example in RFC 7677, section 3.
    fn client() -> Scram {
        Scram::with_nonce("user", "rOprNGfwEbeRWgbNEkqO".to_owned())
    }

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let mut scram = client();
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = scram.prove(CHALLENGE.as_bytes(), b"pencil").expect("a challenge");
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(proof, expected);
        assert_eq!(scram.check(LAST), Ok(()));
        assert_eq!(
            scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="),
            Err(ScramError::Malformed)
        );
        assert_eq!(scram.check(b"v=AAAA"), Err(ScramError::Impostor));
        assert_eq!(scram.check(b"e=invalid-proof"), Err(ScramError::Refused));
    }

    #[test]
    fn a_server_that_has_not_challenged_has_proved_nothing() {
        assert_eq!(client().check(LAST), Err(ScramError::Impostor));
    }

    #[test]
    fn challenges_beyond_reason_are_refused() {
        let challenge =
            |from: &str, to: &str| client().prove(CHALLENGE.replace(from, to).as_bytes(), b"pencil");
        assert_eq!(challenge("r=rO", "r=rP"), Err(ScramError::Nonce));
        assert_eq!(challenge("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""), Err(ScramError::Nonce));
        assert_eq!(challenge("i=4096", "i=4095"), Err(ScramError::Rounds(4095)));
        assert_eq!(challenge("i=4096", "i=4000000000"), Err(ScramError::Rounds(4_000_000_000)));
        for (from, to) in [("i=4096", "i=-1"), ("s=W", "s=!"), (",i=4096", ""), ("r=", "m=x,r=")] {
            assert_eq!(challenge(from, to), Err(ScramError::Malformed), "{to}");
        }
        let long = [CHALLENGE, &",x=".repeat(400)].concat();
        assert_eq!(client().prove(long.as_bytes(), b"pencil"), Err(ScramError::Malformed));
    }
}
