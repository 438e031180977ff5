//! How many times better a unikernel is than another substrate, whether more or less is better.
//!
//! `results` has the ratios; here they only get a direction.

use super::document::{NONE, TableCell, Tone};
use super::number;
use crate::record::{Measure, Metric};
use crate::results::Results;
use crate::statistics::Ratio;

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
    counted: bool,
}

impl Factor {
    /// The factor of a figure, if the run has pairs of it.
    pub fn find(
        results: &Results,
        unikernel: &str,
        against: &str,
        (measure, metric): (&Measure, Metric),
    ) -> Option<Self> {
        let found = results.ratios.iter().find(|paired| {
            (paired.unikernel.as_str(), paired.against.as_str()) == (unikernel, against)
                && (&paired.measure, paired.metric) == (measure, metric)
        })?;
        let ratio = if metric.more_is_better() { found.ratio } else { inverse(found.ratio) };
        let counted = *measure == Measure::LeastMemory || metric.is_count();
        Some(Self { ratio, alike: found.alike, counted })
    }

    /// Which is better: the unikernel, the other one, or neither that the run could tell.
    pub fn verdict(&self) -> Tone {
        let Ratio { ratio, low, high, .. } = self.ratio;
        let same = if self.counted { SAME_COUNTED } else { SAME_TIMED };
        match (low.unwrap_or(ratio / same) > 1.0, high.unwrap_or(ratio * same) < 1.0) {
            (true, _) => Tone::Better,
            (_, true) => Tone::Worse,
            _ => Tone::Same,
        }
    }

    /// The same, with the other's advantage as a number above 1 when it is the better one.
    pub fn size(&self) -> Ratio {
        if self.verdict() == Tone::Worse { inverse(self.ratio) } else { self.ratio }
    }

    /// It with its sign and its interval.
    pub fn cell(factor: Option<&Self>) -> TableCell {
        let Some(factor) = factor else { return NONE.into() };
        let (tone, size) = (factor.verdict(), factor.size());
        let sign = match tone {
            Tone::Better => "▲",
            Tone::Worse => "▼",
            Tone::Same | Tone::Plain => "≈",
        };
        let text = format!("{sign} {}", number::times(size.ratio));
        TableCell { detail: number::interval(&size), tone, ..text.into() }
    }
}

fn inverse(ratio: Ratio) -> Ratio {
    let Ratio { ratio, low, high, pairs } = ratio;
    Ratio { ratio: 1.0 / ratio, low: high.map(f64::recip), high: low.map(f64::recip), pairs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(ratio: f64, low: Option<f64>, high: Option<f64>) -> Factor {
        Factor { ratio: Ratio { ratio, low, high, pairs: 3 }, alike: true, counted: false }
    }

    #[test]
    fn an_interval_around_one_does_not_tell() {
        assert_eq!(factor(1.2, Some(0.9), Some(1.6)).verdict(), Tone::Same);
        assert_eq!(factor(1.2, Some(1.1), Some(1.3)).verdict(), Tone::Better);
        assert_eq!(factor(0.5, Some(0.4), Some(0.6)).verdict(), Tone::Worse);
    }

    #[test]
    fn one_pair_tells_more_of_counts_than_of_times() {
        assert_eq!(factor(1.2, None, None).verdict(), Tone::Same);
        assert_eq!(factor(1.3, None, None).verdict(), Tone::Better);
        let counted = |ratio| Factor { counted: true, ..factor(ratio, None, None) };
        assert_eq!(counted(1.01).verdict(), Tone::Same);
        assert_eq!(counted(0.9).verdict(), Tone::Worse);
    }

    #[test]
    fn a_loss_is_told_as_the_others_advantage() {
        let size = factor(0.25, Some(0.2), Some(0.5)).size();
        assert_eq!((size.ratio, size.low, size.high), (4.0, Some(2.0), Some(5.0)));
    }
}
