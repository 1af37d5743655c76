//! Convolution by kernels of three by three, two rows at a time, with a third fewer products: F(2, 3) of Winograd along
//! the columns.
//!
//! Of four rows d0 to d3 of the operand and three weights g0 to g2 of a column of the kernel come the two results
//! d0·g0 + d1·g1 + d2·g2 and d1·g0 + d2·g1 + d3·g2. Twice as much is, by four products in place of six,
//! A + B + (d0 − d2)·2g0 and A − B + (d3 − d1)·2g2, where A = (d1 + d2)·(g0 + g1 + g2) and B = (d2 − d1)·(g0 − g1 + g2).
//! All of that are integers, factors fit int16, and the half of twice a result is exact: bits are those of the plain sum.
//! The sums of rows (a *map*) serve all channels, and those of weights all pixels of a row, so both are made beforehand.
//!
//! After S. Winograd, "Arithmetic Complexity of Computations" (1980), and A. Lavin and S. Gray, "Fast Algorithms for
//! Convolutional Neural Networks" (2015).

#[cfg(not(carafe_dsp))]
mod portable;

use crate::put::Put;
use crate::taps::Taps;

/// Words that sums of a tile wait in.
pub(crate) const SUMS: usize = 12;

/// Channels of the operand at most: twice a result is an i32.
const INPUTS: usize = 2048;

/// True if [`winograd`] is faster than tiles of plain products. A host has vectors for those.
pub const FAST_WINOGRAD: bool = cfg!(carafe_dsp);

/// Some rows of a convolution by kernels of three by three at stride one.
#[derive(Clone, Copy, Debug)]
pub struct Winograd {
    /// Channels of the operand, a multiple of eight.
    pub inputs: usize,
    /// Bytes from pixel to pixel of it.
    pub pixel: usize,
    /// Pixels of a line that are used.
    pub columns: usize,
    /// Columns of padding in front of them.
    pub pad: usize,
    /// Zero point of the operand, of int8: the padding.
    pub zero: i8,
    /// Pixels of a row of the result, two at least.
    pub width: usize,
    /// Bytes from pixel to pixel of it.
    pub out_step: usize,
    /// Bytes from row to row of it.
    pub out_row: usize,
}

impl Winograd {
    /// Words of a map.
    pub(crate) const fn map(&self) -> usize {
        (self.width + 2) * self.inputs * 2
    }

    /// Words of the kernels of two channels, four in place of three rows.
    pub(crate) const fn kernels(&self) -> usize {
        12 * self.inputs
    }

    /// Words that [`winograd`] works in, with so many maps at a time.
    pub const fn work(&self, maps: usize) -> usize {
        SUMS + self.kernels() + maps * self.map()
    }

    /// Maps that there is room for in so many words, with two of each for [`Taps`], and two more.
    pub fn maps(&self, words: usize) -> usize {
        let left = words.checked_sub(SUMS + self.kernels() + 2);
        left.and_then(|left| left.checked_div(self.map() + 2)).unwrap_or(0)
    }

    /// Lines of the operand that so many maps are made of.
    pub const fn lines(maps: usize) -> usize {
        2 * maps + 2
    }

    /// Columns of padding behind the line.
    #[cfg(carafe_dsp)]
    pub(crate) const fn after(&self) -> usize {
        (self.width + 2).saturating_sub(self.pad + self.columns)
    }

    /// True if rows are for [`winograd`].
    pub const fn fits(&self) -> bool {
        self.inputs > 0
            && self.inputs.is_multiple_of(8)
            && self.inputs <= INPUTS
            && self.pixel >= self.inputs
            && self.width >= 2
            && 16 * (self.width + 2) <= u16::MAX as usize
            && self.pad <= 2
            && self.pad + self.columns <= self.width + 2
    }
}

