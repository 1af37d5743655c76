use core::marker::PhantomData;

use super::conv2d::{BLOCK, accumulate};
use super::window::{Taps, weights};
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
        /// How weights are packed. 0: plain, `[O, I]`.
        packing: u8,
        /// Byte of the weights among the constants; channel parameters follow ([`Node::layer`]).
        weights: u32,
    }
}

/// Fully connected layer over the channels of every pixel, with fused bias and clamp.
#[derive(Clone, Copy, Debug)]
pub struct Dense<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for Dense<A> {
    const CODE: OpCode = OpCode::Dense;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        check(node, A::CHANNEL)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let (node, [rows, _]) = (cx.node, &cx.inputs);
        let r: DenseRecord = node.fields().ok()?;
        let ic = usize::from(node.in0.c);
        let (weights, channels) = node.layer(r.weights, ic * usize::from(node.out.c), A::CHANNEL).ok()?;
        let finish = Finish { zero_point: node.out.zero_point, lo: r.lo, hi: r.hi, shift: r.shift };
        cx.out.each((y0, y1), false, &mut |y, x, out| {
            let taps = Taps { first: 0, count: 1, pixels: Some(rows.run(y, x, ic)?) };
            let (mut weights, mut channels) = (weights, channels);
            for out in out.chunks_mut(BLOCK) {
                let mut acc = [0; BLOCK];
                let acc = acc.get_mut(..out.len())?;
                accumulate(acc, &taps, &node.in0, weights, ic)?;
                finish.block::<A>(A::requantize_dense, acc, channels, out);
                weights = weights.get(BLOCK * ic..).unwrap_or_default();
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
    if r.packing != 0 {
        return Err(Fault::Field);
    }
    Ok(Need { in_place: 0, macs: weights(node, r.weights, 1, x.c, channel)?, ..Need::ELEMENTWISE })
}
