//! From a histogram to the range that int8 shall cover.

use crate::histogram::Histogram;
use crate::types::Quant;

/// What a factor is multiplied by from one candidate to the next narrower one.
const COARSE: f64 = 0.96;
const FINE: f64 = 0.99;
/// The narrowest candidates are this part of what was seen.
const NARROWEST: f64 = 0.01;
/// Steps of the int8 grid.
const LEVELS: usize = 255;

/// The mean squared error that int8 makes over a range, by the histogram. Zeros count; they have no error.
pub(crate) fn error(histogram: &Histogram, range: (f32, f32)) -> f64 {
    let quant = Quant::from_range(range.0, range.1);
    let scale = f64::from(quant.scale());
    let (low, high) = (f64::from(-128 - quant.zero_point), f64::from(127 - quant.zero_point));
    let (inverse, mut sum) = (1.0 / scale, 0.0);
    for bin in histogram.bins() {
        let e = bin.at - scale * (bin.at * inverse).round_ties_even().clamp(low, high);
        sum += bin.count * e * e;
    }
    sum / histogram.counted().max(1) as f64
}

/// The mean square of what was seen, by the histogram.
pub(crate) fn power(histogram: &Histogram) -> f64 {
    histogram.bins().map(|b| b.count * b.at * b.at).sum::<f64>() / histogram.counted().max(1) as f64
}

/// The range whose mean squared error is smallest; never one that is worse, by the histogram, than what was seen.
///
/// Both ends are moved towards 0 together, then one after the other as long as it helps, in steps of 4 %, then of 1 %.
pub(crate) fn least_squares(histogram: &Histogram) -> Option<(f32, f32)> {
    let seen = histogram.extremes()?;
    let scaled =
        |(a, b): (f64, f64)| ((f64::from(seen.0.min(0.0)) * a) as f32, (f64::from(seen.1.max(0.0)) * b) as f32);
    let cost = |ends: (f64, f64)| error(histogram, scaled(ends));
    let mut best = ((1.0, 1.0), cost((1.0, 1.0)));
    let search = |best: &mut ((f64, f64), f64), candidates: &mut dyn Iterator<Item = (f64, f64)>| {
        for ends in candidates {
            let c = cost(ends);
            if c < best.1 {
                *best = (ends, c);
            }
        }
    };
    search(&mut best, &mut shrinking(1.0, COARSE).map(|f| (f, f)));
    let two_sided = seen.0 < 0.0 && seen.1 > 0.0;
    for round in 0..4 {
        let before = best;
        let (a, b) = best.0;
        if round == 0 {
            search(&mut best, &mut shrinking(1.0, COARSE).map(|f| (a, f)));
            search(&mut best, &mut shrinking(1.0, COARSE).map(|f| (f, b)).filter(|_| two_sided));
        } else {
            let near = |x: f64| shrinking((x / COARSE).min(1.0), FINE).take(9);
            search(&mut best, &mut near(b).map(|f| (a, f)));
            let b = best.0.1;
            search(&mut best, &mut near(a).map(|f| (f, b)).filter(|_| two_sided));
        }
        if round > 0 && best == before {
            break;
        }
    }
    Some(if best.0 == (1.0, 1.0) { seen } else { scaled(best.0) })
}

fn shrinking(from: f64, by: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(from), move |f| Some(f * by).filter(|f| *f > NARROWEST))
}

/// The range that leaves out at most half of `100 − percent` % of the elements at either end.
pub(crate) fn percentile(histogram: &Histogram, percent: f32) -> Option<(f32, f32)> {
    let tail = (100.0 - f64::from(percent)).clamp(0.0, 100.0) / 200.0;
    histogram.central(tail)
}

/// The range for which the distribution of the quantized numbers tells most about that of the exact ones: the
/// divergence of Kullback and Leibler is smallest.
///
/// As in TensorRT, a threshold cuts both ends off at the same magnitude, what lies beyond is counted at the ends, and a
/// level's count is spread evenly over those of its bins that are not empty. Other than there, the grid is that of the
/// range that is left and not mirrored (int8 has a zero point here), and exact zeros do not count, as every range
/// represents them.
pub(crate) fn least_divergence(histogram: &Histogram) -> Option<(f32, f32)> {
    let seen = histogram.extremes()?;
    let (first, counts) = histogram.dense();
    let width = histogram.resolution();
    let (low, high) = (f64::from(seen.0.min(0.0)), f64::from(seen.1.max(0.0)));
    let bin = |x: f64| (((x / width).floor() as i64) - first).clamp(0, counts.len() as i64 - 1) as usize;
    let mut best: Option<(f64, (f64, f64))> = None;
    let mut threshold = high.max(-low);
    loop {
        let range = (low.max(-threshold), high.min(threshold));
        // With less than a bin a level, the histogram can't tell what rounding does.
        if range.1 - range.0 < LEVELS as f64 * width {
            break;
        }
        let divergence = divergence(&counts, bin(range.0), bin(range.1));
        if best.is_none_or(|(d, _)| divergence < d) {
            best = Some((divergence, range));
        }
        threshold -= 8.0 * width;
    }
    Some(best.map_or(seen, |(_, r)| if r == (low, high) { seen } else { (r.0 as f32, r.1 as f32) }))
}

