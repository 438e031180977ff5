//! Medians, spreads and paired ratios.
//!
//! Knows nothing of what the numbers mean.

use serde::{Deserialize, Serialize};

/// Two-sided 95% quantiles of Student's t for 1 to 12 degrees of freedom; beyond them the last serves.
const STUDENT_95: [f64; 12] =
    [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179];

/// A figure with its spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle of all values.
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// The 95th percentile, by nearest rank.
    pub p95: f64,
    /// How many there are.
    pub count: usize,
}

/// Summary of values; none of none.
pub fn summary(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    };
    let p95 = sorted[(sorted.len() * 95).div_ceil(100) - 1];
    Some(Summary { median, low, high, p95, count: sorted.len() })
}

/// A ratio from paired values, with the 95% interval of its geometric mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Geometric mean of the pairs' ratios.
    pub ratio: f64,
    /// Lower end of the interval; none of a single pair.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub pairs: usize,
}

/// Ratio of the first of each pair to the second; none where a value is not above 0 or there is no pair.
pub fn paired_ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    if pairs.is_empty() || pairs.iter().any(|(a, b)| *a <= 0.0 || *b <= 0.0) {
        return None;
    }
    let logs: Vec<f64> = pairs.iter().map(|(a, b)| (a / b).ln()).collect();
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let interval = (logs.len() > 1).then(|| {
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let freedom = (logs.len() - 2).min(STUDENT_95.len() - 1);
        STUDENT_95[freedom] * (variance / count).sqrt()
    });
    Some(Ratio {
        ratio: mean.exp(),
        low: interval.map(|half| (mean - half).exp()),
        high: interval.map(|half| (mean + half).exp()),
        pairs: pairs.len(),
    })
}

/// The mean of the lowest part (the second, the fourth) of counts to which a busy host only adds. They come in a few
/// sizes, among which a median would jump.
pub fn undisturbed(mut counts: Vec<f64>, part: usize) -> f64 {
    counts.sort_by(f64::total_cmp);
    let lower = &counts[..counts.len().div_ceil(part)];
    lower.iter().sum::<f64>() / lower.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_busy_host_adds_is_left_out() {
        let counts = vec![9.0, 4.0, 100.0, 6.0, 5.0, 5.0];
        assert!((undisturbed(counts.clone(), 2) - 14.0 / 3.0).abs() < 1e-9);
        assert!((undisturbed(counts, 4) - 4.5).abs() < 1e-9);
        assert!((undisturbed(vec![7.0], 4) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn a_summary_is_the_middle_and_the_ends() {
        let of = |values: &[f64]| summary(values).expect("some values");
        assert_eq!(of(&[3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        let eleven: Vec<f64> = (1..=11).map(f64::from).collect();
        assert_eq!((of(&eleven).low, of(&eleven).high, of(&eleven).p95), (1.0, 11.0, 11.0));
        let twenty: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(of(&twenty).p95, 19.0);
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_ratio_is_of_pairs_so_that_common_noise_cancels() {
        // Each round is twice as noisy for both; the ratio stays 4.
        let ratio = paired_ratio(&[(400.0, 100.0), (800.0, 200.0), (200.0, 50.0)]).expect("pairs");
        assert!((ratio.ratio - 4.0).abs() < 1e-9 && ratio.pairs == 3);
        assert!((ratio.low.expect("an interval") - 4.0).abs() < 1e-9);
    }

    #[test]
    fn an_interval_is_student_s() {
        // Ratios e and e^3: the logs' mean is 2, their standard error 1, t(1) = 12.706.
        let e = std::f64::consts::E;
        let ratio = paired_ratio(&[(e, 1.0), (e.powi(3), 1.0)]).expect("pairs");
        assert!((ratio.ratio - e.powi(2)).abs() < 1e-9);
        assert!((ratio.high.expect("an interval").ln() - 14.706).abs() < 1e-9);
        assert_eq!(paired_ratio(&[(2.0, 1.0)]).expect("a pair").low, None);
    }

    #[test]
    fn nothing_is_compared_with_nothing() {
        assert_eq!(paired_ratio(&[]), None);
        assert_eq!(paired_ratio(&[(1.0, 0.0)]), None);
    }
}
