//! Histograms that grow with what they see, in bounded memory, and whose merging is exact.

/// Most bins that a histogram has.
pub(crate) const BINS: usize = 2048;
/// About how many elements of a tensor are counted; from more, evenly spread ones.
const COUNTED: usize = 1 << 14;
/// The width of the narrowest bins is 2 to this power: below the smallest f32.
const FINEST: i32 = -160;

/// How often a value took which numbers.
///
/// Bins are `[k·w, (k+1)·w)` with a width `w` that is a power of two, the smallest for which a fixed number of bins (2,048) cover all
/// numbers seen and 0. When the range grows, `w` doubles and pairs of bins become one, which loses nothing that counting
/// in the wider bins from the start would have kept. So the content depends on what was seen alone: not on the order, not
/// on how it was distributed over histograms that were merged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    extremes: Option<(f32, f32)>,
    /// Width of a bin, as a power of two.
    exponent: i32,
    /// The `k` of the first bin.
    first: i64,
    counts: Vec<u64>,
    /// How many of those counted were exactly 0, which every range represents without an error.
    zeros: u64,
    total: u64,
}

/// A bin with something in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bin {
    /// The number that stands for all in the bin: its middle, within the extremes.
    pub(crate) at: f64,
    pub(crate) count: f64,
}

impl Histogram {
    /// Counts the elements of a tensor: all of up to 16,384, of larger ones every n-th, n prime to the number of
    /// elements, so that all channels are seen. The extremes are those of all elements. All must be finite.
    pub fn observe(&mut self, data: &[f32]) {
        let Some(&first) = data.first() else { return };
        let (min, max) = data.iter().fold((first, first), |(min, max), &x| (min.min(x), max.max(x)));
        self.widen(min, max);
        let (inverse, first) = (exp2(-self.exponent), self.first);
        let step = step(data.len());
        for x in data.iter().step_by(step) {
            let scaled = f64::from(*x) * inverse;
            let truncated = scaled as i64;
            let k = truncated - i64::from(scaled < truncated as f64);
            if let Some(count) = self.counts.get_mut((k - first) as usize) {
                *count += 1;
            }
            self.zeros += u64::from(*x == 0.0);
        }
        self.total += data.len().div_ceil(step) as u64;
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        let Some((min, max)) = other.extremes else { return };
        self.widen(min, max);
        add_counts(self, other);
        self.zeros += other.zeros;
        self.total += other.total;
    }

    /// The smallest and the largest element seen.
    pub fn extremes(&self) -> Option<(f32, f32)> {
        self.extremes
    }

    /// How many elements were counted.
    pub fn counted(&self) -> u64 {
        self.total
    }

    /// The width of a bin.
    pub fn resolution(&self) -> f64 {
        exp2(self.exponent)
    }

    /// Makes room for the interval, and for 0.
    fn widen(&mut self, min: f32, max: f32) {
        let (low, high) = self.extremes.map_or((min, max), |(a, b)| (a.min(min), b.max(max)));
        let fresh = self.counts.is_empty();
        if !fresh && self.extremes == Some((low, high)) {
            return;
        }
        let (exponent, first, bins) = layout(low, high);
        let before = std::mem::replace(self, Self { extremes: Some((low, high)), exponent, first, ..Self::default() });
        self.counts = vec![0; bins];
        (self.zeros, self.total) = (before.zeros, before.total);
        add_counts(self, &before);
    }

