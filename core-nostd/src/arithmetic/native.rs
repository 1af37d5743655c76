use super::{Arithmetic, Channel};
use crate::Fault;
use crate::ops::{AddRecord, SoftmaxRecord};
use crate::record::Field;

/// Carafe's own rule.
///
/// * Requantize: `(acc' · M + 2³¹) >> 32` with `M = round(scale · 2³² / 2^shift)` and `acc'` the accumulator shifted
///   left by `shift` (right if negative). One multiply-high with rounding (`SMMULR`, `VRMULH`).
/// * Add: `(a·Ma + b·Mb + C) >> S`; zero points and rounding are folded into C.
/// * Average: the sum without zero point, requantized with the multiplier of its count.
/// * Softmax: `eᵈ` from a table of the host, one division per element.
#[derive(Clone, Copy, Debug)]
pub enum Native {}

impl Arithmetic for Native {
    const ID: u8 = 0;
    const CHANNEL: usize = 8;

    #[inline]
    fn channel(bytes: &[u8], shift: i8) -> Channel {
        Channel { bias: i32::get(bytes, 0).unwrap_or(0), multiplier: i32::get(bytes, 4).unwrap_or(0), shift }
    }

    #[inline]
    fn requantize(acc: i32, multiplier: i32, shift: i8) -> i32 {
        let acc = if shift >= 0 {
            acc.wrapping_shl(u32::from(shift.unsigned_abs()))
        } else {
            acc >> u32::from(shift.unsigned_abs()).min(31)
        };
        ((i64::from(acc) * i64::from(multiplier) + (1 << 31)) >> 32) as i32
    }

    #[inline]
    fn add(r: &AddRecord, _: [i8; 3], a: i8, b: i8) -> i32 {
        let sum = i32::from(a)
            .wrapping_mul(r.a_multiplier)
            .wrapping_add(i32::from(b).wrapping_mul(r.b_multiplier))
            .wrapping_add(r.out_multiplier);
        sum >> (u32::from(r.out_shift.unsigned_abs()) & 31)
    }

    #[inline]
    fn average(sum: i32, count: u16, [zin, zout]: [i8; 2], multiplier: i32, shift: i8) -> i32 {
        let real = sum.wrapping_sub(i32::from(count).wrapping_mul(i32::from(zin)));
        Self::requantize(real, multiplier, shift).saturating_add(i32::from(zout))
    }

    fn softmax_table(r: &SoftmaxRecord) -> Result<usize, Fault> {
        // An empty table would make every element 0 and the sum too.
        if r.entries == 0 { Err(Fault::Field) } else { Ok(2 * usize::from(r.entries)) }
    }

    fn softmax(_: &SoftmaxRecord, table: &[u8], pixel: &mut [u8]) {
        let max = super::greatest(pixel);
        let sum = pixel.iter().fold(0u32, |s, &x| s.wrapping_add(exp(table, max, x)));
        // Of a sum of zero, all of it is zero.
        let sum = sum.max(1);
        for x in pixel {
            let p = exp(table, max, *x).wrapping_mul(256).wrapping_add(sum / 2).checked_div(sum).unwrap_or(0);
            *x = (p.min(255) as i32 - 128) as i8 as u8;
        }
    }
}

/// e^(x − max) of the table.
#[inline(never)]
fn exp(table: &[u8], max: i8, x: u8) -> u32 {
    u32::from(u16::get(table, 2 * usize::from(max.abs_diff(x as i8))).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::arithmetic::cases())]

        #[test]
        fn requantize_is_a_rounded_product(acc in -(1i32 << 22)..(1 << 22), scale in 1e-5f64..0.49) {
            let m = (scale * 4294967296.0).round() as i32;
            let want = f64::from(acc) * scale;
            let got = f64::from(Native::requantize(acc, m, 0));
            prop_assert!((got - want).abs() <= 0.501, "{got} {want}");
        }

        #[test]
        fn shifts_keep_the_scale(acc in -(1i32 << 20)..(1 << 20), s in 0i8..4) {
            let scale = 0.3 * f64::from(1u32 << s);
            let m = (0.3 * 4294967296.0f64).round() as i32;
            let got = f64::from(Native::requantize(acc, m, s));
            prop_assert!((got - f64::from(acc) * scale).abs() <= 0.51);
        }

        #[test]
        fn nothing_panics(acc in any::<i32>(), m in any::<i32>(), s in any::<i8>(), n in any::<u16>(), z in any::<[i8; 2]>()) {
            Native::requantize(acc, m, s);
            Native::average(acc, n, z, m, s);
        }
    }
}
