use core::marker::PhantomData;

use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::{Field, record};
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, RunError, Window};

record! {
    /// Fields of [`Mean`].
    pub struct MeanRecord {
        /// −(number of elements)·(zero point of the operand).
        bias: i32,
        /// Of the requantization, the division by the number of elements included.
        multiplier: i32,
        /// Of the requantization.
        shift: i8,
        /// Least element of the result.
        lo: i8,
        /// Greatest element of the result.
        hi: i8,
    }
}

/// The mean over rows and columns (global average pooling). A reduction: it takes rows as they come, into an
/// accumulator of one i32 per channel, so the map it reduces need not exist.
#[derive(Clone, Copy, Debug)]
pub struct Mean<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for Mean<A> {
    const CODE: OpCode = OpCode::Mean;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        let _: MeanRecord = node.fields()?;
        let (x, y) = (&node.in0, &node.out);
        if (y.h, y.w, y.c) != (1, 1, x.c) {
            return Err(Fault::Shape);
        }
        Ok(Need {
            windows: [Window::ALL, Window::SAME],
            consumes: true,
            in_place: 0,
            aux: 4 * u32::from(x.c),
            ..Need::ELEMENTWISE
        })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Result<(), RunError> {
        let wrong = RunError::Plan { node: cx.node.id.0 };
        match band {
            Band::Consume(y0, y1) => {
                if y0 == 0 {
                    cx.aux.fill(0);
                }
                let rows = cx.inputs[0];
                for y in y0..y1 {
                    for pixel in rows.pixels(y) {
                        for (acc, &x) in cx.aux.chunks_exact_mut(4).zip(pixel) {
                            let sum = i32::get(acc, 0).unwrap_or(0).wrapping_add(i32::from(x as i8));
                            acc.copy_from_slice(&sum.to_le_bytes());
                        }
                    }
                }
            }
            Band::Produce(..) => {
                let r: MeanRecord = cx.node.fields().map_err(|_| wrong)?;
                let zero_point = cx.node.out.zero_point;
                let out = cx.out.row(0).ok_or(wrong)?;
                for (out, acc) in out.iter_mut().zip(cx.aux.chunks_exact(4)) {
                    let sum = i32::get(acc, 0).unwrap_or(0).wrapping_add(r.bias);
                    *out = finish(A::requantize(sum, r.multiplier, r.shift), zero_point, r.lo, r.hi);
                }
            }
        }
        Ok(())
    }
}
