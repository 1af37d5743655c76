use core::marker::PhantomData;

use super::convolution::{BLOCK, ConvRecord};
use super::loops::{ALL_LOOPS, ALONE, SIMPLE, TILES, WIDE, need_plain};
use super::window::{Taps, Weights};
use super::{product, quads, tile};
use crate::arithmetic::{Arithmetic, Native};
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, TensorInfo};

/// Two-dimensional convolution (`groups` = 1) with fused bias and clamp.
///
/// A bias has the input's zero point folded in, so a tap in the padding counts as the zero point times its weights.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<A = Native, const LOOPS: u8 = ALL_LOOPS>(PhantomData<A>);

impl<A: Arithmetic, const LOOPS: u8> Kernel for Conv2d<A, LOOPS> {
    const CODE: OpCode = OpCode::Conv2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        ConvRecord::check(node, A::CHANNEL, false, |node, weights, r| {
            // Of one packing, only one of them takes any; of what is not linked, nothing is.
            let of = |loops: u8, scratch: fn(&Node<'_>, &Weights<'_>, &ConvRecord) -> u32| {
                if A::ID != Native::ID || LOOPS & loops == 0 { 0 } else { scratch(node, weights, r) }
            };
            of(TILES | ALONE, tile::scratch) + of(SIMPLE, quads::scratch) + of(WIDE, product::scratch)
        })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let node = cx.node;
        let r: ConvRecord = node.fields().ok()?;
        let windows = r.windows();
        let (weights, channels) =
            Weights::of(node, (r.weights, r.packing), windows.taps(), node.in0.c, A::CHANNEL).ok()?;
        let finish = r.finish(node);
        let mut made = 0;
        if A::ID == Native::ID && LOOPS & WIDE != 0 && product::serves(cx, &weights, &r) {
            return product::produce(cx, (y0, y1), &r, &weights, channels);
        }
        if A::ID == Native::ID && LOOPS & (TILES | ALONE) != 0 && tile::serves(cx, &weights, &r) {
            tile::produce(cx, (y0, y1), &r, (&weights, channels), LOOPS)?;
            made = usize::from(node.out.c) & !1;
        } else if A::ID == Native::ID && LOOPS & SIMPLE != 0 && quads::serves(cx, &weights, &r) {
            quads::produce(cx, (y0, y1), &r, &weights, channels)?;
            made = usize::from(node.out.c) & !1;
        }
        if made == usize::from(node.out.c) {
            return Some(());
        }
        if !need_plain(LOOPS) {
            return None;
        }
        let (weights, channels) = (weights.skip(made), channels.get(made * A::CHANNEL..)?);
        let [rows, _] = &cx.inputs;
        cx.out.each((y0, y1), false, &mut |oy, ox, out| {
            let (mut weights, mut channels) = (weights, channels);
            for out in out.get_mut(made..)?.chunks_mut(BLOCK) {
                let mut acc = [0; BLOCK];
                let acc = acc.get_mut(..out.len())?;
                windows.each((&node.in0, rows), (oy, ox), !weights.columns, &mut |taps| {
                    if !weights.columns {
                        return accumulate(acc, &taps, &node.in0, &weights);
                    }
                    for tap in taps.first..taps.first + taps.count {
                        let taps = Taps { first: windows.by_column(tap)?, count: 1, pixels: taps.pixels };
                        accumulate(acc, &taps, &node.in0, &weights)?;
                    }
                    Some(())
                })?;
                finish.block::<A>(A::requantize, acc, channels, out);
                weights = weights.skip(BLOCK);
                channels = channels.get(BLOCK * A::CHANNEL..).unwrap_or_default();
            }
            Some(())
        })
    }
}

/// acc\[i\] += taps · weights of channel i. `weights` begin with those of the first channel.
#[inline(never)]
pub(super) fn accumulate(acc: &mut [i32], taps: &Taps<'_>, x: &TensorInfo, weights: &Weights<'_>) -> Option<()> {
    let (first, length) = (taps.first * usize::from(x.c), taps.count * usize::from(x.c));
    let mut weights = *weights;
    for acc in acc.chunks_mut(2) {
        let less = if weights.quads && x.unsigned() { 128 } else { 0 };
        let scaled = |[a, b]: [i32; 2]| [a, b].map(|sum| sum.wrapping_mul(i32::from(x.zero()) - less));
        // The last of an odd number is plain.
        let sums = if weights.quads && acc.len() == 2 {
            let w = weights.bytes.get(..2 * weights.per_channel)?;
            match taps.pixels {
                None => scaled(carafe_cpu::sum_quads(w, first, length)),
                Some(pixels) => carafe_cpu::dot_quads(pixels.get(..length)?, w, first, x.unsigned()),
            }
        } else if weights.pairs && acc.len() == 2 {
            let w = weights.bytes;
            match taps.pixels {
                None => scaled(carafe_cpu::sum_pairs(w, first, length)),
                Some(pixels) if x.unsigned() => carafe_cpu::dot_pairs_u8(pixels.get(..length)?, w, first),
                Some(pixels) => carafe_cpu::dot_pairs(pixels.get(..length)?, w, first),
            }
        } else {
            let w0 = weights.bytes.get(first..)?.get(..length)?;
            let w1 =
                if acc.len() < 2 { w0 } else { weights.bytes.get(weights.per_channel + first..)?.get(..length)? };
            match taps.pixels {
                None => scaled([w0, w1].map(carafe_cpu::sum)),
                Some(pixels) if x.unsigned() => [w0, w1].map(|w| carafe_cpu::dot_u8(pixels, w)),
                Some(pixels) => carafe_cpu::dot(pixels.get(..length)?, [w0, w1]),
            }
        };
        for (acc, sum) in acc.iter_mut().zip(sums) {
            *acc = acc.wrapping_add(sum);
        }
        weights = weights.skip(2);
    }
    Some(())
}
