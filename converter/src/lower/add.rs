use carafe::OpCode;
use carafe::ops::AddRecord;
use carafe_graph::{Activation, BinaryOp};

use super::{LowerError, Step, fields, lut, mul};

pub(super) fn lower(step: &mut Step<'_, '_>, op: BinaryOp, activation: Activation) -> Result<(), LowerError> {
    let graph = &step.cx.quant.graph;
    // A function of one tensor and a number is a table.
    for (x, other) in [(0, 1), (1, 0)] {
        if graph.constant(step.value(other)).is_some_and(|c| c.len() == 1) {
            return lut::lower(step, x);
        }
    }
    if op == BinaryOp::Mul {
        return mul::lower(step, activation);
    }
    if !matches!(op, BinaryOp::Add | BinaryOp::Sub) {
        return Err(step.unsupported("of two tensors, only sum, difference and product have a kernel yet"));
    }
    let (a, b, y) = (step.info(step.value(0))?, step.info(step.value(1))?, step.info(step.out())?);
    if !a.same_shape(&y) || !b.same_shape(&y) {
        return Err(step.unsupported("operands of unequal shape (broadcasting) have no kernel yet"));
    }
    let scale = |v| step.quant(v).map(|q| f64::from(q.scale()));
    let unit = scale(step.out())?;
    let (ra, rb) = (scale(step.value(0))? / unit, scale(step.value(1))? / unit);
    let rb = if op == BinaryOp::Sub { -rb } else { rb };
    let record = native(ra, rb, [a.zero_point, b.zero_point, y.zero_point], step.clamp(activation)?)
        .ok_or_else(|| step.overflow("the scales of operands and result are too far apart"))?;
    let inputs = vec![step.operand(0)?, step.operand(1)?];
    step.finish(OpCode::Add, fields(&record), inputs)?;
    Ok(())
}

/// `(a·Ma + b·Mb + C) >> S`, M below 2¹⁵ so that two products are one `SMLAD`.
fn native(ra: f64, rb: f64, [za, zb, zy]: [i8; 3], (lo, hi): (i8, i8)) -> Option<AddRecord> {
    let greatest = ra.abs().max(rb.abs());
    let s = (0..=22u8).rev().find(|&s| (greatest * 2f64.powi(i32::from(s))).round() <= 32767.0)?;
    let unit = 2f64.powi(i32::from(s));
    let (ma, mb) = ((ra * unit).round() as i64, (rb * unit).round() as i64);
    let c = (i64::from(zy) << s) + ((1i64 << s) >> 1) - i64::from(za) * ma - i64::from(zb) * mb;
    let bound = c.abs() + 128 * (ma.abs() + mb.abs());
    (bound <= i64::from(i32::MAX)).then_some(AddRecord {
        a_multiplier: ma as i32,
        b_multiplier: mb as i32,
        out_multiplier: c as i32,
        a_shift: 0,
        b_shift: 0,
        out_shift: s as i8,
        lo,
        hi,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe::arithmetic::{Arithmetic, Native};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_are_within_half_a_step(ra in 0.01f64..4.0, rb in -4f64..4.0, z in any::<[i8; 3]>(), a in any::<i8>(), b in any::<i8>()) {
            let r = native(ra, rb, z, (-128, 127)).unwrap();
            let want = f64::from(i32::from(a) - i32::from(z[0])) * ra + f64::from(i32::from(b) - i32::from(z[1])) * rb + f64::from(z[2]);
            let got = f64::from(Native::add(&r, z, a, b));
            prop_assert!((got - want).abs() <= 0.55, "{got} {want}");
        }
    }
}