/// Kullback and Leibler's divergence between the counts in bins `a..=b`, those outside moved to the ends, and what is
/// left of them on the int8 grid.
fn divergence(counts: &[f64], a: usize, b: usize) -> f64 {
    let inside = &counts[a..=b];
    let mut reference = inside.to_vec();
    reference[0] += counts[..a].iter().sum::<f64>();
    *reference.last_mut().expect("a..=b is not empty") += counts[b + 1..].iter().sum::<f64>();
    let total: f64 = reference.iter().sum();
    let kept: f64 = inside.iter().sum();
    if total == 0.0 || kept == 0.0 {
        return f64::INFINITY;
    }
    let bins = inside.len();
    let mut sum = 0.0;
    for level in 0..LEVELS {
        let (from, to) = (level * bins / LEVELS, (level + 1) * bins / LEVELS);
        let used = reference[from..to].iter().filter(|n| **n > 0.0).count();
        let mass: f64 = inside[from..to].iter().sum();
        for &p in reference[from..to].iter().filter(|p| **p > 0.0) {
            // A level that has lost all it had would be infinitely bad: its bins count as holding half an element each.
            let q = (mass / used as f64).max(0.5) / kept;
            let p = p / total;
            sum += p * (p / q).ln();
        }
    }
    sum
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

    /// Bell-shaped numbers with standard deviation `sigma`.
    fn bell(n: usize, sigma: f32) -> Vec<f32> {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..n).map(|_| ((0..12).map(|_| uniform()).sum::<f32>() - 6.0) * sigma).collect()
    }

    fn true_error(data: &[f32], range: (f32, f32)) -> f64 {
        let mut made = data.to_vec();
        Quant::from_range(range.0, range.1).fake(&mut made);
        let squares = made.iter().zip(data).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>() / data.len() as f64
    }

    #[test]
    fn an_outlier_is_cut_off_where_it_pays() {
        let mut data = bell(16_000, 1.0);
        data.push(40.0);
        let h = of(&data);
        let (low, high) = percentile(&h, 99.9).unwrap();
        assert!((2.5..12.0).contains(&high) && (-6.0..=-2.5).contains(&low), "{low} {high}");
        // The square of what one far outlier would lose outweighs the finer grid of all the others.
        let best = least_squares(&h).unwrap();
        assert!(true_error(&data, best) <= true_error(&data, h.extremes().unwrap()), "{best:?}");
        assert_eq!(percentile(&h, 100.0), h.extremes());
    }

    #[test]
    fn a_full_range_is_kept() {
        // Camera bytes, evenly used: their own grid has no error.
        let bytes: Vec<f32> = (0..16_384).map(|i| (i % 256) as f32).collect();
        assert_eq!(least_squares(&of(&bytes)), Some((0.0, 255.0)));
        let ramp: Vec<f32> = (0..16_384).map(|i| i as f32 / 16_384.0 - 0.25).collect();
        let h = of(&ramp);
        let range = least_squares(&h).unwrap();
        assert!(range.1 - range.0 > 0.98, "{range:?}");
        assert_eq!(of(&[]).extremes(), None);
        assert_eq!(least_squares(&of(&[])), None);
        assert_eq!(least_squares(&of(&[0.0; 4])), Some((0.0, 0.0)));
        assert_eq!(least_divergence(&of(&[0.0; 4])), Some((0.0, 0.0)));
    }

    #[test]
    fn one_sided_ranges_keep_their_zero() {
        let data: Vec<f32> = bell(16_000, 1.0).into_iter().map(|x| x.max(0.0)).chain([30.0]).collect();
        let h = of(&data);
        for range in [least_squares(&h), percentile(&h, 99.99), least_divergence(&h)] {
            let (low, high) = range.unwrap();
            assert!(low == 0.0 && (2.5..=30.0).contains(&high), "{low} {high}");
        }
    }

    #[test]
    fn entropy_prefers_the_body_of_a_distribution() {
        let mut data = bell(16_000, 0.1);
        data.extend([8.0, -8.0]);
        let (low, high) = least_divergence(&of(&data)).unwrap();
        assert!(high < 4.0 && low > -4.0, "{low} {high}");
    }

    proptest! {
        #[test]
        fn least_squares_is_never_worse_than_the_extremes(
            data in prop::collection::vec((-6f32..3.0, -1f32..1.0), 1..200), shift in -1f32..1.0,
        ) {
            let data: Vec<f32> = data.into_iter().map(|(e, m)| m * e.exp2() + shift).collect();
            let h = of(&data);
            let (seen, range) = (h.extremes().unwrap(), least_squares(&h).unwrap());
            prop_assert!(error(&h, range) <= error(&h, seen));
            prop_assert!(range.0 >= seen.0.min(0.0) && range.1 <= seen.1.max(0.0));
            // In truth as well, but for what a bin cannot tell: where in it an element lies.
            let slack = h.resolution();
            let (found, all) = (true_error(&data, range).sqrt(), true_error(&data, seen).sqrt());
            prop_assert!(found <= all + slack, "{range:?}: {found}, {seen:?}: {all}, bin {slack}");
        }

        #[test]
        fn ranges_lie_within_what_was_seen(
            data in prop::collection::vec(-100f32..100.0, 1..100), percent in 0f32..=100.0,
        ) {
            let h = of(&data);
            let (low, high) = h.extremes().unwrap();
            for range in [least_squares(&h), percentile(&h, percent), least_divergence(&h)] {
                let (a, b) = range.unwrap();
                prop_assert!(a >= low.min(0.0) && b <= high.max(0.0), "{a} {b} is not in {low} {high}");
            }
        }
    }
}
