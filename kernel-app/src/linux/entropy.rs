//! The kernel's random bytes, fetched in advance, so that a cookie costs no system call.

use core::fmt;

use rustix::rand::{GetRandomFlags, getrandom};

use wire::Entropy;

/// Bytes fetched at once; the kernel gives that many without a signal in between.
const POOL_BYTES: usize = 256;

/// Random bytes of which none is given out twice.
pub struct LinuxEntropy {
    pool: [u8; POOL_BYTES],
    used: usize,
}

impl Default for LinuxEntropy {
    fn default() -> Self {
        Self { pool: [0; POOL_BYTES], used: POOL_BYTES }
    }
}

/// Shows no bytes: they are secrets.
impl fmt::Debug for LinuxEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinuxEntropy").finish_non_exhaustive()
    }
}

impl Entropy for LinuxEntropy {
    /// # Panics
    /// When the kernel has no random numbers: cookies must not become guessable.
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() > POOL_BYTES {
            return fetch(bytes);
        }
        if bytes.len() > POOL_BYTES - self.used {
            fetch(&mut self.pool);
            self.used = 0;
        }
        let given = &mut self.pool[self.used..self.used + bytes.len()];
        bytes.copy_from_slice(given);
        given.fill(0);
        self.used += bytes.len();
    }
}

fn fetch(bytes: &mut [u8]) {
    let mut fetched = 0;
    while fetched < bytes.len() {
        match getrandom(&mut bytes[fetched..], GetRandomFlags::empty()) {
            Ok(count) => fetched += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random bytes: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_bytes_are_given_twice() {
        let mut entropy = LinuxEntropy::default();
        let mut seen = BTreeSet::new();
        for round in 0..200 {
            let mut bytes = [0; 24];
            entropy.fill(&mut bytes);
            assert!(seen.insert(bytes), "round {round}");
            let mut large = std::vec![0; POOL_BYTES + 1 + round];
            entropy.fill(&mut large);
            assert!(large.chunks(24).take(10).all(|chunk| seen.iter().all(|old| old != chunk)));
        }
    }
}
