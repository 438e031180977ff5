//! How many times better a unikernel is than another substrate, whether more or less is better.
//!
//! `results` has the ratios; here they only get a direction.

use super::labels;
use crate::record::{Measure, Metric};
use crate::results::{Comparison, Results};
use crate::statistics::Ratio;
use crate::substrate::Execution;

/// Without an interval, a ratio up to this is no difference: of what is counted, and of what is timed on a
/// machine that is never quiet.
const SAME_COUNTED: f64 = 1.02;
const SAME_TIMED: f64 = 1.25;

/// A ratio turned so that more is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    /// Times better, with its interval; below 1: worse.
    pub ratio: Ratio,
    /// Whether both run on the same kind of processor.
    pub alike: bool,
    /// Whether it is of counts, which hardly vary, and not of times.
    pub counted: bool,
    /// What is compared with what, such as `emulated against native`.
    pub pairing: String,
}

/// Which of the two is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The unikernel.
    Better,
    /// The other.
    Worse,
    /// The interval holds 1: the run does not tell.
    Same,
}

impl Factor {
    /// The factor of a figure, if the run has pairs of it.
    pub fn find(
        results: &Results,
        unikernel: &str,
        against: &str,
        measure: &Measure,
        metric: Metric,
    ) -> Option<Self> {
        let is_it = |comparison: &&Comparison| {
            comparison.unikernel == unikernel
                && comparison.against == against
                && comparison.measure == *measure
                && comparison.metric == metric
        };
        let comparison = results.ratios.iter().find(is_it)?;
        let ratio = if metric.more_is_better() { comparison.ratio } else { inverse(comparison.ratio) };
        let execution = |id| execution(results, id).unwrap_or(Execution::Native);
        Some(Self {
            ratio,
            alike: comparison.alike,
            counted: is_counted(measure, metric),
            pairing: labels::pairing(execution(unikernel), execution(against)),
        })
    }

    /// Which is better.
    pub fn verdict(&self) -> Verdict {
        let Ratio { ratio, low, high, .. } = self.ratio;
        let same = if self.counted { SAME_COUNTED } else { SAME_TIMED };
        let (low, high) = (low.unwrap_or(ratio / same), high.unwrap_or(ratio * same));
        match (low > 1.0, high < 1.0) {
            (true, _) => Verdict::Better,
            (_, true) => Verdict::Worse,
            _ => Verdict::Same,
        }
    }

    /// The same, with the other's advantage as a number above 1 when it is the better one.
    pub fn size(&self) -> Ratio {
        if self.verdict() == Verdict::Worse { inverse(self.ratio) } else { self.ratio }
    }
}

/// What runs the instructions of a substrate of these results.
pub fn execution(results: &Results, id: &str) -> Option<Execution> {
    results.substrates.iter().find(|row| row.id == id).map(|row| row.execution)
}

fn is_counted(measure: &Measure, metric: Metric) -> bool {
    let counts = [
        Metric::Bytes,
        Metric::CompressedBytes,
        Metric::Instructions,
        Metric::DeviceAccesses,
        Metric::Instances,
    ];
    *measure == Measure::LeastMemory || counts.contains(&metric)
}

fn inverse(ratio: Ratio) -> Ratio {
    Ratio {
        ratio: 1.0 / ratio.ratio,
        low: ratio.high.map(|high| 1.0 / high),
        high: ratio.low.map(|low| 1.0 / low),
        pairs: ratio.pairs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(ratio: f64, low: Option<f64>, high: Option<f64>) -> Factor {
        Factor {
            ratio: Ratio { ratio, low, high, pairs: 3 },
            alike: true,
            counted: false,
            pairing: String::new(),
        }
    }

    #[test]
    fn an_interval_around_one_does_not_tell() {
        assert_eq!(factor(1.2, Some(0.9), Some(1.6)).verdict(), Verdict::Same);
        assert_eq!(factor(1.2, Some(1.1), Some(1.3)).verdict(), Verdict::Better);
        assert_eq!(factor(0.5, Some(0.4), Some(0.6)).verdict(), Verdict::Worse);
    }

    #[test]
    fn one_pair_tells_more_of_counts_than_of_times() {
        assert_eq!(factor(1.2, None, None).verdict(), Verdict::Same);
        assert_eq!(factor(1.3, None, None).verdict(), Verdict::Better);
        let counted = |ratio| Factor { counted: true, ..factor(ratio, None, None) };
        assert_eq!(counted(1.01).verdict(), Verdict::Same);
        assert_eq!(counted(0.9).verdict(), Verdict::Worse);
    }

    #[test]
    fn a_loss_is_told_as_the_others_advantage() {
        let size = factor(0.25, Some(0.2), Some(0.5)).size();
        assert_eq!((size.ratio, size.low, size.high), (4.0, Some(2.0), Some(5.0)));
    }
}
