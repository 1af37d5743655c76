use carafe::OpCode;
use carafe::ops::MulRecord;
use carafe_graph::Activation;

use super::{LowerError, Step, fields, scale};

/// Greatest magnitude of an element without its zero point.
const GREATEST: i64 = 255;

pub(super) fn lower(step: &mut Step<'_, '_>, activation: Activation) -> Result<(), LowerError> {
    let y = step.info(step.out())?;
    // What is smaller comes second: a product does not mind.
    let order = if step.info(step.value(0))?.same_shape(&y) { [0, 1] } else { [1, 0] };
    let [a, b] = order.map(|i| step.value(i));
    let gate = step.info(b)?;
    let fits = gate.same_shape(&y) || (gate.h, gate.w, gate.c) == (1, 1, y.c);
    if !step.info(a)?.same_shape(&y) || !fits {
        return Err(step.unsupported(
            "a product has a kernel for operands of one shape, and for a map and one number per channel; others that are \
             broadcast have none yet",
        ));
    }
    let scale = |v| step.quant(v).map(|q| f64::from(q.scale()));
    let (m, shift) = scale::multipliers(&[scale(a)? * scale(b)? / scale(step.out())?]);
    if (GREATEST * GREATEST) << shift.max(0) > i64::from(i32::MAX) {
        return Err(step.overflow("the scales of operands and result are too far apart"));
    }
    let (lo, hi) = step.clamp(activation)?;
    let record = MulRecord { multiplier: m[0], shift, lo, hi };
    let inputs = vec![step.operand(order[0])?, step.operand(order[1])?];
    step.finish(OpCode::Mul, fields(&record), inputs)?;
    Ok(())
}
