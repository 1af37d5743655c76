use carafe::OpCode;
use carafe::ops::SoftmaxRecord;
use carafe_quantizer::Quant;

use super::{LowerError, Step, fields};

pub(super) fn lower(step: &mut Step<'_, '_>, axis: usize) -> Result<(), LowerError> {
    let rank = step.cx.quant.graph.value(step.value(0)).shape.len();
    if axis + 1 != rank {
        return Err(step.unsupported(format!("softmax over axis {axis} of {rank}; supported is the last one")));
    }
    let (qx, qy) = (step.quant(step.value(0))?, step.quant(step.out())?);
    if qy.scale() != Quant::UNIT_SCALE || qy.zero_point != -128 {
        return Err(step.unsupported("the result of a softmax has scale 1/256 and zero point -128"));
    }
    let mut entries: Vec<u16> =
        (0..256).map(|d| (65535.0 * (-f64::from(d) * f64::from(qx.scale())).exp()).round() as u16).collect();
    while entries.last() == Some(&0) {
        entries.pop();
    }
    let bytes: Vec<u8> = entries.iter().flat_map(|e| e.to_le_bytes()).collect();
    let table = step.cx.consts(&bytes, 2);
    let record = SoftmaxRecord { table, entries: entries.len() as u16, multiplier: 0, shift: 0, diff_min: 0 };
    let x = step.operand(0)?;
    step.finish(OpCode::Softmax, fields(&record), vec![x])?;
    Ok(())
}
