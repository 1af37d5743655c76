//! Observers: from the numbers that a value takes to the range that int8 has to cover.

use std::fmt;
use std::str::FromStr;

use crate::histogram::Histogram;
use crate::search;

/// Watches one value over the calibration samples and decides its range.
///
/// One observer exists per value and per run of consecutive samples; they are merged in the order of the samples, so
/// that even an observer whose sums depend on their order gives one result on any number of threads.
pub trait Observer: Send {
    /// Takes in one tensor of the value. All elements are finite.
    fn observe(&mut self, data: &[f32]);

    /// Takes in what another observer of the same value saw on later samples.
    fn merge(&mut self, later: Self)
    where
        Self: Sized;

    /// The smallest and the largest element seen, or `None` if there was none.
    fn extremes(&self) -> Option<(f32, f32)>;

    /// The range that int8 shall cover, within the extremes (and 0), or `None` if nothing was seen.
    fn range(&self) -> Option<(f32, f32)>;
}

/// Which observer to use for activations.
///
/// On command lines: `auto`, `minmax`, `percentile` (of 99.99 %), `percentile:99.9`, `mse`, `entropy`
/// ([`FromStr`]; [`fmt::Display`] gives the same back).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ObserverKind {
    /// For each tensor the observer with which the model's outputs come closest to float, as measured; see the crate's
    /// documentation. The report says what was chosen and why.
    #[default]
    Auto,
    /// Cover all that was seen: [`MinMax`].
    MinMax,
    /// Cover this many percent of the elements seen, 0..=100, and leave half of the others out at either end.
    Percentile(f32),
    /// The range with the least mean squared error of the tensor.
    Mse,
    /// The range with the least Kullback-Leibler divergence between the distributions before and after, as TensorRT's
    /// and ONNX Runtime's entropy calibration choose it.
    Entropy,
}

impl ObserverKind {
    /// The part of the elements that `percentile` covers if nothing else is said, in percent.
    pub const PERCENTILE: f32 = 99.99;

    /// Name for reports and command lines, without parameter.
    pub fn name(self) -> &'static str {
        match self {
            ObserverKind::Auto => "auto",
            ObserverKind::MinMax => "minmax",
            ObserverKind::Percentile(_) => "percentile",
            ObserverKind::Mse => "mse",
            ObserverKind::Entropy => "entropy",
        }
    }

    /// The range for what a histogram holds. `Auto` is not decided yet and covers all.
    pub(crate) fn range(self, histogram: &Histogram) -> Option<(f32, f32)> {
        match self {
            ObserverKind::Auto | ObserverKind::MinMax => histogram.extremes(),
            ObserverKind::Percentile(percent) => search::percentile(histogram, percent),
            ObserverKind::Mse => search::least_squares(histogram),
            ObserverKind::Entropy => search::least_divergence(histogram),
        }
    }
}

impl fmt::Display for ObserverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObserverKind::Percentile(p) => write!(f, "percentile:{p}"),
            kind => f.write_str(kind.name()),
        }
    }
}

/// A name that is no observer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no observer; take auto, minmax, percentile, percentile:P with P from 0 to 100 (as in percentile:99.9), \
     mse or entropy"
)]
pub struct ObserverNameError(String);

impl FromStr for ObserverKind {
    type Err = ObserverNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "auto" => ObserverKind::Auto,
            "minmax" => ObserverKind::MinMax,
            "percentile" => ObserverKind::Percentile(Self::PERCENTILE),
            "mse" => ObserverKind::Mse,
            "entropy" => ObserverKind::Entropy,
            _ => {
                let percent = name.strip_prefix("percentile:").and_then(|p| p.parse().ok());
                let percent = percent.filter(|p| (0.0..=100.0).contains(p));
                ObserverKind::Percentile(percent.ok_or_else(|| ObserverNameError(name.into()))?)
            }
        })
    }
}

/// The range is what was seen: nothing saturates on the calibration samples. The observer of ONNX Runtime's MinMax
/// calibration and of the TensorFlow Lite converter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MinMax {
    seen: Option<(f32, f32)>,
}

impl Observer for MinMax {
    fn observe(&mut self, data: &[f32]) {
        let Some(&first) = data.first() else { return };
        let (min, max) = self.seen.unwrap_or((first, first));
        self.seen = Some(data.iter().fold((min, max), |(min, max), &x| (min.min(x), max.max(x))));
    }

    fn merge(&mut self, later: Self) {
        self.seen = match (self.seen, later.seen) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    fn extremes(&self) -> Option<(f32, f32)> {
        self.seen
    }

    fn range(&self) -> Option<(f32, f32)> {
        self.seen
    }
}

/// Keeps a [`Histogram`] of what was seen and decides at the end, by the rule of an [`ObserverKind`].
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    rule: ObserverKind,
    histogram: Histogram,
}

impl Distribution {
    /// Has seen nothing yet.
    pub fn new(rule: ObserverKind) -> Self {
        Self { rule, histogram: Histogram::default() }
    }

    /// What was seen.
    pub fn into_histogram(self) -> Histogram {
        self.histogram
    }
}

impl Observer for Distribution {
    fn observe(&mut self, data: &[f32]) {
        self.histogram.observe(data);
    }

    fn merge(&mut self, later: Self) {
        self.histogram.merge(&later.histogram);
    }

    fn extremes(&self) -> Option<(f32, f32)> {
        self.histogram.extremes()
    }

    fn range(&self) -> Option<(f32, f32)> {
        self.rule.range(&self.histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_max_covers_all_it_saw() {
        let mut a = MinMax::default();
        assert_eq!(a.range(), None);
        a.observe(&[]);
        assert_eq!(a.range(), None);
        a.observe(&[3.0, 5.0]);
        a.observe(&[4.0]);
        assert_eq!(a.range(), Some((3.0, 5.0)));
        let mut b = MinMax::default();
        b.merge(a);
        assert_eq!(b, a);
        b.merge(MinMax::default());
        assert_eq!(b, a);
        let mut c = MinMax::default();
        c.observe(&[-1.0, 4.0]);
        b.merge(c);
        assert_eq!(b.extremes(), Some((-1.0, 5.0)));
    }

    #[test]
    fn distributions_decide_by_their_rule() {
        let data: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).chain([50.0]).collect();
        let range = |kind| {
            let mut first = Distribution::new(kind);
            assert_eq!(first.range(), None);
            first.observe(&data[..300]);
            let mut later = Distribution::new(kind);
            later.observe(&data[300..]);
            first.merge(later);
            assert_eq!(first.extremes(), Some((0.0, 50.0)));
            first.range().unwrap()
        };
        assert_eq!(range(ObserverKind::MinMax), (0.0, 50.0));
        assert_eq!(range(ObserverKind::Auto), (0.0, 50.0));
        assert_eq!(range(ObserverKind::Percentile(100.0)), (0.0, 50.0));
        let (low, high) = range(ObserverKind::Percentile(99.0));
        assert!(low == 0.0 && (0.9..1.1).contains(&high), "{low} {high}");
        assert!(range(ObserverKind::Entropy).1 <= 50.0);
    }

    #[test]
    fn names_lead_there_and_back() {
        use ObserverKind::*;
        for kind in [Auto, MinMax, Percentile(99.99), Percentile(99.9), Percentile(100.0), Mse, Entropy] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("percentile".parse(), Ok(Percentile(99.99)));
        for wrong in ["", "MinMax", "percentile:", "percentile:101", "percentile:-1", "percentile:nan", "mse:3"] {
            let error = wrong.parse::<ObserverKind>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}`")) && error.contains("entropy"), "{error}");
        }
    }
}
