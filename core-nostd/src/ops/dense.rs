use core::marker::PhantomData;

use carafe_cpu::{CHANNELS, FAST, FAST_QUADS, HELIUM, PIXELS, Pixels, Put, Rescale};

use super::PAIRS;
use super::convolution::bound;
use super::loops::{ALL_LOOPS, ALONE, BOUNDED, SIMPLE, WIDE, need_plain, takes_fast};
use super::plain::Plain;
use super::quads;
use super::window::{Weights, Windows};
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
pub struct Dense<A = Native, const LOOPS: u16 = ALL_LOOPS>(PhantomData<A>);

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

impl<A: Arithmetic, const LOOPS: u16> Kernel for Dense<A, LOOPS> {
    const CODE: OpCode = OpCode::Dense;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        check(node, A::CHANNEL)
    }

    fn need(_: &Node<'_>) -> Result<Need, Fault> {
        Ok(Need { in_place: 0, ..Need::ELEMENTWISE })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let made = if A::ID == Native::ID && takes_fast(LOOPS) { fast::<LOOPS>(cx, (y0, y1))? } else { 0 };
        if made == usize::from(cx.node.out.c) {
            return Some(());
        }
        if need_plain(LOOPS) { plain::<A, LOOPS>(cx, (y0, y1), made) } else { None }
    }
}

/// Makes rows `y0..y1` by the loops of this core. Gives the channels that are made, the first ones.
#[inline(never)]
fn fast<const LOOPS: u16>(cx: &mut Cx<'_>, (y0, y1): (u16, u16)) -> Option<usize> {
    if FAST_QUADS && LOOPS & SIMPLE != 0 && quads::dense(cx, (y0, y1))? {
        return Some(usize::from(cx.node.out.c) & !1);
    }
    if !FAST && !HELIUM {
        return Some(0);
    }
    let node = cx.node;
    let r: DenseRecord = node.fields().ok()?;
    let (ic, all) = (usize::from(node.in0.c), usize::from(node.out.c));
    let (weights, channels) = weights(node, &r, Native::CHANNEL)?;
    let zero_point = node.out.zero_point;
    if HELIUM && LOOPS & WIDE != 0 && r.is_wide(node) {
        let rows = &cx.inputs[0];
        let out_step = cx.out.pixel_stride();
        let rescale = Rescale { zero_point, shift: r.shift as u8, lo: r.lo, hi: r.hi };
        for y in y0..y1 {
            let (step, count) = (rows.pixel_stride(), usize::from(node.out.w));
            let pixels = Pixels { x: rows.row(y)?, step, count, inputs: ic };
            carafe_cpu::product(&pixels, weights.bytes, channels, &rescale, (cx.out.row(y)?, out_step))?;
        }
        return Some(all);
    }
    let even = all & !1;
    let aligned = carafe_cpu::takes(weights.bytes) && carafe_cpu::takes(channels);
    if FAST && LOOPS & ALONE != 0 && aligned && r.is_fast(node) {
        let put = Put { zero_point, shift: r.shift as u8, at: [0; PIXELS] };
        let (rows, stride) = (&cx.inputs[0], cx.out.pixel_stride());
        for y in y0..y1 {
            for (x, out) in (0..).zip(cx.out.row(y)?.chunks_mut(stride.max(1))) {
                let out = out.get_mut(..even)?;
                carafe_cpu::dense(rows.run(y, x, ic)?, weights.bytes, channels, &put, out)?;
                if LOOPS & BOUNDED != 0 {
                    bound(out, r.lo, r.hi);
                }
            }
        }
        return Some(even);
    }
    Some(0)
}

/// Makes rows `y0..y1`, all channels but the first `made`.
#[inline(never)]
fn plain<A: Arithmetic, const LOOPS: u16>(cx: &mut Cx<'_>, (y0, y1): (u16, u16), made: usize) -> Option<()> {
    // Not by `?`, which would copy it.
    let Some(plain) = &read(cx.node, A::CHANNEL) else { return None };
    plain.make::<A, LOOPS>(cx, (y0, y1), made)
}

/// What the plain loop takes. Not where it is called: what reading takes is not on the stack while the loop runs.
#[inline(never)]
fn read<'m>(node: &Node<'m>, channel: usize) -> Option<Plain<'m>> {
    let r: DenseRecord = node.fields().ok()?;
    let (weights, channels) = weights(node, &r, channel)?;
    let finish = Finish { zero_point: node.out.zero_point, lo: r.lo, hi: r.hi, shift: r.shift };
    Some(Plain { windows: Windows::PIXEL, weights, channels, finish, dense: true })
}

#[inline]
pub(super) fn weights<'m>(node: &Node<'m>, r: &DenseRecord, channel: usize) -> Option<(Weights<'m>, &'m [u8])> {
    Weights::of(node, (r.weights, r.packing), 1, node.in0.c, channel).ok()
}

#[inline(never)]
fn check(node: &Node<'_>, channel: usize) -> Result<Need, Fault> {
    node.unary_bytes()?;
    let r: DenseRecord = node.fields()?;
    let (x, y) = (&node.in0, &node.out);
    if (x.h, x.w) != (y.h, y.w) {
        return Err(Fault::Shape);
    }
    let (_, macs) = Weights::check(node, (r.weights, r.packing), 1, x.c, channel)?;
    Ok(Need { in_place: 0, macs, scratch: quads::dense_scratch(r.packing, x.c, y.c), ..Need::ELEMENTWISE })
}
