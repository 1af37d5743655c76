//! Weights of two channels, interleaved: for each input, a little-endian i16 that is 256·b + a.
//!
//! Its low byte is a, so one instruction that widens low bytes gives a, and the halfword itself is used for b: with
//! S = Σ x·(256·b + a) and A = Σ x·a, Σ x·b = (S − A) / 256. That is exact as long as Σ x·b fits 24 bits, which the
//! converter proves for every layer (`docs/arithmetic.md`).

/// Σ x·a and Σ x·b, x int8, over the shorter of `x` and the pairs of `w`.
#[inline(never)]
pub fn dot_pairs(x: &[u8], w: &[u8]) -> [i32; 2] {
    dot(x, w, |x| i32::from(x as i8))
}

/// As [`dot_pairs`], x unsigned.
#[inline(never)]
pub fn dot_pairs_u8(x: &[u8], w: &[u8]) -> [i32; 2] {
    dot(x, w, i32::from)
}

/// Σ a and Σ b.
#[inline(never)]
pub fn sum_pairs(w: &[u8]) -> [i32; 2] {
    let [mut whole, mut low] = [0i32; 2];
    for w in w.as_chunks().0 {
        let w = i16::from_le_bytes(*w);
        whole = whole.wrapping_add(i32::from(w));
        low = low.wrapping_add(i32::from(w as i8));
    }
    split(whole, low)
}

#[inline(always)]
fn dot(x: &[u8], w: &[u8], element: impl Fn(u8) -> i32) -> [i32; 2] {
    let [mut whole, mut low] = [0i32; 2];
    for (&x, w) in x.iter().zip(w.as_chunks().0) {
        let (x, w) = (element(x), i16::from_le_bytes(*w));
        whole = whole.wrapping_add(x.wrapping_mul(i32::from(w)));
        low = low.wrapping_add(x.wrapping_mul(i32::from(w as i8)));
    }
    split(whole, low)
}

/// The two sums of S and A.
#[inline]
pub(crate) fn split(whole: i32, low: i32) -> [i32; 2] {
    [low, whole.wrapping_sub(low) >> 8]
}
