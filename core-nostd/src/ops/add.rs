use core::marker::PhantomData;

use carafe_cpu::Scaled;

use super::loops::{ALL_LOOPS, BOUNDED};
use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode};

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
pub struct Add<A = Native, const LOOPS: u16 = ALL_LOOPS>(PhantomData<A>);

impl<A: Arithmetic, const LOOPS: u16> Kernel for Add<A, LOOPS> {
    const CODE: OpCode = OpCode::Add;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        check(node)
    }

    fn need(_: &Node<'_>) -> Result<Need, Fault> {
        Ok(Need::ELEMENTWISE)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let r: AddRecord = cx.node.fields().ok()?;
        let (mut a, mut b) = ((r.a_multiplier, r.a_shift, cx.node.in0), (r.b_multiplier, r.b_shift, cx.node.in1?));
        let mut other = cx.inputs[1];
        if cx.in_place == Some(1) {
            // The result holds b: the sum of the same two, named the other way round.
            (a, b, other) = (b, a, cx.inputs[0]);
        }
        super::bring(cx, y0, y1)?;
        let zero_points = [a.2.zero_point, b.2.zero_point, cx.node.out.zero_point];
        let r = AddRecord { a_multiplier: a.0, a_shift: a.1, b_multiplier: b.0, b_shift: b.1, ..r };
        let scaled = Scaled {
            multipliers: [r.a_multiplier, r.b_multiplier],
            constant: r.out_multiplier,
            shift: r.out_shift.unsigned_abs() & 31,
        };
        cx.out.each((y0, y1), other.contiguous(), &mut |y, x, out| {
            let other = other.run(y, x, out.len())?;
            if A::ID == Native::ID {
                carafe_cpu::add_scaled(out, other, &scaled);
                if LOOPS & BOUNDED != 0 && (r.lo, r.hi) != (i8::MIN, i8::MAX) {
                    carafe_cpu::clamp(out, r.lo, r.hi);
                }
            } else {
                sum::<A>(&r, zero_points, out, other);
            }
            Some(())
        })
    }
}

/// a\[i\] = a\[i\] + b\[i\].
#[inline(never)]
fn sum<A: Arithmetic>(r: &AddRecord, zero_points: [i8; 3], a: &mut [u8], b: &[u8]) {
    let mut b = b.iter();
    for a in a {
        let Some(&b) = b.next() else { return };
        *a = finish(A::add(r, zero_points, *a as i8, b as i8), 0, r.lo, r.hi);
    }
}

#[inline(never)]
fn check(node: &Node<'_>) -> Result<Need, Fault> {
    node.all_i8()?;
    let _: AddRecord = node.fields()?;
    let b = node.in1.ok_or(Fault::Operand)?;
    if !node.in0.same_shape(&node.out) || !b.same_shape(&node.out) {
        return Err(Fault::Shape);
    }
    Ok(Need::ELEMENTWISE)
}
