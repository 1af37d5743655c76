use core::marker::PhantomData;

use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, TensorInfo, Window};

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
        check(node)
    }

    fn need(node: &Node<'_>) -> Result<Need, Fault> {
        need(&node.in0)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let r: MeanRecord = cx.node.fields().ok()?;
        if let Band::Consume(y0, y1) = band {
            return consume(cx, y0, y1);
        }
        let zero_point = cx.node.out.zero_point;
        let mut acc = cx.aux.as_chunks().0.iter();
        for out in cx.out.row(0)? {
            let sum = i32::from_le_bytes(*acc.next()?).wrapping_add(r.bias);
            *out = finish(A::requantize(sum, r.multiplier, r.shift), zero_point, r.lo, r.hi);
        }
        Some(())
    }
}

#[inline(never)]
fn check(node: &Node<'_>) -> Result<Need, Fault> {
    node.unary()?;
    node.all_i8()?;
    let _: MeanRecord = node.fields()?;
    let (x, y) = (&node.in0, &node.out);
    if (y.h, y.w, y.c) != (1, 1, x.c) {
        return Err(Fault::Shape);
    }
    need(x)
}

fn need(x: &TensorInfo) -> Result<Need, Fault> {
    let windows = [Window::ALL, Window::SAME];
    Ok(Need { windows, consumes: true, in_place: 0, aux: 4 * u32::from(x.c), ..Need::ELEMENTWISE })
}

/// Adds rows to the accumulator, the first of which begins it.
#[inline(never)]
fn consume(cx: &mut Cx<'_>, y0: u16, y1: u16) -> Option<()> {
    if y0 == 0 {
        carafe_cpu::fill(cx.aux, 0);
    }
    for y in y0..y1 {
        let rows = &cx.inputs[0];
        carafe_cpu::sum_pixels(cx.aux.as_chunks_mut().0, rows.row(y)?, rows.pixel_stride());
    }
    Some(())
}
