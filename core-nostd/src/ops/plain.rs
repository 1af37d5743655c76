//! The loop that needs nothing: pixel by pixel, some channels at a time.

use core::hint::black_box;

use super::convolution::BLOCK;
use super::loops::{BYTES, reads_columns, reads_pairs, reads_quads, reads_rows};
use super::window::{Taps, Weights, Windows};
use crate::arithmetic::{Arithmetic, Finish};
use crate::{Cx, Rows, TensorInfo};

/// A convolution or dense layer.
pub(super) struct Plain<'a> {
    pub windows: Windows,
    pub weights: Weights<'a>,
    /// Parameters of the channels.
    pub channels: &'a [u8],
    pub finish: Finish,
    /// Rounded as dense layers are.
    pub dense: bool,
}

impl Plain<'_> {
    /// Makes rows `y0..y1`, all channels but the first `made`.
    #[inline(never)]
    pub fn make<A: Arithmetic, const LOOPS: u16>(
        &self,
        cx: &mut Cx<'_>,
        (y0, y1): (u16, u16),
        made: usize,
    ) -> Option<()> {
        // Read where it lies: compilers would keep its fields on the stack once more.
        let this = black_box(self);
        let (x, [rows, _]) = (&cx.node.in0, &cx.inputs);
        let (all, stride) = (cx.out.channels(), cx.out.pixel_stride());
        let requantize = if this.dense { A::requantize_dense } else { A::requantize };
        for oy in y0..y1 {
            for (ox, out) in (0..).zip(cx.out.row(oy)?.chunks_mut(stride.max(1))) {
                let (mut weights, mut channels) = (this.weights.skip(made), this.channels.get(made * A::CHANNEL..)?);
                for out in out.get_mut(made..all)?.chunks_mut(BLOCK) {
                    let mut acc = [black_box(0); BLOCK];
                    let acc = acc.get_mut(..out.len())?;
                    sums::<LOOPS>(acc, &this.windows, weights, (x, rows), (oy, ox))?;
                    this.finish.block::<A>(requantize, acc, channels, out);
                    weights = weights.skip(BLOCK);
                    channels = channels.get(BLOCK * A::CHANNEL..).unwrap_or_default();
                }
            }
        }
        Some(())
    }
}

/// The sums of a pixel. Of no arithmetic, so that both have one.
fn sums<const LOOPS: u16>(
    acc: &mut [i32],
    windows: &Windows,
    weights: Weights<'_>,
    (x, rows): (&TensorInfo, &Rows<'_>),
    at: (u16, u16),
) -> Option<()> {
    let columns = reads_columns(LOOPS) && weights.columns();
    windows.each((x, rows), at, !columns, &mut move |mut taps| {
        if columns {
            taps.first = windows.by_column(taps.first)?;
        }
        accumulate::<LOOPS>(acc, &taps, x, weights)
    })
}

/// acc\[i\] += taps · weights of channel i. `weights` begin with those of the first channel.
#[inline]
fn accumulate<const LOOPS: u16>(
    acc: &mut [i32],
    taps: &Taps<'_>,
    x: &TensorInfo,
    mut weights: Weights<'_>,
) -> Option<()> {
    let unsigned = LOOPS & BYTES != 0 && x.unsigned();
    let (pairs, quads) = (reads_pairs(LOOPS) && weights.pairs(), reads_quads(LOOPS) && weights.quads());
    let fours = reads_pairs(LOOPS) && weights.fours();
    let (first, length) = (taps.first * usize::from(x.c), taps.count * usize::from(x.c));
    let less = if quads && unsigned { 128 } else { 0 };
    let scaled = |sum: i32| sum.wrapping_mul(i32::from(x.zero()) - less);
    let mut acc = acc;
    while !acc.is_empty() {
        // Four share their weights, or two, of as many as there are; the last of an odd number is plain.
        let many = if fours && acc.len() >= 4 { 4 } else { acc.len().min(2) };
        let (those, others) = acc.split_at_mut_checked(many)?;
        let w = weights.bytes;
        let mut sums = [0; 4];
        if many == 4 {
            sums = match taps.pixels {
                None => carafe_cpu::sum_fours(w, first, length).map(scaled),
                Some(pixels) if unsigned => carafe_cpu::dot_fours_u8(pixels.get(..length)?, w, first),
                Some(pixels) => carafe_cpu::dot_fours(pixels.get(..length)?, w, first),
            };
        } else {
            let [a, b] = if quads && many == 2 {
                let w = w.get(..2 * weights.per_channel)?;
                match taps.pixels {
                    None => carafe_cpu::sum_quads(w, first, length).map(scaled),
                    Some(pixels) => carafe_cpu::dot_quads(pixels.get(..length)?, w, first, unsigned),
                }
            } else if pairs && many == 2 {
                match taps.pixels {
                    None => carafe_cpu::sum_pairs(w, first, length).map(scaled),
                    Some(pixels) if unsigned => carafe_cpu::dot_pairs_u8(pixels.get(..length)?, w, first),
                    Some(pixels) => carafe_cpu::dot_pairs(pixels.get(..length)?, w, first),
                }
            } else if reads_rows(LOOPS) {
                let w0 = w.get(first..)?.get(..length)?;
                let w1 = if many < 2 { w0 } else { w.get(weights.per_channel + first..)?.get(..length)? };
                match taps.pixels {
                    None => [w0, w1].map(carafe_cpu::sum).map(scaled),
                    Some(pixels) if unsigned => [w0, w1].map(|w| carafe_cpu::dot_u8(pixels, w)),
                    Some(pixels) => carafe_cpu::dot(pixels.get(..length)?, [w0, w1]),
                }
            } else {
                return None;
            };
            (sums[0], sums[1]) = (a, b);
        }
        for (acc, sum) in those.iter_mut().zip(sums) {
            *acc = acc.wrapping_add(sum);
        }
        weights = weights.skip(many);
        acc = others;
    }
    Some(())
}
