//! Weights of two channels, interleaved: for each input, a little-endian i16 that is 256·b + a.
//!
//! Its low byte is a, so one instruction that widens low bytes gives a, and the halfword itself is used for b: with
//! S = Σ x·(256·b + a) and A = Σ x·a, Σ x·b = (S − A) / 256. That is exact as long as Σ x·b fits 24 bits, which the
//! converter proves for every layer (`docs/arithmetic.md`).
//!
//! Of every four inputs the second and third have changed places: the instruction that widens a word of int8 takes
//! bytes 0 and 2 at once, then 1 and 3.

/// Where input `i` of a channel stands among its weights.
pub const fn place(i: usize) -> usize {
    (i & !3) | ((i & 1) << 1) | ((i >> 1) & 1)
}

/// Σ x·a and Σ x·b over all of `x`, int8. `w` are the weights of the pair from the first on, and `first` the input that
/// `x` begins with. What `w` lacks counts as zero.
#[inline(never)]
pub fn dot_pairs(x: &[u8], w: &[u8], first: usize) -> [i32; 2] {
    #[cfg(carafe_simd)]
    if let Some(sums) = vectors(x, w, first, false) {
        return sums;
    }
    dot(x, w, first, |x| i32::from(x as i8))
}

/// As [`dot_pairs`], x unsigned.
#[inline(never)]
pub fn dot_pairs_u8(x: &[u8], w: &[u8], first: usize) -> [i32; 2] {
    #[cfg(carafe_simd)]
    if let Some(sums) = vectors(x, w, first, true) {
        return sums;
    }
    dot(x, w, first, i32::from)
}

/// Σ a and Σ b over `count` inputs.
#[inline(never)]
pub fn sum_pairs(w: &[u8], first: usize, count: usize) -> [i32; 2] {
    let [mut whole, mut low] = [0i32; 2];
    for i in first..first + count {
        let [w, a] = weight(w, i);
        whole = whole.wrapping_add(w);
        low = low.wrapping_add(a);
    }
    split(whole, low)
}

/// 256·b + a and a of an input.
#[inline(always)]
fn weight(w: &[u8], i: usize) -> [i32; 2] {
    match w.as_chunks().0.get(place(i)) {
        Some(&w) => both(w),
        None => [0; 2],
    }
}

#[inline(always)]
fn both(w: [u8; 2]) -> [i32; 2] {
    let w = i16::from_le_bytes(w);
    [i32::from(w), i32::from(w as i8)]
}

#[inline(always)]
fn dot(x: &[u8], w: &[u8], first: usize, element: impl Fn(u8) -> i32) -> [i32; 2] {
    let [mut whole, mut low] = [0i32; 2];
    let mut add = |x: u8, [w, a]: [i32; 2]| {
        whole = whole.wrapping_add(element(x).wrapping_mul(w));
        low = low.wrapping_add(element(x).wrapping_mul(a));
    };
    // Four at a time, where a group of four begins.
    let (groups, rest) = if first.is_multiple_of(4) { x.as_chunks() } else { (&[][..], x) };
    let mut weights = w.get(2 * first..).unwrap_or_default().as_chunks().0.iter();
    for &[x0, x1, x2, x3] in groups {
        let Some(&[a, b, c, d, e, f, g, h]) = weights.next() else { break };
        add(x0, both([a, b]));
        add(x2, both([c, d]));
        add(x1, both([e, f]));
        add(x3, both([g, h]));
    }
    for (i, &x) in (first + 4 * groups.len()..).zip(rest) {
        add(x, weight(w, i));
    }
    split(whole, low)
}

/// The same by the vectors of the host, where groups of four begin and end with those of `w`.
#[cfg(carafe_simd)]
fn vectors(x: &[u8], w: &[u8], first: usize, unsigned: bool) -> Option<[i32; 2]> {
    let groups = first.is_multiple_of(4) && w.len().is_multiple_of(8);
    let [whole, low] = crate::host::dot_pairs(x, w.get(2 * first..).filter(|_| groups)?, unsigned)?;
    Some(split(whole, low))
}

/// The two sums of S and A.
#[inline]
pub(crate) fn split(whole: i32, low: i32) -> [i32; 2] {
    [low, whole.wrapping_sub(low) >> 8]
}
