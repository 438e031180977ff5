//! Unpredictable bytes for cookies, ids and TCP sequence numbers.
//!
//! Where they come from is the platform's business: RDRAND and the kernel on Hermit, `getrandom` on
//! Linux, a seed in the simulator.

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
