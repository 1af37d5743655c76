use carafe::OpCode;
use carafe::ops::LutRecord;
use carafe_graph::{Tensor, exec};

use super::{LowerError, Step, fields};

/// An op whose result is a function of each element of operand `input`; other operands are single numbers. One table
/// entry per int8, made by the float executor itself.
pub(super) fn lower(step: &mut Step<'_, '_>, input: usize) -> Result<(), LowerError> {
    let (qx, qy) = (step.quant(step.value(input))?, step.quant(step.out())?);
    if !step.info(step.value(input))?.same_shape(&step.info(step.out())?) {
        return Err(step.unsupported("operand and result differ in shape"));
    }
    let every: Vec<f32> = (-128..=127i8).map(|q| qx.dequantize(q)).collect();
    let every = Tensor::f32(vec![every.len()], every);
    let graph = &step.cx.quant.graph;
    let mut operands = Vec::new();
    for (i, &v) in step.node.inputs.iter().enumerate() {
        if i == input {
            operands.push(every.clone());
        } else {
            let number = graph.constant(v).and_then(|c| c.as_f32()).and_then(|c| c.first().copied());
            let number = number.ok_or_else(|| step.unsupported("the other operand is not a constant number"))?;
            operands.push(Tensor::f32(vec![1], vec![number]));
        }
    }
    let operands: Vec<&Tensor> = operands.iter().collect();
    let result = exec::evaluate(step.node, &operands).map_err(|e| step.unsupported(e.to_string()))?;
    let result = result.as_f32().ok_or_else(|| step.unsupported("the result is not float"))?;
    let entries: Vec<u8> = result.iter().map(|&x| qy.quantize(x) as u8).collect();
    let identity = entries.iter().enumerate().all(|(i, &e)| e == (i as u8) ^ 0x80);
    let table = if identity { LutRecord::COPY } else { step.cx.consts(&entries, 1) };
    let x = step.operand(input)?;
    step.finish(OpCode::Lut, fields(&LutRecord { table }), vec![x])?;
    Ok(())
}
