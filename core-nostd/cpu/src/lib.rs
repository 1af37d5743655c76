//! The inner loops of Carafe's kernels.
//!
//! 8-bit data comes as `&[u8]`, the type of the arena and of the blob, and is read as `i8` in the inner
//! expression: compilers turn that into the same instructions as `&[i8]` would give.
//!
//! Every loop wraps on overflow. A blob whose weights and bounds come from the converter never overflows
//! (`docs/arithmetic.md` gives the bound); a forged one gets defined nonsense instead of a panic.
//!
//! Every loop is here in portable Rust. Where the core has something better (`docs/arithmetic.md`), `arm` has the
//! same loop in assembly, with the same bits: [`FAST`] says so. This is the one crate of the device side with unsafe
//! code.
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(carafe_simd, test))]
extern crate std;

#[cfg(carafe_dsp)]
mod arm;
#[cfg(carafe_dsp)]
mod arm_winograd;
mod dense;
mod depthwise;
mod elementwise;
pub mod gather;
#[cfg(carafe_simd)]
#[cfg_attr(target_arch = "x86_64", path = "x86.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod host;
#[cfg(carafe_m0)]
mod m0;
#[cfg(carafe_mve)]
mod mve;
mod pairs;
mod pixelwise;
mod product;
mod put;
mod quads;
mod slide;
mod taps;
mod tile;
mod tiles;
mod winograd;

#[cfg(carafe_simd)]
use host::wide;

pub use dense::dense;
pub use depthwise::Stream;
pub use elementwise::{Scaled, add_scaled, sum_pixels};
pub use pairs::{Pair, dot_fours, dot_fours_u8, dot_pairs, dot_pairs_u8, place, sum_fours, sum_pairs};
pub use pixelwise::{LISTED, Listed};
pub use product::{CHANNELS, Copied, Pixels, Rescale, copy_pixels, product};
pub use put::{PIXELS, Put, Run};
pub use quads::{Quads, dot_quads, fill_quads, move_quads, quad_words, sum_quads, widen_quads};
pub use slide::{Slide, slide};
pub use taps::{TAPS, Taps};
pub use tile::{bytes, copy, fill, halves, tile, widen, widen_one, words};
pub use tiles::{Alike, Work, tiles};
pub use winograd::{FAST_WINOGRAD, Winograd, winograd};

/// True if [`tile`], [`widen`], [`dense`] and [`Stream`] are faster than the plain loops: the core multiplies two pairs of int16 at
/// once.
///
/// On a host, too: there it is a device's twin.
pub const FAST: bool = cfg!(any(carafe_dsp, not(target_os = "none")));

/// As [`FAST`], of [`Quads`]: the core has but one multiplication, of words.
pub const FAST_QUADS: bool = cfg!(any(carafe_m0, not(target_os = "none")));

/// True if the fast loops take weights, or parameters of channels, that lie there: where words are read several at once, at
/// a multiple of 4.
#[inline]
pub fn takes(weights: &[u8]) -> bool {
    #[cfg(carafe_dsp)]
    return arm::aligned(weights);
    #[cfg(carafe_m0)]
    return m0::aligned(weights);
    #[cfg(not(any(carafe_dsp, carafe_m0)))]
    {
        let _ = weights;
        true
    }
}

/// Runs a plain loop with the vectors that there are.
#[cfg(not(carafe_simd))]
#[inline(always)]
fn wide(f: impl FnOnce()) {
    f();
}
/// True if [`product`] and [`gather`] are faster than the plain loops: the core multiplies 16 pairs of int8 at once.
///
/// On a host where the build says so: there it is such a device's twin.
pub const HELIUM: bool = cfg!(any(carafe_mve, all(feature = "cpu-m55", not(target_os = "none"))));

/// Σ x·w over the shortest of three slices of int8, for two w at once: what is loaded of x is used twice.
#[inline(never)]
pub fn dot(x: &[u8], [w0, w1]: [&[u8]; 2]) -> [i32; 2] {
    #[cfg(carafe_simd)]
    if let Some(sums) = host::dot(x, [w0, w1]) {
        return sums;
    }
    let [mut acc0, mut acc1] = [0i32; 2];
    for ((&x, &w0), &w1) in x.iter().zip(w0).zip(w1) {
        acc0 = acc0.wrapping_add(i32::from(x as i8) * i32::from(w0 as i8));
        acc1 = acc1.wrapping_add(i32::from(x as i8) * i32::from(w1 as i8));
    }
    [acc0, acc1]
}

/// Σ x·w over the shorter of two slices, x unsigned, w int8.
#[inline(never)]
pub fn dot_u8(x: &[u8], w: &[u8]) -> i32 {
    #[cfg(carafe_simd)]
    if let Some(sum) = host::dot_u8(x, w) {
        return sum;
    }
    x.iter().zip(w).fold(0i32, |acc, (&x, &w)| acc.wrapping_add(i32::from(x) * i32::from(w as i8)))
}