/// Makes `rows` rows of all channels, by two. `lines` are those of the operand that they read, from the first pixel on, in
/// turn; `weights` are in fours, `channels` has bias and multiplier (i32) of every channel, and an odd one at the end is left
/// out; `put.at[0]` is where the first row begins. `None` if anything is too short, or not for this loop.
#[inline(never)]
pub fn winograd(
    lines: &Taps<'_, '_>,
    w: &Winograd,
    rows: usize,
    words: &mut [u32],
    (weights, channels): (&[u8], &[u8]),
    put: &Put,
    out: &mut [u8],
) -> Option<()> {
    let last = w.columns.wrapping_sub(1);
    let line = if w.columns == 0 { 0 } else { last.checked_mul(w.pixel)?.checked_add(w.inputs)? };
    if !w.fits() || rows == 0 || lines.count() != Winograd::lines(rows.div_ceil(2)) || line > lines.room() {
        return None;
    }
    #[cfg(carafe_dsp)]
    return crate::arm_winograd::winograd(lines, w, rows, words, (weights, channels), put, out);
    #[cfg(not(carafe_dsp))]
    portable::winograd(lines, w, rows, words, (weights, channels), put, out)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use proptest::collection::vec as some;
    use proptest::prelude::*;

    use super::{Winograd, winograd};
    use crate::{PIXELS, Put, TAPS, Taps};

    proptest! {
        #[test]
        fn the_bits_are_those_of_plain_sums(
            (eights, columns, pad, width, rows) in (1usize..3, 0usize..9, 0usize..3, 2usize..11, 1usize..6),
            (pairs, zero, zero_point, shift) in (1usize..4, any::<i8>(), any::<i8>(), 0u8..4),
            (gap, out_gap, row_gap, begin) in (0usize..5, 0usize..5, 0usize..5, 0usize..9),
            (absent, extreme, seed) in (any::<u16>(), any::<bool>(), any::<u64>()),
            mut list in some(any::<u32>(), TAPS),
        ) {
            let mut state = seed | 1;
            let mut bytes = |n: usize, weights: bool| -> Vec<u8> {
                let mut next = || {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 40) as u8
                };
                // Extremes: the greatest sums there are.
                (0..n).map(|_| match next() {
                    b if extreme && weights => if b & 1 == 0 { 0x80 } else { 0x7f },
                    b => b,
                }).collect()
            };
            let inputs = 8 * eights;
            let columns = columns.min(width + 2 - pad);
            let out_step = 2 * pairs + out_gap;
            let w = Winograd {
                inputs, pixel: inputs + gap, columns, pad, zero, width, out_step,
                out_row: width * out_step + row_gap,
            };
            let count = Winograd::lines(rows.div_ceil(2));
            let x: Vec<Vec<u8>> = (0..count).map(|_| bytes(columns * w.pixel + 1, true)).collect();
            let mut lines = Taps::new(&mut list);
            for (k, x) in x.iter().enumerate() {
                if absent >> k & 1 == 0 { lines.push(x).unwrap() } else { lines.pad().unwrap() }
            }
            let (each, parameters) = (bytes(18 * inputs * pairs, true), bytes(16 * pairs, false));
            let (of, weights) = crate::fours(each, 9 * inputs);
            let put = Put { zero_point, shift, at: [begin; PIXELS] };
            let mut got = bytes(begin + rows * w.out_row, false);
            let mut want = got.clone();
            for (row, x0) in (0..rows).flat_map(|row| (0..width).map(move |x| (row, x))) {
                for channel in 0..2 * pairs {
                    let mut acc = 0;
                    for (tap, input) in (0..9).flat_map(|tap| (0..inputs).map(move |input| (tap, input))) {
                        let (line, column) = (row + tap / 3, (x0 + tap % 3).checked_sub(pad));
                        let there = column.filter(|&c| c < columns && absent >> line & 1 == 0);
                        let element = there.map_or(zero, |c| x[line][c * w.pixel + input] as i8);
                        acc += i32::from(element) * i32::from(of[channel * 9 * inputs + tap * inputs + input]);
                    }
                    want[begin + row * w.out_row + x0 * out_step + channel] =
                        crate::tile::finish(acc, &parameters[8 * channel..], &put);
                }
            }
            let mut words = vec![0; w.work(rows.div_ceil(2))];
            winograd(&lines, &w, rows, &mut words, (&weights, &parameters), &put, &mut got).unwrap();
            prop_assert_eq!(got, want);
        }
    }
}
