use carafe::OpCode;

use super::{LowerError, Step};

pub(super) fn lower(step: &mut Step<'_, '_>, axis: usize) -> Result<(), LowerError> {
    let (x, y) = (step.info(step.value(0))?, step.info(step.out())?);
    if step.any_quant(step.value(0))? != step.any_quant(step.out())? {
        return Err(step.unsupported("a history needs one scale for operand and result"));
    }
    // Along the rows; or along columns, where there is one row.
    let runs = (x.w, x.c) == (y.w, y.c) || (x.h, y.h, x.c) == (1, 1, y.c);
    if !runs {
        return Err(step.unsupported(format!(
            "a history along axis {axis} has no kernel: time runs along the rows of a map, or along the columns of a map \
             of one row; export the model with time as such an axis"
        )));
    }
    let x = step.operand(0)?;
    step.finish(OpCode::History, Vec::new(), vec![x])?;
    Ok(())
}
