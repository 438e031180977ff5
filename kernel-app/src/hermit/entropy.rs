//! Unpredictable bytes: ChaCha20 keyed from RDRAND and the kernel's own pool.
//!
//! Never keyed by the clock alone: without either source the machine does not start.

use core::arch::x86_64::{__cpuid, _rdrand64_step};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::entropy::Entropy;

/// CPUID leaf 1, ECX: the processor has RDRAND.
const CPUID_RDRAND: u32 = 1 << 30;
/// Intel's advice for how often to try RDRAND before giving up.
const RDRAND_TRIES: usize = 10;

/// The generator of this machine.
pub struct HermitEntropy(ChaCha20Rng);

impl HermitEntropy {
    /// Keys the generator; none when the machine has no source of entropy.
    pub fn new() -> Option<Self> {
        let mut seed = [0; 32];
        let kernel = mix_kernel(&mut seed);
        let processor = mix_processor(&mut seed);
        (kernel || processor).then(|| Self(ChaCha20Rng::from_seed(seed)))
    }
}

impl Entropy for HermitEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

fn mix_kernel(seed: &mut [u8; 32]) -> bool {
    let mut bytes = [0; 32];
    // SAFETY: the kernel writes at most `len` bytes to a buffer of that many.
    let count = unsafe { hermit_abi::read_entropy(bytes.as_mut_ptr(), bytes.len(), 0) };
    seed.iter_mut().zip(bytes).for_each(|(seed, byte)| *seed ^= byte);
    usize::try_from(count) == Ok(bytes.len())
}

fn mix_processor(seed: &mut [u8; 32]) -> bool {
    if __cpuid(1).ecx & CPUID_RDRAND == 0 {
        return false;
    }
    seed.chunks_exact_mut(8).all(|chunk| {
        let Some(word) = rdrand() else { return false };
        chunk.iter_mut().zip(word.to_le_bytes()).for_each(|(seed, byte)| *seed ^= byte);
        true
    })
}

fn rdrand() -> Option<u64> {
    let mut word = 0;
    (0..RDRAND_TRIES).find_map(|_| {
        // SAFETY: CPUID has just said that the instruction exists.
        let status = unsafe { _rdrand64_step(&mut word) };
        (status == 1).then_some(word)
    })
}
