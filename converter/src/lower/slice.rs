use carafe::OpCode;
use carafe::ops::SliceRecord;

use super::{LowerError, Step, axes_hwc, fields};

pub(super) fn lower(step: &mut Step<'_, '_>, begin: &[usize]) -> Result<(), LowerError> {
    if step.quant(step.value(0))? != step.quant(step.out())? {
        return Err(step.unsupported("a slice needs one scale for operand and result"));
    }
    let Some((y, x, c)) = axes_hwc(begin, 0) else {
        return Err(step.unsupported("the device runs batch 1 and at most four axes"));
    };
    // Less than the extents, which fit.
    let short = |n: usize| u16::try_from(n).map_err(|_| step.unsupported(format!("a slice from element {n} on")));
    let record = SliceRecord { y: short(y)?, x: short(x)?, c: short(c)? };
    let x = step.operand(0)?;
    step.finish(OpCode::Slice, fields(&record), vec![x])?;
    Ok(())
}
