//! The hash that gives a field its position, with a key that clients do not know.

use core::hash::{BuildHasher, Hasher as _};

use siphasher::sip::SipHasher13;

use super::item::Position;

/// Hashes with secret keys, so that clients cannot choose keys that collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretHash(pub(super) [u64; 2]);

impl BuildHasher for SecretHash {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0[0], self.0[1])
    }
}

impl SecretHash {
    /// Where a field belongs.
    pub(super) fn position(self, field: &[u8]) -> Position {
        let mut hasher = self.build_hasher();
        hasher.write(field);
        hasher.finish() as Position
    }
}
