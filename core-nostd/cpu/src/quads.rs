//! Weights of two channels and two inputs in a word, for cores whose one multiplication is 32 by 32 bits.
//!
//! A word has the bytes `a0 a1 b0 b1`, each a weight plus 128: channels a and b, inputs 0 and 1. With W0 = a0 + 2¹⁶·b0 and
//! W1 likewise, x0·W0 + x1·W1 is the sum of both channels in one word, apart as long as that of a fits 16 bits, which
//! two products always do. W0 and W1 need not be taken out of the word V: with R = V with the bytes of either half
//! swapped (`REV16`), V = W0 + 2⁸·W1 and R = W1 + 2⁸·W0, so that, modulo 2³²,
//!
//! ```text
//! x0·W0 + x1·W1 = p·V + q·R        p = (x0 − 2⁸·x1)·(1 + 2¹⁶)        q = (x1 − 2⁸·x0)·(1 + 2¹⁶)
//! ```
//!
//! since (1 − 2¹⁶)·(1 + 2¹⁶) = 1. What the 128 of each weight add, 128·(1 + 2¹⁶)·(x0 + x1), depends on the inputs alone:
//! a third word C takes it away, and brings 2¹⁵ − 1, so that the low half T & 0xFFFF of T = C + p·V + q·R is never
//! negative, and the high half is the sum of b. Inputs become C, p, q once ([`widen_quads`]), and serve all channels.
//!
//! No weight is −128, so that the sum of b fits 16 bits, too.

use crate::put::Put;
use crate::tile::finish;

/// What makes the low half of a sum of two products positive.
const OFFSET: u32 = 0x7FFF;

/// Words of inputs: three for every two.
pub const fn quad_words(inputs: usize) -> usize {
    inputs / 2 * 3
}

/// The sums of one pixel or two.
#[derive(Debug)]
pub struct Quads<'a> {
    /// Inputs of [`widen_quads`], line by line.
    pub x: &'a mut [u32],
    /// Four words for every two channels, if these are not all inputs.
    pub sums: &'a mut [u32],
    /// Words from those of the first pixel to those of the second, if there is one.
    pub second: Option<usize>,
    /// Inputs of a line, a multiple of 4.
    pub run: usize,
    /// Lines.
    pub lines: usize,
    /// Words from line to line.
    pub line: usize,
    /// Weights from those of these inputs and the first pair of channels on.
    pub weights: &'a [u8],
    /// Bytes of a pair of channels.
    pub block: usize,
    /// Bias and multiplier (i32) of every channel. An odd one at the end is left out.
    pub channels: &'a [u8],
    /// Inputs of the whole window, if these are the first ones.
    pub first: Option<usize>,
    /// These are the last ones: rescaled results are written.
    pub last: bool,
}

/// Inputs as [`Quads::run`] takes them; the last `x.len() % 4` are left out, and so is what does not fit. Of unsigned ones
/// 128 is taken.
pub fn widen_quads(to: &mut [u32], x: &[u8], unsigned: bool) {
    #[cfg(carafe_m0)]
    crate::m0::widen(to, x, unsigned);
    #[cfg(not(carafe_m0))]
    for (to, x) in to.as_chunks_mut::<6>().0.iter_mut().zip(x.as_chunks::<4>().0) {
        let [a, b, c, d] = x.map(|x| signed(x, unsigned));
        let [[i, j, k], [l, m, n]] = [words(a, b), words(c, d)];
        *to = [i, j, k, l, m, n];
    }
}

/// As many equal inputs as `to` has room for.
pub fn fill_quads(to: &mut [u32], x: u8, unsigned: bool) {
    let x = signed(x, unsigned);
    let words = words(x, x);
    for to in to.as_chunks_mut::<3>().0 {
        *to = words;
    }
}

/// Moves `inputs` inputs from input `from` on, both a multiple of 4, to the front.
pub fn move_quads(words: &mut [u32], inputs: usize, from: usize) {
    #[cfg(carafe_m0)]
    crate::m0::bring(words, inputs / 4, from / 4);
    #[cfg(not(carafe_m0))]
    if let Some(end) = from.checked_add(inputs)
        && quad_words(end) <= words.len()
    {
        words.copy_within(quad_words(from)..quad_words(end), 0);
    }
}

fn signed(x: u8, unsigned: bool) -> u32 {
    let x = if unsigned { x ^ 0x80 } else { x };
    x as i8 as u32
}

fn words(x0: u32, x1: u32) -> [u32; 3] {
    let both = |x: u32| x.wrapping_mul(0x1_0001);
    let (x0, x1) = (both(x0), both(x1));
    let c = OFFSET.wrapping_sub(x0.wrapping_add(x1) << 7);
    [c, x0.wrapping_sub(x1 << 8), x1.wrapping_sub(x0 << 8)]
}

