use super::{Arithmetic, Channel};
use crate::Fault;
use crate::ops::{AddRecord, SoftmaxRecord};
use crate::record::Field;

/// The rule of TensorFlow Lite's reference kernels, bit for bit: double rounding in
/// `MultiplyByQuantizedMultiplier`, single rounding in dense layers, and gemmlowp's fixed-point exponential in softmax
/// (`tensorflow/lite/kernels/internal/common.h`, `reference/integer_ops/fully_connected.h`, `reference/softmax.h`,
/// `gemmlowp/fixedpoint/fixedpoint.h`).
///
/// A mean is requantized as a convolution is, with a multiplier that has the division by the count in it: q of the
/// ratio of scales is shifted left by ⌊log₂ count⌋ (but to no right shift above 31) and divided by the count, rounding
/// down, and the shift is less by as much.
#[derive(Clone, Copy, Debug)]
pub enum Tflite {}

/// `SaturatingRoundingDoublingHighMul`: (a·b·2) rounded to the upper 32 bits.
#[inline(never)]
fn high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let ab = i64::from(a) * i64::from(b);
    let nudge = if ab >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    // Truncating division, as in the original: a shift would round negatives down.
    ((ab + nudge) / (1i64 << 31)) as i32
}

/// `RoundingDivideByPOT`: x / 2^e, halves away from zero.
#[inline(never)]
fn divide_pot(x: i32, e: u32) -> i32 {
    let e = e.min(31);
    let mask = ((1i64 << e) - 1) as i32;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> e).wrapping_add(i32::from((x & mask) > threshold))
}

/// `MultiplyByQuantizedMultiplier`.
#[inline(never)]
fn multiply(x: i32, multiplier: i32, shift: i8) -> i32 {
    let (left, right) =
        if shift > 0 { (u32::from(shift.unsigned_abs()), 0) } else { (0, u32::from(shift.unsigned_abs())) };
    divide_pot(high_mul(x.wrapping_shl(left), multiplier), right)
}

