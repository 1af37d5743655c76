use carafe::OpCode;
use carafe::ops::SpaceToDepthRecord;
use carafe_graph::{Layout, SpaceToDepth};

use super::{LowerError, Step, fields};

pub(super) fn lower(step: &mut Step<'_, '_>, op: &SpaceToDepth) -> Result<(), LowerError> {
    if op.layout != Layout::Nhwc {
        return Err(step.unsupported("blocks of pixels are not in NHWC; run the layout pass first"));
    }
    if step.quant(step.value(0))? != step.quant(step.out())? {
        return Err(step.unsupported("blocks of pixels need one scale for operand and result"));
    }
    let record =
        SpaceToDepthRecord { block: step.byte("block size", op.block)?, depth_first: u8::from(op.depth_first) };
    let x = step.operand(0)?;
    step.finish(OpCode::SpaceToDepth, fields(&record), vec![x])?;
    Ok(())
}
