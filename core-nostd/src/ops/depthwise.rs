use core::hint::black_box;
use core::marker::PhantomData;

use carafe_cpu::gather::LANES;

use super::convolution::{ConvRecord, WORDS};
use super::loops::{ALL_LOOPS, BYTES, NARROW, SIMPLE, SLIDE, STREAM, WIDE, need_plain, reads_columns, takes_fast};
use super::{QUADS, gather, pixelwise, slide, sliding};
use crate::arithmetic::{Arithmetic, Native};
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, Rows, TensorInfo};

/// Channels that are accumulated at once: taps are looked for as often.
const BLOCK: usize = 32;

/// Depthwise convolution: every channel has its own kernel, or `multiplier` kernels (output channel
/// `i·multiplier + m` reads input channel `i`). Weights are `[KH, KW, O]`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d<A = Native, const LOOPS: u16 = ALL_LOOPS>(PhantomData<A>);

impl<A: Arithmetic, const LOOPS: u16> Kernel for DepthwiseConv2d<A, LOOPS> {
    const CODE: OpCode = OpCode::DepthwiseConv2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        ConvRecord::check(node, A::CHANNEL, true, |node, _, r| {
            // Of what is not linked, nothing is.
            let of = |loops: u16, scratch: fn(&Node<'_>, &ConvRecord) -> u32| {
                if A::ID != Native::ID || LOOPS & loops == 0 { 0 } else { scratch(node, r) }
            };
            match r.packing {
                QUADS => of(SIMPLE, pixelwise::scratch),
                WORDS => of(WIDE, gather::scratch),
                _ => match of(SLIDE | NARROW, slide::scratch) {
                    0 => of(STREAM, sliding::scratch),
                    scratch => scratch,
                },
            }
        })
    }

    fn need(node: &Node<'_>) -> Result<Need, Fault> {
        node.fields().map(|r: ConvRecord| r.need())
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        if A::ID == Native::ID && takes_fast(LOOPS) && fast::<LOOPS>(cx, (y0, y1))? {
            return Some(());
        }
        if need_plain(LOOPS) { plain::<A, LOOPS>(cx, (y0, y1)) } else { None }
    }
}

/// Makes rows `y0..y1` by the loops of this core; false if none is for them.
#[inline(never)]
fn fast<const LOOPS: u16>(cx: &mut Cx<'_>, (y0, y1): (u16, u16)) -> Option<bool> {
    let r: ConvRecord = cx.node.fields().ok()?;
    let (weights, channels) = r.depthwise(cx.node, Native::CHANNEL).ok()?;
    if LOOPS & WIDE != 0 && gather::serves(cx, &r, weights) {
        gather::produce(cx, (y0, y1), &r, weights, channels)?;
        return Some(true);
    }
    if LOOPS & (SLIDE | NARROW) != 0 && slide::produce::<LOOPS>(cx, (y0, y1), &r, weights, channels).is_some() {
        return Some(true);
    }
    if LOOPS & STREAM != 0 && sliding::serves(cx, &r) {
        sliding::produce::<LOOPS>(cx, (y0, y1), &r, weights, channels)?;
        return Some(true);
    }
    if LOOPS & SIMPLE != 0 && pixelwise::serves(cx, &r, channels) {
        pixelwise::produce(cx, (y0, y1), &r, weights, channels)?;
        return Some(true);
    }
    Some(false)
}

/// Makes rows `y0..y1` of any layer.
#[inline(never)]
fn plain<A: Arithmetic, const LOOPS: u16>(cx: &mut Cx<'_>, (y0, y1): (u16, u16)) -> Option<()> {
    let node = cx.node;
    let r: ConvRecord = node.fields().ok()?;
    let (weights, channels) = r.depthwise(node, A::CHANNEL).ok()?;
    let (x, rows, all) = (&node.in0, &cx.inputs[0], usize::from(node.out.c));
    let layer = Layer { r: &r, weights, all, multiplier: usize::from(node.out.c.checked_div(x.c)?) };
    let (finish, stride) = (r.finish(node), cx.out.pixel_stride());
    for oy in y0..y1 {
        for (ox, out) in (0..).zip(cx.out.row(oy)?.chunks_mut(stride.max(1))) {
            let mut from = 0;
            for out in out.get_mut(..all)?.chunks_mut(BLOCK) {
                let mut acc = [black_box(0); BLOCK];
                let acc = acc.get_mut(..out.len())?;
                layer.sums::<LOOPS>(acc, from, (x, rows), (oy, ox))?;
                finish.block::<A>(A::requantize, acc, channels.get(from * A::CHANNEL..)?, out);
                from += BLOCK;
            }
        }
    }
    Some(())
}

/// What the plain loop reads.
struct Layer<'a> {
    r: &'a ConvRecord,
    weights: &'a [u8],
    /// Channels of the result.
    all: usize,
    /// How many of them an operand's channel has.
    multiplier: usize,
}

impl Layer<'_> {
    /// The sums of channels `from..` of a pixel. Of no arithmetic, so that both have one.
    fn sums<const LOOPS: u16>(
        &self,
        acc: &mut [i32],
        from: usize,
        (x, rows): (&TensorInfo, &Rows<'_>),
        at: (u16, u16),
    ) -> Option<()> {
        let one = LOOPS & BYTES == 0 || self.multiplier == 1 && !x.unsigned();
        self.r.windows().each((x, rows), at, false, &mut |taps| {
            let mut taken = [0; BLOCK];
            let w = if reads_columns(LOOPS) && self.r.packing == WORDS {
                let w = taken.get_mut(..acc.len())?;
                take(w, self.weights, (taps.first, from), self.r)?;
                &*w
            } else {
                self.weights.get(taps.first * self.all + from..)?.get(..acc.len())?
            };
            match taps.pixels {
                None => carafe_cpu::multiply_add_scalar(acc, x.zero(), w),
                Some(pixel) if one => carafe_cpu::multiply_add(acc, pixel.get(from..)?, w),
                Some(pixel) => spread(acc, pixel, x.unsigned(), w, from, self.multiplier)?,
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