/// The number that a byte is: 0..=255 if it is unsigned, else −128..=127.
#[inline]
pub fn element(x: u8, unsigned: bool) -> i16 {
    if unsigned { i16::from(x) } else { i16::from(x as i8) }
}

/// Σ w over a slice of int8.
#[inline(never)]
pub fn sum(w: &[u8]) -> i32 {
    w.iter().fold(0i32, |acc, &w| acc.wrapping_add(i32::from(w as i8)))
}

/// acc\[i\] += x\[i\]·w\[i\], over the shortest of the three.
#[inline(never)]
pub fn multiply_add(acc: &mut [i32], x: &[u8], w: &[u8]) {
    wide(|| {
        for ((a, &x), &w) in acc.iter_mut().zip(x).zip(w) {
            *a = a.wrapping_add(i32::from(x as i8) * i32::from(w as i8));
        }
    });
}

/// acc\[i\] += x·w\[i\] with one x for all.
#[inline(never)]
pub fn multiply_add_scalar(acc: &mut [i32], x: i16, w: &[u8]) {
    wide(|| {
        for (a, &w) in acc.iter_mut().zip(w) {
            *a = a.wrapping_add(i32::from(x) * i32::from(w as i8));
        }
    });
}

/// acc\[i\] += x\[i\].
#[inline(never)]
pub fn add(acc: &mut [i32], x: &[u8]) {
    wide(|| {
        for (a, &x) in acc.iter_mut().zip(x) {
            *a = a.wrapping_add(i32::from(x as i8));
        }
    });
}

/// best\[i\] = max(best\[i\], x\[i\]) as int8.
#[inline(never)]
pub fn max(best: &mut [u8], x: &[u8]) {
    wide(|| {
        for (b, &x) in best.iter_mut().zip(x) {
            *b = (*b as i8).max(x as i8) as u8;
        }
    });
}

/// Cuts int8 to `lo..=hi`; where `lo` exceeds `hi`, all become `hi`.
#[inline(never)]
pub fn clamp(v: &mut [u8], lo: i8, hi: i8) {
    wide(|| {
        for v in v {
            *v = (*v as i8).max(lo).min(hi) as u8;
        }
    });
}

#[cfg(all(test, carafe_simd))]
mod host_tests;

/// Weights in fours of an even number of channels, `inputs` (a multiple of 4) of each; and the weights, of which some are made
/// greater, so that halfwords fit.
#[cfg(test)]
fn fours(rows: std::vec::Vec<u8>, inputs: usize) -> (std::vec::Vec<i8>, std::vec::Vec<u8>) {
    use std::vec::Vec;
    let mut rows: Vec<i8> = rows.into_iter().map(|w| w as i8).collect();
    for channel in 1..rows.len() / inputs {
        for at in channel * inputs..(channel + 1) * inputs {
            if rows[at] == i8::MIN && rows[at - inputs] < 0 {
                rows[at] += 1;
            }
        }
    }
    let mut bytes = Vec::with_capacity(rows.len());
    for four in rows.chunks(4 * inputs) {
        let pairs = four.len() / inputs / 2;
        for word in 0..inputs / 2 {
            for (index, pair) in four.chunks(2 * inputs).enumerate() {
                let more = if index == 0 && pairs == 2 { 128 } else { 0 };
                for input in [place(2 * word), place(2 * word + 1)] {
                    let both = 256 * i32::from(pair[inputs + input]) + i32::from(pair[input]) + more;
                    bytes.extend((both as i16).to_le_bytes());
                }
            }
        }
    }
    (rows, bytes)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dot_is_the_sum_of_products(v in proptest::collection::vec((any::<i8>(), any::<i8>()), 0..300)) {
            let x: std::vec::Vec<u8> = v.iter().map(|p| p.0 as u8).collect();
            let w: std::vec::Vec<u8> = v.iter().map(|p| p.1 as u8).collect();
            let want: i64 = v.iter().map(|p| i64::from(p.0) * i64::from(p.1)).sum();
            let two = dot(&x, [&w, &x]).map(i64::from);
            let square: i64 = v.iter().map(|p| i64::from(p.0).pow(2)).sum();
            prop_assert_eq!(two, [want, square]);
            let unsigned: i64 = v.iter().map(|p| i64::from(p.0 as u8) * i64::from(p.1)).sum();
            prop_assert_eq!(i64::from(dot_u8(&x, &w)), unsigned);
            let mut acc = std::vec![7; v.len()];
            multiply_add(&mut acc, &x, &w);
            for (a, p) in acc.iter().zip(&v) {
                prop_assert_eq!(*a, 7 + i32::from(p.0) * i32::from(p.1));
            }
        }
    }
}
