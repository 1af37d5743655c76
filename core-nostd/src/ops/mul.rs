use core::marker::PhantomData;

use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, TensorInfo, Window};

record! {
    /// Fields of [`Mul`].
    pub struct MulRecord {
        /// Of the requantization.
        multiplier: i32,
        /// Of the requantization.
        shift: i8,
        /// Least element of the result.
        lo: i8,
        /// Greatest element of the result.
        hi: i8,
    }
}

/// Product of two tensors of one shape, or of a tensor and one pixel that stands for all (a gate per channel), with fused
/// clamp. May overwrite an operand as large as the result.
#[derive(Clone, Copy, Debug)]
pub struct Mul<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for Mul<A> {
    const CODE: OpCode = OpCode::Mul;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        check(node)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        eval(cx, band, product::<A>)
    }
}

/// The same in every arithmetic, but for the products of two runs of elements.
#[inline(never)]
fn eval(cx: &mut Cx<'_>, band: Band, product: fn(&MulRecord, [i8; 3], &mut [u8], &[u8])) -> Option<()> {
    let Band::Produce(y0, y1) = band else { return None };
    let r: MulRecord = cx.node.fields().ok()?;
    let (mut a, mut b, mut other) = (cx.node.in0, cx.node.in1?, cx.inputs[1]);
    if cx.in_place == Some(1) {
        // The result holds b: the product of the same two, named the other way round.
        (a, b, other) = (b, a, cx.inputs[0]);
    }
    super::bring(cx, y0, y1)?;
    let gate = is_gate(&b, &cx.node.out);
    let zero_points = [a.zero_point, b.zero_point, cx.node.out.zero_point];
    cx.out.each((y0, y1), other.contiguous() && !gate, &mut |y, x, out| {
        let (y, x) = if gate { (0, 0) } else { (y, x) };
        product(&r, zero_points, out, other.run(y, x, out.len())?);
        Some(())
    })
}

/// One pixel for a map of several?
fn is_gate(b: &TensorInfo, out: &TensorInfo) -> bool {
    !b.same_shape(out)
}

/// a\[i\] = a\[i\] · b\[i\].
#[inline(never)]
fn product<A: Arithmetic>(r: &MulRecord, [za, zb, zy]: [i8; 3], a: &mut [u8], b: &[u8]) {
    let mut b = b.iter();
    for a in a {
        let Some(&b) = b.next() else { return };
        let factors = (i32::from(*a as i8) - i32::from(za), i32::from(b as i8) - i32::from(zb));
        *a = finish(A::requantize(factors.0.wrapping_mul(factors.1), r.multiplier, r.shift), zy, r.lo, r.hi);
    }
}

#[inline(never)]
fn check(node: &Node<'_>) -> Result<Need, Fault> {
    node.all_i8()?;
    let _: MulRecord = node.fields()?;
    let (b, y) = (node.in1.ok_or(Fault::Operand)?, &node.out);
    let gate = is_gate(&b, y);
    if !node.in0.same_shape(y) || gate && (b.h, b.w, b.c) != (1, 1, y.c) {
        return Err(Fault::Shape);
    }
    let need = Need::ELEMENTWISE;
    Ok(if gate { Need { windows: [Window::SAME, Window::ALL], in_place: 0b01, ..need } } else { need })
}