impl Quads<'_> {
    /// Adds to the sums, or makes results of them. `None` if anything is too short.
    #[inline(never)]
    pub fn run(&mut self, put: &Put, out: &mut [u8]) -> Option<()> {
        let pairs = self.check(put, out.len())?;
        #[cfg(carafe_m0)]
        if crate::m0::quads(self, pairs, put, out) {
            return Some(());
        }
        let _ = pairs;
        self.run_portably(put, out)
    }

    /// Pairs of channels. `None` if anything is too short. Not on the stack while the loops run.
    #[inline(never)]
    fn check(&self, put: &Put, out: usize) -> Option<usize> {
        let pairs = self.channels.len() / 16;
        let [first, second] = put.at;
        let at = if self.second.is_some() { first.max(second) } else { first };
        // Products of these fit: to multiply with a check takes this core thirty instructions.
        if (self.run | self.lines | self.line | self.block | pairs) >= 1 << 15 {
            return None;
        }
        let words = self.second.unwrap_or(0).checked_add(quad_words(self.run))?;
        let before = self.lines.checked_sub(1)? * self.line;
        let bytes = self.lines * 2 * self.run;
        let rest = pairs.checked_sub(1)? * self.block;
        let short = !self.run.is_multiple_of(4)
            || self.run == 0
            || self.line < quad_words(self.run)
            || self.x.len() < before.checked_add(words)?
            || self.block < bytes
            || self.weights.len() < rest.checked_add(bytes)?
            || (self.first.is_none() || !self.last) && self.sums.len() < 4 * pairs
            || self.last && out < at.checked_add(2 * pairs)?;
        (!short).then_some(pairs)
    }

    /// What sums begin with, so that each of the offsets is taken away.
    pub(crate) fn start(&self) -> u32 {
        (self.first.unwrap_or(0) as u32 / 2).wrapping_mul(OFFSET.wrapping_neg())
    }

    /// [`Quads::run`], whose arguments are checked.
    #[inline(never)]
    fn run_portably(&mut self, put: &Put, out: &mut [u8]) -> Option<()> {
        let start = self.start();
        let mut sums = self.sums.as_chunks_mut::<4>().0.iter_mut();
        // Never a chunk of nothing: the compiler does not see that it is checked, and would link a panic.
        let [block, line, of_line] = [self.block, self.line, 2 * self.run].map(|count| count.max(1));
        let weights = self.weights.chunks(block);
        for ((pair, weights), channels) in weights.enumerate().zip(self.channels.as_chunks::<16>().0) {
            let mut none = [0; 4];
            let sums = sums.next().unwrap_or(&mut none);
            if self.first.is_some() {
                *sums = [start, 0, start, 0];
            }
            for (pixel, sums) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let at = match (pixel, self.second) {
                    (0, _) => 0,
                    (_, Some(second)) => second,
                    (_, None) => break,
                };
                let lines = self.x.get(at..)?.chunks(line).zip(weights.chunks_exact(of_line));
                for (x, w) in lines.take(self.lines) {
                    for (x, w) in x.as_chunks::<3>().0.iter().zip(w.as_chunks::<4>().0) {
                        let [v, r] = [*w, [w[1], w[0], w[3], w[2]]].map(u32::from_le_bytes);
                        let t = x[0].wrapping_add(x[1].wrapping_mul(v)).wrapping_add(x[2].wrapping_mul(r));
                        sums[0] = sums[0].wrapping_add(t);
                        sums[1] = sums[1].wrapping_add((t as i32 >> 16) as u32);
                    }
                }
                if self.last {
                    let out = out.get_mut(*put.at.get(pixel)? + 2 * pair..)?.first_chunk_mut::<2>()?;
                    let a = sums[0].wrapping_sub(sums[1] << 16);
                    let (first, second) = channels.split_at(8);
                    *out = [finish(a as i32, first, put), finish(sums[1] as i32, second, put)];
                }
            }
        }
        Some(())
    }
}

/// Σ x·a and Σ x·b of the block of a pair of channels, whose inputs from `first` on are `x`. Of unsigned ones 128 is taken.
#[inline(never)]
pub fn dot_quads(x: &[u8], block: &[u8], first: usize, unsigned: bool) -> [i32; 2] {
    each(block, first).zip(x).fold([0; 2], |[a, b], (w, &x)| {
        let x = signed(x, unsigned) as i32;
        [a.wrapping_add(x * w[0]), b.wrapping_add(x * w[1])]
    })
}

