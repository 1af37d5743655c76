use carafe::OpCode;
use carafe::ops::DenseRecord;
use carafe_graph::Activation;

use super::{LowerError, Step, fields, pack, scale};

pub(super) fn lower(step: &mut Step<'_, '_>, activation: Activation) -> Result<(), LowerError> {
    let (x, y) = (step.info(step.value(0))?, step.info(step.out())?);
    let weights = step.value(1);
    let q = step.cx.quant.weights.get(&weights).ok_or_else(|| step.unsupported("the weights are not constant"))?;
    let k = usize::from(x.c);
    if q.data.len() != k * usize::from(y.c) || q.scales.len() != usize::from(y.c) {
        return Err(step.unsupported("weights do not fit the channels of operand and result"));
    }
    let scales = step.multipliers(&q.scales)?;
    let (multipliers, shift) = scale::multipliers(&scales);
    let biases = step.cx.quant.bias(step.id).ok_or_else(|| step.unsupported("the bias is not constant"))?;
    let folded: Option<Vec<i32>> = biases
        .iter()
        .zip(q.data.chunks_exact(k))
        .map(|(&b, w)| scale::fold_bias(b, w.iter().copied(), &x, shift))
        .collect();
    let mut folded = folded.ok_or_else(|| {
        step.overflow("an accumulator would leave 32 bits; are bias or weights of this layer out of proportion?")
    })?;
    let (packed, packing) = pack::pack(&q.data, (k, true), &x, &mut folded, step.cx.out.cpu);
    let (lo, hi) = step.clamp(activation)?;
    let weights = step.cx.layer(packed, &scale::channels(&folded, &multipliers));
    let record = DenseRecord { lo, hi, shift, packing, weights };
    let x = step.operand(0)?;
    step.finish(OpCode::Dense, fields(&record), vec![x])?;
    Ok(())
}
