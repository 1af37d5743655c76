use carafe::OpCode;
use carafe::ops::PoolRecord;
use carafe_graph::{Layout, Pads, Pool2d, PoolKind};

use super::{LowerError, Step, fields, scale};

pub(super) fn lower(step: &mut Step<'_, '_>, pool: &Pool2d) -> Result<(), LowerError> {
    if pool.layout != Layout::Nhwc {
        return Err(step.unsupported("the pooling is not in NHWC; run the layout pass first"));
    }
    let (qx, qy) = (step.any_quant(step.value(0))?, step.any_quant(step.out())?);
    let mut record = PoolRecord {
        kernel_h: step.byte("kernel height", pool.kernel[0])?,
        kernel_w: step.byte("kernel width", pool.kernel[1])?,
        stride_h: step.byte("stride", pool.strides[0])?,
        stride_w: step.byte("stride", pool.strides[1])?,
        pad_top: step.byte("padding", pool.pads.top)?,
        pad_left: step.byte("padding", pool.pads.left)?,
        lo: -128,
        hi: 127,
        shift: 0,
        exclude_pad: 0,
        multipliers: 0,
    };
    let op = if pool.kind == PoolKind::Max {
        if qx != qy {
            return Err(step.unsupported("max pooling needs one scale for operand and result"));
        }
        OpCode::MaxPool2d
    } else {
        let (qx, qy) = (step.quant(step.value(0))?, step.quant(step.out())?);
        let all = pool.kernel[0] * pool.kernel[1];
        let exclude = pool.kind == PoolKind::AverageExcludePad && pool.pads != Pads::default();
        let ratio = f64::from(qx.scale()) / f64::from(qy.scale());
        let counts = if exclude { 1..=all } else { all..=all };
        let scales: Vec<f64> = counts.map(|n| ratio / n as f64).collect();
        let (multipliers, shift) = scale::multipliers(&scales);
        record.exclude_pad = u8::from(exclude);
        record.shift = shift;
        let bytes: Vec<u8> = multipliers.iter().flat_map(|m| m.to_le_bytes()).collect();
        record.multipliers = step.cx.consts(&bytes, 4);
        OpCode::AvgPool2d
    };
    let x = step.operand(0)?;
    step.finish(op, fields(&record), vec![x])?;
    Ok(())
}
