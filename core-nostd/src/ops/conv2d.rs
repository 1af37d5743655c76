use core::marker::PhantomData;

use super::window::{Taps, Weights, Windows};
use super::{sliding, tile};
use crate::arithmetic::{Arithmetic, Finish, Native};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, TensorInfo, Window};

record! {
    /// Fields of [`Conv2d`] and [`super::DepthwiseConv2d`].
    pub struct ConvRecord {
        /// Rows of the kernel.
        kernel_h: u8,
        /// Columns of the kernel.
        kernel_w: u8,
        /// Rows from window to window.
        stride_h: u8,
        /// Columns from window to window.
        stride_w: u8,
        /// Rows from tap to tap.
        dilation_h: u8,
        /// Columns from tap to tap.
        dilation_w: u8,
        /// Rows of padding above.
        pad_top: u8,
        /// Columns of padding to the left.
        pad_left: u8,
        /// Least element of the result.
        lo: i8,
        /// Greatest element of the result.
        hi: i8,
        /// Shift of the requantization, if the arithmetic has one per node.
        shift: i8,
        /// How weights are packed: [`PLAIN`] or [`PAIRS`]. Depthwise: plain, `[KH, KW, O]`.
        packing: u8,
        /// Byte of the weights among the constants; channel parameters follow ([`Node::layer`]).
        weights: u32,
    }
}

/// Weights are `[O, KH, KW, I]`.
pub const PLAIN: u8 = 0;

/// Weights are interleaved, two channels of the result in one ([`carafe_cpu::dot_pairs`]): `[O / 2, KH·KW·I, 2]`. Of an
/// odd number of channels the last one is plain. The inputs of a channel are filled up to a multiple of 4 with zeros.
pub const PAIRS: u8 = 1;

/// Channels that are accumulated at once: accumulators stay on the stack, 128 bytes of it.
pub(super) const BLOCK: usize = 32;

impl ConvRecord {
    pub(super) fn windows(&self) -> Windows {
        Windows {
            kernel: [self.kernel_h, self.kernel_w],
            stride: [self.stride_h, self.stride_w],
            dilation: [self.dilation_h, self.dilation_w],
            pad: [self.pad_top, self.pad_left],
        }
    }

    pub(super) fn finish(&self, node: &Node<'_>) -> Finish {
        Finish { zero_point: node.out.zero_point, lo: self.lo, hi: self.hi, shift: self.shift }
    }

    /// The check of [`Conv2d`] and [`super::DepthwiseConv2d`]. `channel`: bytes of a channel's parameters.
    #[inline(never)]
    pub(super) fn check(node: &Node<'_>, channel: usize, depthwise: bool) -> Result<Need, Fault> {
        node.unary_bytes()?;
        let r: ConvRecord = node.fields()?;
        let windows = r.windows();
        let window = windows.rows()?;
        let mut depth = node.in0.c;
        if depthwise {
            if node.out.c.checked_rem(depth) != Some(0) {
                return Err(Fault::Shape);
            }
            if r.packing != PLAIN {
                return Err(Fault::Field);
            }
            depth = 1;
        }
        let (weights, macs) = Weights::check(node, (r.weights, r.packing), windows.taps(), depth, channel)?;
        let scratch = if depthwise { sliding::scratch(node, &r) } else { tile::scratch(node, &weights, &r) };
        Ok(Need { windows: [window, Window::SAME], in_place: 0, macs, scratch, ..Need::ELEMENTWISE })
    }
}

/// Two-dimensional convolution (`groups` = 1) with fused bias and clamp.
///
/// A bias has the input's zero point folded in, so a tap in the padding counts as the zero point times its weights.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for Conv2d<A> {
    const CODE: OpCode = OpCode::Conv2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        ConvRecord::check(node, A::CHANNEL, false)
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
        if A::ID == Native::ID && tile::serves(cx, &weights, &r) {
            tile::produce(cx, (y0, y1), &r, &weights, channels)?;
            made = usize::from(node.out.c) & !1;
            if made == usize::from(node.out.c) {
                return Some(());
            }
        }
        let (weights, channels) = (weights.skip(made), channels.get(made * A::CHANNEL..)?);
        let [rows, _] = &cx.inputs;
        cx.out.each((y0, y1), false, &mut |oy, ox, out| {
            let (mut weights, mut channels) = (weights, channels);
            for out in out.get_mut(made..)?.chunks_mut(BLOCK) {
                let mut acc = [0; BLOCK];
                let acc = acc.get_mut(..out.len())?;
                windows
                    .each((&node.in0, rows), (oy, ox), true, &mut |taps| accumulate(acc, &taps, &node.in0, &weights))?;
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
        let scaled = |[a, b]: [i32; 2]| [a, b].map(|sum| sum.wrapping_mul(i32::from(x.zero())));
        // The last of an odd number is plain.
        let sums = if weights.pairs && acc.len() == 2 {
            let w = weights.bytes.get(2 * first..)?.get(..2 * length)?;
            match taps.pixels {
                None => scaled(carafe_cpu::sum_pairs(w)),
                Some(pixels) if x.unsigned() => carafe_cpu::dot_pairs_u8(pixels, w),
                Some(pixels) => carafe_cpu::dot_pairs(pixels, w),
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