/// Σ a and Σ b of `count` inputs.
#[inline(never)]
pub fn sum_quads(block: &[u8], first: usize, count: usize) -> [i32; 2] {
    each(block, first).take(count).fold([0; 2], |[a, b], w| [a.wrapping_add(w[0]), b.wrapping_add(w[1])])
}

/// The weights of both channels, from an input on.
fn each(block: &[u8], first: usize) -> impl Iterator<Item = [i32; 2]> {
    let weight = |&w: &u8| i32::from(w) - 128;
    (first..).map_while(move |i| {
        let at = 4 * (i / 2) + i % 2;
        Some([block.get(at).map(weight)?, block.get(at + 2).map(weight)?])
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Packs a pair of channels.
    fn pack(a: &[i8], b: &[i8]) -> Vec<u8> {
        let byte = |w: i8| (w as u8) ^ 0x80;
        let pairs = a.chunks(2).zip(b.chunks(2));
        pairs.flat_map(|(a, b)| [a[0], a[1], b[0], b[1]].map(byte)).collect()
    }

    /// Values of which many are at the ends.
    fn ends(lo: i8) -> impl Strategy<Value = i8> {
        prop_oneof![Just(lo), Just(127i8), lo..=127]
    }

    proptest! {
        #[test]
        fn both_channels_come_out(
            v in proptest::collection::vec((ends(-128), ends(-127), ends(-127), ends(-128)), 8..200),
            cut in any::<prop::sample::Index>(),
            biases in proptest::array::uniform2(-(1i32 << 20)..1 << 20),
            multipliers in proptest::array::uniform2(any::<i32>()),
            shift in 0u8..=4,
            unsigned in any::<bool>(),
        ) {
            let v = &v[..v.len() / 4 * 4];
            let part = |f: fn(&(i8, i8, i8, i8)) -> i8| v.iter().map(f).collect::<Vec<i8>>();
            let (x, a, b, other) = (part(|v| v.0), part(|v| v.1), part(|v| v.2), part(|v| v.3));
            let weights = pack(&a, &b);
            let channels: Vec<u8> = (0..2).flat_map(|c| [biases[c], multipliers[c]]).flat_map(i32::to_le_bytes).collect();
            let put = Put { zero_point: 3, shift, at: [4, 1] };
            let dot = |x: &[i8], w: &[i8]| x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum::<i32>();
            let want = |x: &[i8]| [finish(dot(x, &a), &channels[..8], &put), finish(dot(x, &b), &channels[8..], &put)];

            let mut words = std::vec![0; 2 * quad_words(v.len())];
            let (first, second) = words.split_at_mut(quad_words(v.len()));
            for (to, x) in [(first, &x), (second, &other)] {
                let bytes: Vec<u8> = x.iter().map(|&x| (x as u8) ^ if unsigned { 0x80 } else { 0 }).collect();
                widen_quads(to, &bytes, unsigned);
            }
            let mut sums = [0; 4];
            let mut q = Quads {
                line: words.len(),
                x: &mut words,
                sums: &mut [],
                second: Some(quad_words(v.len())),
                run: v.len(),
                lines: 1,
                weights: &weights,
                block: weights.len(),
                channels: &channels,
                first: Some(v.len()),
                last: true,
            };
            let mut out = [9; 7];
            prop_assert_eq!(q.run(&put, &mut out), Some(()));
            let ([a0, b0], [a1, b1]) = (want(&x), want(&other));
            prop_assert_eq!(out, [9, a1, b1, 9, a0, b0, 9]);

            // In two parts, one pixel alone.
            let cut = cut.index(v.len() / 4) * 4;
            let mut out = [9; 7];
            q.second = None;
            q.last = false;
            q.run = cut;
            if cut > 0 {
                prop_assert_eq!(q.run(&put, &mut out), None);
                q.sums = &mut sums;
                prop_assert_eq!(q.run(&put, &mut out), Some(()));
                q.first = None;
            }
            q.last = true;
            q.run = v.len() - cut;
            q.weights = &weights[2 * cut..];
            q.x = &mut core::mem::take(&mut q.x)[quad_words(cut)..quad_words(v.len())];
            q.line = quad_words(v.len() - cut);
            prop_assert_eq!(q.run(&put, &mut out), Some(()));
            prop_assert_eq!(out, [9, 9, 9, 9, a0, b0, 9]);

            let bytes: Vec<u8> = x[1..].iter().map(|&x| x as u8).collect();
            prop_assert_eq!(dot_quads(&bytes, &weights, 1, false), [dot(&x[1..], &a[1..]), dot(&x[1..], &b[1..])]);
            let ones = std::vec![1; v.len() - 3];
            prop_assert_eq!(sum_quads(&weights, 3, v.len() - 3), [dot(&ones, &a[3..]), dot(&ones, &b[3..])]);
        }
    }
}
