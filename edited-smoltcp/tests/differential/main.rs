//! Header prediction compared with smoltcp's own way: whatever comes, both do the same.
//!
//! Sequences of segments are played to two stacks, of which one predicts. After each step both must have sent the same
//! frames, given the application the same bytes, and be in the same state. Sequences are drawn at random: from fields
//! that are often right and sometimes not, and from a conversation with a third stack over a wire that loses, repeats
//! and reorders.

mod conversation;
mod forged;
mod pair;

use pair::{Choices, Pair};

/// Sequences of either kind.
const SEQUENCES: u64 = 500_000;
/// Threads that play them.
const THREADS: u64 = 2;

/// A generator that is quick and gives the same everywhere (Marsaglia's xorshift64*).
struct Random(u64);

impl Choices for Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((number * u64::from(limit)) >> 32) as u32
    }
}

/// Plays sequences, each of its own seed, and sums up what was predicted.
fn play(sequence: impl Fn(&mut Random) -> Pair + Copy + Send + Sync) -> pair::Predicted {
    let part = |thread: u64| {
        let mut sum = pair::Predicted::default();
        for seed in (thread..SEQUENCES).step_by(THREADS as usize) {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let guard = Seed(seed);
            let mut pair = sequence(&mut random);
            if seed % 64 == 0 {
                pair.compare_all();
            }
            core::mem::forget(guard);
            sum.begun += pair.predicted().begun;
            sum.received += pair.predicted().received;
            sum.sent += pair.predicted().sent;
        }
        sum
    };
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || part(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no difference")).collect::<Vec<_>>()
    });
    pair::Predicted {
        begun: parts.iter().map(|part| part.begun).sum(),
        received: parts.iter().map(|part| part.received).sum(),
        sent: parts.iter().map(|part| part.sent).sum(),
    }
}

/// Tells the seed of a sequence that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        eprintln!("the sequence of seed {} shows a difference", self.0);
    }
}

#[test]
fn forged_segments_do_the_same_to_both() {
    let predicted = play(|random| forged::play(random, 24));
    // Or nothing would have been compared.
    let least = [predicted.begun * 8, predicted.received, predicted.sent];
    assert!(least.iter().all(|count| *count > SEQUENCES), "{predicted:?}");
}

#[test]
fn a_conversation_over_a_bad_wire_is_the_same_with_both() {
    let predicted = play(|random| conversation::play(random, 24));
    let least = [predicted.begun * 8, predicted.received, predicted.sent];
    assert!(least.iter().all(|count| *count > SEQUENCES), "{predicted:?}");
}
