//! Real scales to integer multipliers of the native arithmetic.

use carafe::TensorInfo;

/// Multipliers M and the shift they share: `scale ≈ M · 2^shift / 2³²` with M below 2³¹, and at least 16 bits in the
/// largest. Scales are positive.
pub(super) fn multipliers(scales: &[f64]) -> (Vec<i32>, i8) {
    let max = scales.iter().copied().fold(0.0f64, f64::max);
    let mut shift = 0i8;
    while shift < 24 && max / 2f64.powi(i32::from(shift)) >= 0.5 {
        shift += 1;
    }
    while shift > -16 && shift <= 0 && max * 2f64.powi(32 - i32::from(shift)) < 32768.0 {
        shift -= 1;
    }
    let unit = 2f64.powi(32 - i32::from(shift));
    let m = scales.iter().map(|s| (s * unit).round().clamp(0.0, f64::from(i32::MAX)) as i32).collect();
    (m, shift)
}

/// Channel parameters: bias, multiplier, both i32.
pub(super) fn channels(biases: &[i32], multipliers: &[i32]) -> Vec<u8> {
    biases.iter().zip(multipliers).flat_map(|(b, m)| [b.to_le_bytes(), m.to_le_bytes()].concat()).collect()
}

/// Folds the zero point of operand `x` into the bias of one channel: `bias − zero_point · Σw`. `None` if an accumulator,
/// or the accumulator shifted left by `shift`, could leave i32, in whatever order products are added.
pub(super) fn fold_bias(
    bias: i32,
    weights: impl Iterator<Item = i8> + Clone,
    x: &TensorInfo,
    shift: i8,
) -> Option<i32> {
    let sum: i64 = weights.clone().map(i64::from).sum();
    let magnitude: i64 = weights.map(|w| i64::from(w).abs()).sum();
    let folded = i64::from(bias) - i64::from(x.zero()) * sum;
    let greatest = if x.unsigned() { 255 } else { 128 };
    let bound = folded.abs() + greatest * magnitude;
    // Shifted left, only the final sum counts: |Σ(x − zero_point)·w + bias|.
    let last = (i64::from(bias).abs() + 255 * magnitude) << shift.max(0);
    (bound <= i64::from(i32::MAX) && last <= i64::from(i32::MAX)).then_some(folded as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe::DType;
    use carafe::arithmetic::{Arithmetic, Native};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn multipliers_stand_for_their_scales(scale in -20f64..10.0, acc in -20000i32..20000) {
            let scale = scale.exp2();
            let (m, shift) = multipliers(&[scale]);
            prop_assert!(m[0] >= 1 << 15 || scale < 2f64.powi(-32), "{} {}", m[0], shift);
            let got = f64::from(Native::requantize(acc, m[0], shift));
            let want = f64::from(acc) * scale;
            prop_assert!((got - want).abs() <= 0.51 + want.abs() / 32768.0, "{got} {want}");
        }
    }

    #[test]
    fn overflow_is_seen() {
        let x = |zero_point| TensorInfo::unplaced(1, 1, 1, zero_point);
        assert_eq!(fold_bias(5, [1i8, 2].into_iter(), &x(-3), 0), Some(14));
        assert_eq!(fold_bias(i32::MAX, [1i8].into_iter(), &x(-3), 0), None);
        assert_eq!(fold_bias(0, std::iter::repeat_n(127i8, 100), &x(0), 20), None);
        let bytes = TensorInfo { dtype: DType::U8, ..x(-3) };
        assert_eq!(fold_bias(5, [1i8, 2].into_iter(), &bytes, 0), Some(5 - 3 * 253));
        assert_eq!(fold_bias(i32::MAX - 300, [1i8].into_iter(), &x(0), 0), Some(i32::MAX - 300));
        assert_eq!(fold_bias(i32::MAX - 200, [1i8].into_iter(), &TensorInfo { dtype: DType::U8, ..x(0) }, 0), None);
    }
}
