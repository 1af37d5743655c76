//! Observers: from the numbers that a value takes to the range that int8 has to cover.

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

    /// The range that int8 shall cover, within the extremes, or `None` if nothing was seen.
    fn range(&self) -> Option<(f32, f32)>;
}

/// Which observer to use for activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObserverKind {
    /// Cover all that was seen: [`MinMax`].
    #[default]
    MinMax,
}

impl ObserverKind {
    /// Name for reports and command lines.
    pub fn name(self) -> &'static str {
        match self {
            ObserverKind::MinMax => "minmax",
        }
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
}
