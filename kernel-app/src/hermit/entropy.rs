//! Random bytes: ChaCha8, with a key from the processor's random generator or from a virtio-rng device.
//!
//! Fresh random words are mixed into all that is drawn, so that two machines that are restored from one snapshot have
//! no part of it in common. The kernel's `read_entropy` is not used: if the processor has no generator, it gives 31
//! bits of the time-stamp counter and reports success. Reference: Intel, Digital Random Number Generator software
//! implementation guide.

use alloc::boxed::Box;
use core::arch::x86_64::{__cpuid, __cpuid_count, _rdrand64_step, _rdseed64_step};
use core::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::entropy_device::{EntropyDevice, EntropyDeviceError};
use wire::Entropy;

/// CPUID leaf 1, ECX, and leaf 7, EBX: the processor has RDRAND, and RDSEED.
const CPUID_RDRAND: u32 = 1 << 30;
const CPUID_RDSEED: u32 = 1 << 18;
/// How often each is tried before the processor counts as broken; RDSEED can run dry for some microseconds.
const RDRAND_TRIES: usize = 10;
const RDSEED_TRIES: usize = 1000;
/// Words of the key.
const KEY_WORDS: usize = 4;

/// Why there are no unpredictable bytes.
pub enum NoEntropy {
    /// The processor has no generator, and there is no device.
    Nothing,
    /// The processor's gives nothing, or the same again and again.
    Broken,
    /// The device cannot be used.
    Device(EntropyDeviceError),
}

impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mend = "give the machine a processor with RDRAND (QEMU: -cpu max or host) or a virtio-rng device \
                    (-device virtio-rng-pci, on microvm virtio-rng-device)";
        match self {
            Self::Nothing => {
                write!(f, "no source of entropy: the processor has neither RDSEED nor RDRAND; {mend}")
            }
            Self::Broken => {
                write!(f, "no source of entropy: the processor's RDRAND gives no random words; {mend}")
            }
            Self::Device(error) => write!(f, "no source of entropy: {error}; {mend}"),
        }
    }
}

/// Where fresh words come from.
enum Source {
    Processor(Processor),
    Device(Box<EntropyDevice>),
}

/// Words that are drawn from the generator at once: four of its blocks, which it makes in the time of one.
const STOCK_WORDS: usize = 32;
const WORD_BYTES: usize = 8;

/// The generator of this machine.
pub struct HermitEntropy {
    generator: ChaCha8Rng,
    /// What was drawn, and how many of it were given away and are zero.
    stock: [u64; STOCK_WORDS],
    given: usize,
    source: Source,
}

impl HermitEntropy {
    /// Keys the generator. The device is looked for only where the processor has none.
    #[cold]
    pub fn new(
        find_device: impl FnOnce() -> Result<Option<EntropyDevice>, EntropyDeviceError>,
    ) -> Result<Self, NoEntropy> {
        let processor = Processor::find().map(Source::Processor);
        let broken = if processor.is_some() { NoEntropy::Broken } else { NoEntropy::Nothing };
        let usable = processor.and_then(|mut source| source.key().map(|key| (source, key)));
        let (source, key) = match usable {
            Some(usable) => usable,
            None => {
                let device = find_device().map_err(NoEntropy::Device)?.ok_or(broken)?;
                let mut source = Source::Device(Box::new(device));
                let key = source.key().ok_or(NoEntropy::Device(EntropyDeviceError::NoAnswer))?;
                (source, key)
            }
        };
        let generator = ChaCha8Rng::from_seed(key);
        Ok(Self { generator, stock: [0; STOCK_WORDS], given: STOCK_WORDS, source })
    }
}

impl HermitEntropy {
    /// A word from the stock, with a fresh one mixed in.
    #[inline]
    fn word(&mut self) -> u64 {
        if self.given == STOCK_WORDS {
            self.restock();
        }
        let drawn = core::mem::take(&mut self.stock[self.given]);
        self.given += 1;
        drawn ^ self.source.fresh()
    }

    fn restock(&mut self) {
        self.stock.fill_with(|| self.generator.next_u64());
        self.given = 0;
    }
}

impl Entropy for HermitEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        let (words, rest) = bytes.as_chunks_mut::<WORD_BYTES>();
        for word in words {
            *word = self.word().to_le_bytes();
        }
        if !rest.is_empty() {
            let word = self.word().to_le_bytes();
            rest.copy_from_slice(&word[..rest.len()]);
        }
    }
}

impl Source {
    /// A word to mix in. A source that fails once takes nothing away from what the key gives.
    fn fresh(&mut self) -> u64 {
        self.word().unwrap_or_default()
    }

    fn word(&mut self) -> Option<u64> {
        match self {
            Self::Processor(processor) => processor.word(),
            Self::Device(device) => device.word(),
        }
    }

    /// A key of words none of which repeats another: processors are known that say all is well and give the same
    /// word for ever.
    fn key(&mut self) -> Option<[u8; 8 * KEY_WORDS]> {
        let mut words = [0; KEY_WORDS];
        for index in 0..KEY_WORDS {
            words[index] = self.word()?;
            if words[..index].contains(&words[index]) {
                return None;
            }
        }
        let mut key = [0; 8 * KEY_WORDS];
        key.chunks_exact_mut(8)
            .zip(words)
            .for_each(|(place, word)| place.copy_from_slice(&word.to_le_bytes()));
        Some(key)
    }
}

/// The processor's generators that exist.
struct Processor {
    rdseed: bool,
    rdrand: bool,
}

impl Processor {
    fn find() -> Option<Self> {
        let rdseed = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & CPUID_RDSEED != 0;
        let rdrand = __cpuid(1).ecx & CPUID_RDRAND != 0;
        (rdseed || rdrand).then_some(Self { rdseed, rdrand })
    }

    /// RDRAND serves as well as RDSEED for words that are mixed into a key, and never runs dry for long.
    fn word(&self) -> Option<u64> {
        // SAFETY: CPUID has said that the instruction exists.
        let rdrand = |word: &mut u64| unsafe { _rdrand64_step(word) };
        // SAFETY: as above.
        let rdseed = |word: &mut u64| unsafe { _rdseed64_step(word) };
        let from_rdrand = self.rdrand.then(|| draw(RDRAND_TRIES, rdrand)).flatten();
        from_rdrand.or_else(|| self.rdseed.then(|| draw(RDSEED_TRIES, rdseed)).flatten())
    }
}

/// A word that an instruction gives. All zeros and all ones are what broken ones give.
fn draw(tries: usize, step: impl Fn(&mut u64) -> i32) -> Option<u64> {
    (0..tries).find_map(|_| {
        let mut word = 0;
        (step(&mut word) == 1 && word != 0 && word != u64::MAX).then_some(word)
    })
}
