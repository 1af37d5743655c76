use core::marker::PhantomData;

use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, RunError};

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
        node.unary_bytes()?;
        let r: DenseRecord = node.fields()?;
        let (x, y) = (&node.in0, &node.out);
        if (x.h, x.w) != (y.h, y.w) {
            return Err(Fault::Shape);
        }
        if r.packing != 0 {
            return Err(Fault::Field);
        }
        let weights = usize::from(x.c).checked_mul(usize::from(y.c)).ok_or(Fault::Shape)?;
        node.layer::<A>(r.weights, weights)?;
        let macs = (weights as u64).saturating_mul(u64::from(y.h) * u64::from(y.w));
        Ok(Need { in_place: 0, macs: u32::try_from(macs).unwrap_or(u32::MAX), ..Need::ELEMENTWISE })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Result<(), RunError> {
        let wrong = RunError::Plan { node: cx.node.id.0 };
        let Band::Produce(y0, y1) = band else { return Err(wrong) };
        let r: DenseRecord = cx.node.fields().map_err(|_| wrong)?;
        let (x, y) = (&cx.node.in0, &cx.node.out);
        let (ic, oc) = (usize::from(x.c), usize::from(y.c));
        let (weights, channels) = cx.node.layer::<A>(r.weights, ic * oc).map_err(|_| wrong)?;
        let rows = cx.inputs[0];
        for oy in y0..y1 {
            for (out, pixel) in cx.out.pixels(oy).zip(rows.pixels(oy)) {
                let weights = weights.chunks_exact(ic.max(1));
                let channels = channels.chunks_exact(A::CHANNEL);
                for ((out, weights), channel) in out.iter_mut().zip(weights).zip(channels) {
                    let c = A::channel(channel, r.shift);
                    let acc = c.bias.wrapping_add(carafe_cpu::dot_either(pixel, weights, x.unsigned()));
                    *out = finish(A::requantize_dense(acc, c.multiplier, c.shift), y.zero_point, r.lo, r.hi);
                }
            }
        }
        Ok(())
    }
}