    /// The bins with anything but zeros in them, in order.
    pub(crate) fn bins(&self) -> impl Iterator<Item = Bin> + '_ {
        let (width, (low, high)) = (self.resolution(), self.extremes.unwrap_or_default());
        self.counts.iter().enumerate().filter_map(move |(i, &n)| {
            let k = self.first + i as i64;
            let n = if k == 0 { n - self.zeros } else { n };
            let at = ((k as f64 + 0.5) * width).clamp(f64::from(low), f64::from(high));
            (n > 0).then_some(Bin { at, count: n as f64 })
        })
    }

    /// All bins, empty ones too, zeros left out, and the `k` of the first.
    pub(crate) fn dense(&self) -> (i64, Vec<f64>) {
        let mut counts: Vec<f64> = self.counts.iter().map(|&n| n as f64).collect();
        if let Some(n) = counts.get_mut(-self.first as usize) {
            *n -= self.zeros as f64;
        }
        (self.first, counts)
    }

    /// The interval that leaves at most the fraction `tail` of the elements out at either end; zeros count.
    pub(crate) fn central(&self, tail: f64) -> Option<(f32, f32)> {
        let (low, high) = self.extremes?;
        let out = (tail * self.total as f64) as u64;
        let beyond = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut sum = 0;
            counts
                .take_while(|&&n| {
                    sum += n;
                    sum <= out
                })
                .count() as i64
        };
        let (below, above) = (beyond(&mut self.counts.iter()), beyond(&mut self.counts.iter().rev()));
        let end = |k: i64| (k as f64 * self.resolution()) as f32;
        let a = if below == 0 { low } else { end(self.first + below).max(low) };
        let b = if above == 0 { high } else { end(self.first + self.counts.len() as i64 - above).min(high) };
        Some((a, b.max(a)))
    }
}

/// Exponent, first bin and number of bins for an interval.
fn layout(low: f32, high: f32) -> (i32, i64, usize) {
    let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
    let span = high - low;
    // One too small at most, and then the loop goes on.
    let mut exponent = if span > 0.0 { (span.log2().floor() as i32 - 11).max(FINEST) } else { FINEST };
    loop {
        let k = |x: f64| (x * exp2(-exponent)).floor() as i64;
        let bins = k(high) - k(low) + 1;
        if bins <= BINS as i64 {
            return (exponent, k(low), bins as usize);
        }
        exponent += 1;
    }
}

/// Adds `from`'s counts to the bins of `to`, which are as wide or wider, and hold them all.
fn add_counts(to: &mut Histogram, from: &Histogram) {
    let shift = (to.exponent - from.exponent).clamp(0, 63);
    for (i, &n) in from.counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let k = (from.first + i as i64) >> shift;
        if let Some(count) = to.counts.get_mut((k - to.first) as usize) {
            *count += n;
        }
    }
}

fn exp2(exponent: i32) -> f64 {
    2f64.powi(exponent)
}

