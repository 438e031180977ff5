//! The interface to random bytes for cookies, ids and TCP sequence numbers.
//!
//! The platform provides the bytes: from RDRAND, RDSEED or virtio-rng on Hermit, from `getrandom` on Linux, and from
//! a seed in the simulator.

/// A source of unpredictable bytes.
pub trait Entropy {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// A random number.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