/// x·2^e, saturating.
fn shift_left(x: i32, e: u32) -> i32 {
    (i64::from(x) << e).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// e^a for a in (−1/4, 0\], Q0.31.
fn exp_small(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = high_mul(x, x);
    let x3 = high_mul(x2, x);
    let x4 = high_mul(x2, x2);
    let x4_4 = divide_pot(x4, 2);
    let tail = divide_pot(high_mul(x4_4.wrapping_add(x3), THIRD).wrapping_add(x2), 1);
    EXP_MINUS_EIGHTH.saturating_add(high_mul(EXP_MINUS_EIGHTH, x.wrapping_add(tail)))
}

/// e^a for a ≤ 0 in Q5.26, as Q0.31.
#[inline(never)]
fn exp_negative(a: i32) -> i32 {
    const QUARTER: i32 = 1 << 24;
    if a == 0 {
        return i32::MAX;
    }
    let part = (a & (QUARTER - 1)) - QUARTER;
    let mut result = exp_small(shift_left(part, 5));
    let remainder = part.wrapping_sub(a);
    // e^(−2^k) for k = −2..=4.
    const FACTORS: [i32; 7] = [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    for (k, &f) in FACTORS.iter().enumerate() {
        if remainder & (1 << (24 + k as u32)) != 0 {
            result = high_mul(result, f);
        }
    }
    result
}

/// 1 / (1 + x) for x in \[0, 1), Q0.31, by three Newton steps.
fn reciprocal_of_one_plus(x: i32) -> i32 {
    const C48_17: i32 = 1_515_870_810;
    const MINUS_32_17: i32 = -1_010_580_540;
    let sum = i64::from(x) + i64::from(i32::MAX);
    let half = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut r = C48_17.wrapping_add(high_mul(half, MINUS_32_17));
    for _ in 0..3 {
        let error = (1i32 << 29).wrapping_sub(high_mul(half, r));
        r = r.wrapping_add(shift_left(high_mul(r, error), 2));
    }
    shift_left(r, 1)
}

impl Arithmetic for Tflite {
    const ID: u8 = 1;
    const CHANNEL: usize = 9;

    #[inline]
    fn channel(bytes: &[u8], _: i8) -> Channel {
        Channel {
            bias: i32::get(bytes, 0).unwrap_or(0),
            multiplier: i32::get(bytes, 4).unwrap_or(0),
            shift: i8::get(bytes, 8).unwrap_or(0),
        }
    }

    #[inline]
    fn requantize(acc: i32, multiplier: i32, shift: i8) -> i32 {
        multiply(acc, multiplier, shift)
    }

    #[inline]
    fn requantize_dense(acc: i32, multiplier: i32, shift: i8) -> i32 {
        // One rounding, halves up.
        let right = (31 - i32::from(shift)).clamp(1, 62) as u32;
        ((i64::from(acc) * i64::from(multiplier) + (1i64 << (right - 1))) >> right) as i32
    }

    #[inline]
    fn add(r: &AddRecord, [za, zb, zout]: [i8; 3], a: i8, b: i8) -> i32 {
        let scaled = |x: i8, z: i8, m: i32, s: i8| {
            let scaled = multiply((i32::from(x) - i32::from(z)) << 20, m.saturating_abs(), s);
            // A negative multiplier is a subtraction: rounding is not symmetric, so the sign comes last.
            if m < 0 { scaled.wrapping_neg() } else { scaled }
        };
        let sum = scaled(a, za, r.a_multiplier, r.a_shift).wrapping_add(scaled(b, zb, r.b_multiplier, r.b_shift));
        multiply(sum, r.out_multiplier, r.out_shift).saturating_add(i32::from(zout))
    }

    #[inline]
    fn average(sum: i32, count: u16, _: [i8; 2], _: i32, _: i8) -> i32 {
        // Scale and zero point of the operand are those of the result.
        let n = i32::from(count);
        let half = if sum > 0 { n / 2 } else { -(n / 2) };
        sum.wrapping_add(half).checked_div(n).unwrap_or(0)
    }

    fn softmax_table(_: &SoftmaxRecord) -> Result<usize, Fault> {
        Ok(0)
    }

    fn softmax(r: &SoftmaxRecord, _: &[u8], pixel: &mut [u8]) {
        let max = i32::from(super::greatest(pixel));
        let exp = |x: u8| {
            let diff = i32::from(x as i8) - max;
            (diff >= r.diff_min).then(|| {
                let left = u32::from(r.shift.unsigned_abs());
                exp_negative(high_mul(diff.wrapping_shl(left), r.multiplier).min(0))
            })
        };
        let sum = pixel.iter().filter_map(|&x| exp(x)).fold(0i32, |s, e| s.wrapping_add(divide_pot(e, 12)));
        let zeros = sum.leading_zeros();
        let over = 12i32.wrapping_sub(zeros as i32);
        let fraction = (sum as u32).checked_shl(zeros).unwrap_or(0).wrapping_sub(1 << 31) as i32;
        let scale = reciprocal_of_one_plus(fraction);
        for x in pixel {
            *x = match exp(*x) {
                Some(e) => {
                    let p = divide_pot(high_mul(scale, e), over.wrapping_add(31 - 8).max(0) as u32);
                    p.wrapping_sub(128).clamp(-128, 127) as i8 as u8
                }
                None => -128i8 as u8,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounds_as_the_original() {
        assert_eq!(divide_pot(5, 1), 3);
        assert_eq!(divide_pot(-5, 1), -3);
        assert_eq!(divide_pot(-4, 3), -1);
        assert_eq!(divide_pot(-3, 3), 0);
        assert_eq!(high_mul(i32::MIN, i32::MIN), i32::MAX);
        assert_eq!(high_mul(1 << 30, 1 << 30), 1 << 29);
        assert_eq!(multiply(100, 1 << 30, 1), 100);
        // 5/16·4: 1.25 once, 1.5 and then 2 in two steps of halves away from zero.
        assert_eq!(multiply(5, 1 << 30, -1), 2);
        assert_eq!(Tflite::requantize_dense(5, 1 << 30, -1), 1);
    }

    #[test]
    fn exponential_is_close() {
        for i in 0..400 {
            let x = -f64::from(i) * 0.04;
            let got = f64::from(exp_negative((x * f64::from(1 << 26)) as i32)) / 2147483648.0;
            assert!((got - x.exp()).abs() < 1e-6, "{x} {got}");
        }
    }

    proptest! {
        #![proptest_config(crate::arithmetic::cases())]

        #[test]
        fn nothing_panics(acc in any::<i32>(), m in any::<i32>(), s in any::<i8>(), n in any::<u16>(), mut px in proptest::collection::vec(any::<u8>(), 0..20), dm in any::<i32>()) {
            Tflite::requantize(acc, m, s);
            Tflite::requantize_dense(acc, m, s);
            let r = AddRecord { a_multiplier: m, b_multiplier: acc, out_multiplier: m, a_shift: s, b_shift: -1, out_shift: s, lo: 0, hi: 0 };
            Tflite::add(&r, [-128, 127, 3], 127, -128);
            Tflite::average(acc, n, [0; 2], m, s);
            let r = SoftmaxRecord { table: 0, entries: 0, multiplier: m, shift: s, diff_min: dm };
            Tflite::softmax(&r, &[], &mut px);
        }
    }
}