/// Every how many elements one is counted.
fn step(len: usize) -> usize {
    const PRIMES: [usize; 24] =
        [1, 2, 3, 5, 7, 11, 13, 17, 23, 29, 37, 47, 61, 79, 101, 131, 167, 211, 271, 347, 439, 557, 701, 883];
    let wanted = len / COUNTED;
    PRIMES.into_iter().find(|&p| p >= wanted && (p == 1 || !len.is_multiple_of(p))).unwrap_or(wanted.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(data: &[f32]) -> Histogram {
        let mut h = Histogram::default();
        h.observe(data);
        h
    }

    #[test]
    fn bins_hold_what_lies_in_them() {
        let h = of(&[0.0, 0.0, 1.0, 2.0, 2.0, -0.001]);
        assert_eq!(h.extremes(), Some((-0.001, 2.0)));
        assert_eq!(h.counted(), 6);
        assert!(h.resolution() <= 2.001 / 1024.0);
        let bins: Vec<Bin> = h.bins().collect();
        assert_eq!(bins.iter().map(|b| b.count).collect::<Vec<_>>(), [1.0, 1.0, 2.0], "zeros are left out");
        for (bin, x) in bins.iter().zip([-0.001, 1.0, 2.0]) {
            assert!((bin.at - x).abs() <= h.resolution() / 2.0, "{bin:?} is not {x}");
        }
        let (first, dense) = h.dense();
        assert_eq!(dense.iter().sum::<f64>(), 4.0);
        assert_eq!(first, -1);
    }

    #[test]
    fn zeros_alone_and_nothing() {
        assert_eq!(of(&[]).extremes(), None);
        let h = of(&[0.0; 9]);
        assert_eq!((h.extremes(), h.bins().count(), h.counted()), (Some((0.0, 0.0)), 0, 9));
        let mut grown = h;
        grown.observe(&[3.0e38, -3.0e38]);
        assert_eq!((grown.bins().count(), grown.counted()), (2, 11));
        assert_eq!(of(&[1e-44]).bins().count(), 1);
    }

    #[test]
    fn percentiles() {
        let data: Vec<f32> = (0..10_000).map(|i| i as f32 / 10_000.0).collect();
        let mut h = of(&data);
        let (low, high) = h.central(0.01).unwrap();
        assert!((low - 0.01).abs() < 0.001 && (high - 0.99).abs() < 0.001, "{low} {high}");
        assert_eq!(h.central(0.0), Some((0.0, 0.9999)));
        h.observe(&[100.0]);
        let (_, high) = h.central(0.001).unwrap();
        assert!((high - 1.0).abs() < 0.11, "{high}");
        // Half of a ReLU's elements are 0: what is below is not cut off.
        let h = of(&[&[0.0; 500][..], &data[..500]].concat());
        assert_eq!(h.central(0.1).unwrap().0, 0.0);
        assert_eq!(Histogram::default().central(0.1), None);
    }

    #[test]
    fn large_tensors_are_sampled_in_all_channels() {
        for (len, channels) in [(112 * 112 * 96, 96), (56 * 56 * 24, 24), (1 << 20, 64), (3 * 224 * 224, 3)] {
            let step = step(len);
            assert!(len / step <= 2 * COUNTED && len / step >= COUNTED / 2, "{len} by {step}");
            let seen: std::collections::BTreeSet<usize> = (0..len).step_by(step).map(|i| i % channels).collect();
            assert_eq!(seen.len(), channels);
        }
        assert_eq!(step(COUNTED), 1);
        let mut data = vec![0.0; 1 << 20];
        data[12_345] = 7.0;
        assert_eq!(of(&data).extremes(), Some((0.0, 7.0)), "extremes are those of all elements");
    }

    fn parts() -> impl Strategy<Value = Vec<Vec<f32>>> {
        let number = (-20f32..20.0, -1f32..1.0, 0..4u8).prop_map(|(e, m, z)| if z == 0 { 0.0 } else { e.exp2() * m });
        prop::collection::vec(prop::collection::vec(number, 0..40), 1..6)
    }

    proptest! {
        #[test]
        fn order_and_partition_do_not_matter(parts in parts(), split in 0..6usize) {
            let all: Vec<f32> = parts.concat();
            let whole = of(&all);
            // One after the other, into one histogram.
            let mut grown = Histogram::default();
            parts.iter().for_each(|p| grown.observe(p));
            prop_assert_eq!(&grown, &whole);
            // From histograms, in two groups, and backwards.
            let merged = |parts: &mut dyn Iterator<Item = &Vec<f32>>| {
                let mut h = Histogram::default();
                parts.for_each(|p| h.merge(&of(p)));
                h
            };
            let (a, b) = parts.split_at(split.min(parts.len()));
            let mut ab = merged(&mut a.iter());
            ab.merge(&merged(&mut b.iter()));
            prop_assert_eq!(&ab, &whole);
            prop_assert_eq!(&merged(&mut parts.iter().rev()), &whole);
            prop_assert_eq!(whole.counts.iter().sum::<u64>(), all.len() as u64);
            prop_assert!(whole.counts.len() <= BINS);
        }

        #[test]
        fn every_element_is_near_its_bin(data in prop::collection::vec(-1e3f32..1e3, 1..50)) {
            let h = of(&data);
            let bins: Vec<Bin> = h.bins().collect();
            for x in data {
                prop_assert!(bins.iter().any(|b| (b.at - f64::from(x)).abs() <= h.resolution()));
            }
        }
    }
}
