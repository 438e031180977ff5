//! A shorter stream with the same end, by leaving out what does not matter.
//!
//! Greedy and bounded: good enough to read, not the least there is.

use super::Step;

/// Most attempts.
const ATTEMPTS_MAX: usize = 400;

/// A part of `steps` for which `fails` still holds; it always has the last one.
pub fn shrink(steps: &[Step], mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut kept = steps.to_vec();
    let mut piece = kept.len() / 2;
    let mut attempts = 0;
    while piece > 0 {
        let mut start = 0;
        while start + 1 < kept.len() && attempts < ATTEMPTS_MAX {
            let end = (start + piece).min(kept.len() - 1);
            let without = [&kept[..start], &kept[end..]].concat();
            attempts += 1;
            if fails(&without) {
                kept = without;
            } else {
                start = end;
            }
        }
        piece /= 2;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_that_matter_are_kept() {
        let step = |at: usize| Step { connection: at, args: vec![b"PING".to_vec()], inline: false };
        let steps: Vec<_> = (0..100).map(step).collect();
        let fails = |steps: &[Step]| [3, 57, 99].iter().all(|at| steps.contains(&step(*at)));
        assert_eq!(shrink(&steps, fails), [step(3), step(57), step(99)]);
    }
}
