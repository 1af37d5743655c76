use core::marker::PhantomData;

use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, RunError};

record! {
    /// Fields of [`Add`]. What the multipliers mean is the arithmetic's.
    pub struct AddRecord {
        /// Of the first operand.
        a_multiplier: i32,
        /// Of the second operand.
        b_multiplier: i32,
        /// Of the result (native: the constant C).
        out_multiplier: i32,
        /// Of the first operand.
        a_shift: i8,
        /// Of the second operand.
        b_shift: i8,
        /// Of the result (native: the right shift S).
        out_shift: i8,
        /// Least element of the result.
        lo: i8,
        /// Greatest element of the result.
        hi: i8,
    }
}

/// Sum of two tensors of one shape, with fused clamp. May overwrite either operand.
#[derive(Clone, Copy, Debug)]
pub struct Add<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for Add<A> {
    const CODE: OpCode = OpCode::Add;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.all_i8()?;
        let _: AddRecord = node.fields()?;
        let b = node.in1.ok_or(Fault::Operand)?;
        if !node.in0.same_shape(&node.out) || !b.same_shape(&node.out) {
            return Err(Fault::Shape);
        }
        Ok(Need::ELEMENTWISE)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Result<(), RunError> {
        let wrong = RunError::Plan { node: cx.node.id.0 };
        let Band::Produce(y0, y1) = band else { return Err(wrong) };
        let r: AddRecord = cx.node.fields().map_err(|_| wrong)?;
        let b = cx.node.in1.ok_or(wrong)?;
        let zero_points = [cx.node.in0.zero_point, b.zero_point, cx.node.out.zero_point];
        let sum = |a: u8, b: u8| finish(A::add(&r, zero_points, a as i8, b as i8), 0, r.lo, r.hi);
        let [rows_a, rows_b] = cx.inputs;
        for y in y0..y1 {
            match cx.in_place {
                None => {
                    for (out, (a, b)) in cx.out.pixels(y).zip(rows_a.pixels(y).zip(rows_b.pixels(y))) {
                        for (out, (&a, &b)) in out.iter_mut().zip(a.iter().zip(b)) {
                            *out = sum(a, b);
                        }
                    }
                }
                Some(0) => {
                    for (out, b) in cx.out.pixels(y).zip(rows_b.pixels(y)) {
                        for (out, &b) in out.iter_mut().zip(b) {
                            *out = sum(*out, b);
                        }
                    }
                }
                Some(_) => {
                    for (out, a) in cx.out.pixels(y).zip(rows_a.pixels(y)) {
                        for (out, &a) in out.iter_mut().zip(a) {
                            *out = sum(a, *out);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
