use carafe::OpCode;
use carafe::ops::MeanRecord;
use carafe_graph::ReduceOp;

use super::{LowerError, Step, fields, scale};

pub(super) fn lower(step: &mut Step<'_, '_>, op: ReduceOp, axes: &[usize]) -> Result<(), LowerError> {
    let rank = step.cx.quant.graph.value(step.value(0)).shape.len();
    // Over rows and columns of a map, or over the steps of a sequence.
    let spatial = (rank == 4 && axes == [1, 2]) || (rank == 3 && axes == [1]);
    if !spatial || !matches!(op, ReduceOp::Mean | ReduceOp::Sum) {
        return Err(step.unsupported(format!(
            "reduction over axes {axes:?} has no kernel yet; supported are mean and sum over all rows and columns"
        )));
    }
    let x = step.info(step.value(0))?;
    let (qx, qy) = (step.quant(step.value(0))?, step.quant(step.out())?);
    let n = usize::from(x.h) * usize::from(x.w);
    let divisor = if op == ReduceOp::Mean { n as f64 } else { 1.0 };
    let (m, shift) = scale::multipliers(&[f64::from(qx.scale()) / f64::from(qy.scale()) / divisor]);
    if (n as i64 * 255) << shift.max(0) > i64::from(i32::MAX) {
        return Err(step.overflow(format!("the sum of {n} elements would leave 32 bits")));
    }
    let bias = -(n as i64) * i64::from(x.zero_point);
    let record = MeanRecord { bias: bias as i32, multiplier: m[0], shift, lo: -128, hi: 127 };
    let x = step.operand(0)?;
    step.finish(OpCode::Mean, fields(&record), vec![x])?;
    Ok(())
}
