use core::marker::PhantomData;

use carafe_cpu::gather::LANES;

use super::convolution::{BLOCK, ConvRecord, WORDS};
use super::loops::{ALL_LOOPS, SIMPLE, SLIDE, STREAM, WIDE, need_plain};
use super::{QUADS, gather, pixelwise, slide, sliding};
use crate::arithmetic::{Arithmetic, Native};
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode};

/// Depthwise convolution: every channel has its own kernel, or `multiplier` kernels (output channel
/// `i·multiplier + m` reads input channel `i`). Weights are `[KH, KW, O]`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d<A = Native, const LOOPS: u8 = ALL_LOOPS>(PhantomData<A>);

impl<A: Arithmetic, const LOOPS: u8> Kernel for DepthwiseConv2d<A, LOOPS> {
    const CODE: OpCode = OpCode::DepthwiseConv2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        ConvRecord::check(node, A::CHANNEL, true, |node, _, r| {
            // Of what is not linked, nothing is.
            let of = |loops: u8, scratch: fn(&Node<'_>, &ConvRecord) -> u32| {
                if A::ID != Native::ID || LOOPS & loops == 0 { 0 } else { scratch(node, r) }
            };
            match r.packing {
                QUADS => of(SIMPLE, pixelwise::scratch),
                WORDS => of(WIDE, gather::scratch),
                _ => match of(SLIDE, slide::scratch) {
                    0 => of(STREAM, sliding::scratch),
                    scratch => scratch,
                },
            }
        })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let node = cx.node;
        let r: ConvRecord = node.fields().ok()?;
        let windows = r.windows();
        let (x, oc) = (&node.in0, usize::from(node.out.c));
        let multiplier = usize::from(node.out.c.checked_div(x.c)?);
        let plain = multiplier == 1 && !x.unsigned();
        let (weights, channels) = r.depthwise(node, A::CHANNEL).ok()?;
        let finish = r.finish(node);
        let native = A::ID == Native::ID;
        if native && LOOPS & WIDE != 0 && gather::serves(cx, &r, weights) {
            return gather::produce(cx, (y0, y1), &r, weights, channels);
        }
        if native && LOOPS & SLIDE != 0 && slide::produce(cx, (y0, y1), &r, weights, channels).is_some() {
            return Some(());
        }
        if native && LOOPS & STREAM != 0 && sliding::serves(cx, &r) {
            return sliding::produce(cx, (y0, y1), &r, weights, channels);
        }
        if native && LOOPS & SIMPLE != 0 && pixelwise::serves(cx, &r, channels) {
            return pixelwise::produce(cx, (y0, y1), &r, weights, channels);
        }
        if !need_plain(LOOPS) {
            return None;
        }
        let [rows, _] = &cx.inputs;
        cx.out.each((y0, y1), false, &mut |oy, ox, out| {
            let mut from = 0;
            for out in out.chunks_mut(BLOCK) {
                let mut acc = [0; BLOCK];
                let acc = acc.get_mut(..out.len())?;
                windows.each((x, rows), (oy, ox), false, &mut |taps| {
                    for tap in taps.first..taps.first + taps.count {
                        let mut taken = [0; BLOCK];
                        let w = if r.packing == WORDS {
                            let w = taken.get_mut(..acc.len())?;
                            take(w, weights, (tap, from), &r)?;
                            &*w
                        } else {
                            weights.get(tap * oc + from..)?.get(..acc.len())?
                        };
                        match taps.pixels {
                            None => carafe_cpu::multiply_add_scalar(acc, x.zero(), w),
                            Some(pixel) if plain => carafe_cpu::multiply_add(acc, pixel.get(from..)?, w),
                            Some(pixel) => spread(acc, pixel, x.unsigned(), w, from, multiplier)?,
                        }
                    }
                    Some(())
                })?;
                finish.block::<A>(A::requantize, acc, channels.get(from * A::CHANNEL..)?, out);
                from += BLOCK;
            }
            Some(())
        })
    }
}

/// The weights of channels `from..` for a tap, of [`WORDS`].
#[inline(never)]
fn take(to: &mut [u8], weights: &[u8], (tap, from): (usize, usize), r: &ConvRecord) -> Option<()> {
    let kernel_w = usize::from(r.kernel_w);
    let (ky, kx) = (tap.checked_div(kernel_w)?, tap.checked_rem(kernel_w)?);
    for (c, to) in (from..).zip(to) {
        let word = (c / LANES * r.words() + ky / 4 * kernel_w + kx) * LANES + c % LANES;
        *to = *weights.get(4 * word + ky % 4)?;
    }
    Some(())
}

/// acc\[k\] += x\[(from + k) / multiplier\] · w\[k\].
#[inline(never)]
fn spread(acc: &mut [i32], x: &[u8], unsigned: bool, w: &[u8], from: usize, multiplier: usize) -> Option<()> {
    for (o, (acc, &w)) in (from..).zip(acc.iter_mut().zip(w)) {
        let x = carafe_cpu::element(*x.get(o.checked_div(multiplier)?)?, unsigned);
        *acc = acc.wrapping_add(i32::from(x) * i32::from(w as i8));
    }
    Some(())
}
