//! Header prediction: whatever segments come, a stack that predicts does the same as one that does not.
//!
//! The bytes are choices: which segments come, what the applications do, how much time passes. The two stacks are those
//! of `edited-smoltcp`'s own test, which plays sequences by the million.

#[path = "../../../edited-smoltcp/tests/differential/conversation.rs"]
mod conversation;
#[path = "../../../edited-smoltcp/tests/differential/forged.rs"]
mod forged;
#[path = "../../../edited-smoltcp/tests/differential/pair.rs"]
#[expect(dead_code, reason = "only the test asks how much was predicted")]
mod pair;

/// Steps of one input; what is not chosen any more is the first of what can be chosen.
const STEPS: u32 = 64;

/// Choices that an input makes.
struct Chosen<'a>(&'a [u8]);

impl pair::Choices for Chosen<'_> {
    fn below(&mut self, limit: u32) -> u32 {
        let bytes = if limit > 1 << 8 { 4 } else { 1 };
        let (now, later) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = later;
        now.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) % limit
    }
}

/// Plays the input; the first byte says which kind of sequence it is.
pub fn check(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let mut chosen = Chosen(rest);
    let mut pair = match kind % 2 {
        0 => forged::play(&mut chosen, STEPS),
        _ => conversation::play(&mut chosen, STEPS),
    };
    pair.compare_all();
}
