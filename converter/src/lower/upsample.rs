use carafe::OpCode;
use carafe::ops::UpsampleRecord;

use super::{LowerError, Step, axes_hwc, fields};

pub(super) fn lower(step: &mut Step<'_, '_>, factors: &[usize]) -> Result<(), LowerError> {
    if step.quant(step.value(0))? != step.quant(step.out())? {
        return Err(step.unsupported("enlarging needs one scale for operand and result"));
    }
    let Some((h, w, 1)) = axes_hwc(factors, 1) else {
        return Err(step.unsupported(format!(
            "enlarging by {factors:?} has no kernel: only rows and columns can be enlarged; channels stand last here"
        )));
    };
    let record =
        UpsampleRecord { factor_h: step.byte("enlarging factor", h)?, factor_w: step.byte("enlarging factor", w)? };
    let x = step.operand(0)?;
    step.finish(OpCode::Upsample, fields(&record), vec![x])?;
    Ok(())
}
