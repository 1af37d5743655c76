//! What both convolutions have in common, and layers with them: fields, packings, the check.

use super::window::{Weights, Windows};
use crate::arithmetic::Finish;
use crate::record::record;
use crate::{Fault, Need, Node, Window};

record! {
    /// Fields of [`super::Conv2d`] and [`super::DepthwiseConv2d`].
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
        /// How weights are packed: [`PLAIN`], [`PAIRS`], [`FOURS`], [`QUADS`] or [`COLUMNS`]. Depthwise: [`PLAIN`] or
        /// [`QUADS`], of which either is `[KH, KW, O]` (for the latter less scratch is planned, as cores take that have no
        /// better loop), or [`WORDS`].
        packing: u8,
        /// Byte of the weights among the constants; channel parameters follow ([`Node::layer`]).
        weights: u32,
    }
}

/// Weights are `[O, KH, KW, I]`.
pub const PLAIN: u8 = 0;

/// Weights are interleaved, two channels of the result in one ([`carafe_cpu::dot_pairs`]): `[O / 2, KH·KW·I, 2]`. Of an
/// odd number of channels the last one is plain. The inputs of a channel are filled up to a multiple of 4 with zeros, and
/// stand in the order of [`carafe_cpu::place`]. (1 was the same in another order; blobs that have it are refused.)
pub const PAIRS: u8 = 5;

/// As [`PAIRS`], three halfwords for four channels ([`carafe_cpu::Pair`]): `[O / 4, KH·KW·I / 2, 2, 2, 2]`, which
/// are pair, input and channel; two halfwords are there, and a third is made of them. Of what is left, two channels are a pair,
/// and an odd one is plain.
pub const FOURS: u8 = 6;

/// As [`PAIRS`], two inputs of two channels in a word ([`carafe_cpu::Quads`]): `[O / 2, KH·KW·I / 2, 2, 2]`, each weight plus
/// 128; none is −128. Of an operand of u8, 128 is taken.
pub const QUADS: u8 = 2;

/// Weights are `[O, KW, KH, I]`: the taps of a column lie beside each other.
pub const COLUMNS: u8 = 3;

/// Depthwise weights, four rows of the kernel in a word: `[O / 16, KH / 4, KW, 16, 4]`, filled up with zeros.
pub const WORDS: u8 = 4;

/// Channels that are accumulated at once: accumulators stay on the stack, 64 bytes of it.
pub(super) const BLOCK: usize = 16;

impl ConvRecord {
    pub(super) fn windows(&self) -> Windows {
        Windows {
            kernel: [self.kernel_h, self.kernel_w],
            stride: [self.stride_h, self.stride_w],
            dilation: [self.dilation_h, self.dilation_w],
            pad: [self.pad_top, self.pad_left],
        }
    }

    /// Words of a window in [`WORDS`].
    pub(super) fn words(&self) -> usize {
        usize::from(self.kernel_h).div_ceil(4) * usize::from(self.kernel_w)
    }

    /// Weights and parameters of a depthwise convolution.
    pub(super) fn depthwise<'m>(&self, node: &Node<'m>, channel: usize) -> Result<(&'m [u8], &'m [u8]), Fault> {
        let channels = usize::from(node.out.c);
        let length = match self.packing {
            PLAIN | QUADS => self.windows().taps() * channels,
            // Channels that are multiplied are not packed so.
            WORDS if node.in0.c == node.out.c && self.words() <= carafe_cpu::gather::WORDS => {
                carafe_cpu::gather::packed(channels, self.words())
            }
            _ => return Err(Fault::Field),
        };
        node.layer(self.weights, length, channel)
    }

    pub(super) fn finish(&self, node: &Node<'_>) -> Finish {
        Finish { zero_point: node.out.zero_point, lo: self.lo, hi: self.hi, shift: self.shift }
    }

    /// What both need that have been checked.
    #[inline]
    pub(super) fn need(&self) -> Need {
        Need { windows: [self.windows().window(), Window::SAME], in_place: 0, ..Need::ELEMENTWISE }
    }

    /// The check of both. `channel`: bytes of a channel's parameters; `scratch`: what is taken of it.
    #[inline(never)]
    pub(super) fn check(
        node: &Node<'_>,
        channel: usize,
        depthwise: bool,
        scratch: fn(&Node<'_>, &Weights<'_>, &Self) -> u32,
    ) -> Result<Need, Fault> {
        node.unary_bytes()?;
        let r: ConvRecord = node.fields()?;
        let windows = r.windows();
        let window = windows.rows()?;
        let mut depth = node.in0.c;
        if depthwise {
            if node.out.c.checked_rem(depth) != Some(0) {
                return Err(Fault::Shape);
            }
            r.depthwise(node, channel)?;
            depth = 1;
        }
        let place = (r.weights, if depthwise { PLAIN } else { r.packing });
        let (weights, macs) = Weights::check(node, place, windows.taps(), depth, channel)?;
        let scratch = scratch(node, &weights, &r);
        Ok(Need { windows: [window, Window::SAME], in_place: 0, macs, scratch, ..Need::ELEMENTWISE })
    }
}

/// Cuts results to the bounds of a layer, if it has some.
#[inline(never)]
pub(super) fn bound(out: &mut [u8], lo: i8, hi: i8) {
    // Not where it is called: loops would be there twice.
    if (lo, hi) != (i8::MIN, i8::MAX) {
        carafe_cpu::clamp(out, lo, hi);
    }
}
