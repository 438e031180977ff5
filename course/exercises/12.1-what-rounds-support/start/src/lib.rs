//! Exercise 12.1: what rounds support.
//!
//! A machine that others use is fast in one minute and slow in the next. So a benchmark goes in rounds, and in each
//! round both programs are measured. Fill in the three functions. Then a claim such as "six times as many requests"
//! can be checked and not only felt.

/// Rounds without which nothing is claimed.
pub const ROUNDS_MIN: usize = 3;

/// One round: what one program reached, and what the other one reached in the same round. Both are above 0.
pub type Round = (f64, f64);

/// The ratios of the rounds: least, middle and greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

/// What the rounds say of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every round reaches what is claimed.
    Supported,
    /// No round reaches it.
    Refuted,
    /// Some do and some do not, or there are too few of them.
    Open,
}

/// The middle of the values in order; of an even number of values, the mean of the two in the middle. None of none.
pub fn median(values: &[f64]) -> Option<f64> {
    values.first().copied()
}

/// How many times as much the first program reaches as the second. None without rounds.
pub fn ratio(rounds: &[Round]) -> Option<Ratio> {
    let (ours, theirs) = rounds.first()?;
    let only = ours / theirs;
    Some(Ratio { low: only, median: only, high: only })
}

/// Whether the first program reaches `claim` times as much as the second, as far as these rounds can tell.
pub fn verdict(rounds: &[Round], claim: f64) -> Verdict {
    let _ = (rounds, claim);
    Verdict::Supported
}
