use core::marker::PhantomData;

use carafe_cpu::{CHANNELS, FAST, HELIUM, PIXELS, Pixels, Put, Rescale};

use super::PAIRS;
use super::conv2d::accumulate;
use super::convolution::BLOCK;
use super::loops::{ALL_LOOPS, ALONE, SIMPLE, WIDE, need_plain};
use super::quads;
use super::window::{Taps, Weights};
use crate::arithmetic::{Arithmetic, Finish, Native};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode};

record! {
    /// Fields of [`Dense`].
    pub struct DenseRecord {
        /// Least element of the result.
        lo: i8,
        /// Greatest element of the result.
        hi: i8,
        /// Shift of the requantization, if the arithmetic has one per node.
        shift: i8,
        /// How weights are packed: [`super::PLAIN`] (`[O, I]`), [`super::PAIRS`] or [`super::QUADS`].
        packing: u8,
        /// Byte of the weights among the constants; channel parameters follow ([`Node::layer`]).
        weights: u32,
    }
}

/// Fully connected layer over the channels of every pixel, with fused bias and clamp.
#[derive(Clone, Copy, Debug)]
pub struct Dense<A = Native, const LOOPS: u8 = ALL_LOOPS>(PhantomData<A>);

impl DenseRecord {
    /// True if a layer is for the fast loop.
    pub(super) fn is_fast(&self, node: &Node<'_>) -> bool {
        self.packing == PAIRS && self.shift >= 0 && node.in0.c.is_multiple_of(4) && !node.in0.unsigned()
    }

    /// True if a layer is for the loop of cores with Helium.
    pub(super) fn is_wide(&self, node: &Node<'_>) -> bool {
        self.packing == super::PLAIN && self.shift >= 0 && usize::from(node.out.c) >= CHANNELS && !node.in0.unsigned()
    }
}

impl<A: Arithmetic, const LOOPS: u8> Kernel for Dense<A, LOOPS> {
    const CODE: OpCode = OpCode::Dense;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        check(node, A::CHANNEL)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let node = cx.node;
        let r: DenseRecord = node.fields().ok()?;
        let ic = usize::from(node.in0.c);
        let (weights, channels) = Weights::of(node, (r.weights, r.packing), 1, node.in0.c, A::CHANNEL).ok()?;
        let fast = FAST && A::ID == Native::ID && LOOPS & ALONE != 0 && r.is_fast(node);
        let wide = HELIUM && A::ID == Native::ID && LOOPS & WIDE != 0 && r.is_wide(node);
        let finish = Finish { zero_point: node.out.zero_point, lo: r.lo, hi: r.hi, shift: r.shift };
        if wide {
            let rows = &cx.inputs[0];
            let out_step = cx.out.pixel_stride();
            let rescale = Rescale { zero_point: finish.zero_point, shift: r.shift as u8, lo: r.lo, hi: r.hi };
            for y in y0..y1 {
                let (step, count) = (rows.pixel_stride(), usize::from(node.out.w));
                let pixels = Pixels { x: rows.row(y)?, step, count, inputs: ic };
                carafe_cpu::product(&pixels, weights.bytes, channels, &rescale, (cx.out.row(y)?, out_step))?;
            }
            return Some(());
        }
        let mut made = 0;
        if A::ID == Native::ID && LOOPS & SIMPLE != 0 && quads::serves_dense(cx, &weights, &r) {
            quads::dense(cx, (y0, y1), &r, &weights, channels)?;
            made = usize::from(node.out.c) & !1;
            if made == usize::from(node.out.c) {
                return Some(());
            }
        }
        let (weights, channels) = (weights.skip(made), channels.get(made * A::CHANNEL..)?);
        let [rows, _] = &cx.inputs;
        cx.out.each((y0, y1), false, &mut |y, x, out| {
            let taps = Taps { first: 0, count: 1, pixels: Some(rows.run(y, x, ic)?) };
            let (mut weights, mut channels, mut out) = (weights, channels, out.get_mut(made..)?);
            if fast {
                // An odd channel at the end is left out.
                let even = out.len() & !1;
                let (made, odd) = out.split_at_mut_checked(even)?;
                let put = Put { zero_point: finish.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
                carafe_cpu::dense(taps.pixels?, weights.bytes, channels, &put, made)?;
                if (r.lo, r.hi) != (i8::MIN, i8::MAX) {
                    carafe_cpu::clamp(made, r.lo, r.hi);
                }
                (weights, channels, out) = (weights.skip(even), channels.get(even * A::CHANNEL..)?, odd);
            }
            if !need_plain(LOOPS) {
                return out.is_empty().then_some(());
            }
            for out in out.chunks_mut(BLOCK) {
                let mut acc = [0; BLOCK];
                let acc = acc.get_mut(..out.len())?;
                accumulate(acc, &taps, &node.in0, &weights)?;
                finish.block::<A>(A::requantize_dense, acc, channels, out);
                weights = weights.skip(BLOCK);
                channels = channels.get(BLOCK * A::CHANNEL..).unwrap_or_default();
            }
            Some(())
        })
    }
}

#[inline(never)]
fn check(node: &Node<'_>, channel: usize) -> Result<Need, Fault> {
    node.unary_bytes()?;
    let r: DenseRecord = node.fields()?;
    let (x, y) = (&node.in0, &node.out);
    if (x.h, x.w) != (y.h, y.w) {
        return Err(Fault::Shape);
    }
    let (weights, macs) = Weights::check(node, (r.weights, r.packing), 1, x.c, channel)?;
    Ok(Need { in_place: 0, macs, scratch: quads::dense_scratch(&weights, x.c, y.c), ..Need::ELEMENTWISE })
}
