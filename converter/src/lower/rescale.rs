use carafe::OpCode;
use carafe::ops::ConvRecord;
use carafe_graph::Activation;

use super::{LowerError, Step, fields, scale};

/// A change of scale from or to a scale per channel: a depthwise convolution of one tap with weight 1, whose
/// multipliers are the quotients of the scales.
pub(super) fn lower(step: &mut Step<'_, '_>, lo: f32, hi: f32) -> Result<(), LowerError> {
    let (x, y) = (step.info(step.value(0))?, step.info(step.out())?);
    if !x.same_shape(&y) {
        return Err(step.unsupported("operand and result differ in shape"));
    }
    let channels = usize::from(y.c);
    let scales = step.multipliers(&vec![1.0; channels])?;
    let (multipliers, shift) = scale::multipliers(&scales);
    let bias = scale::fold_bias(0, [1i8].into_iter(), &x, shift);
    let bias = bias.ok_or_else(|| step.overflow("the scales of operand and result are too far apart"))?;
    let (lo, hi) = step.clamp(Activation::Clamp(lo, hi))?;
    let weights = step.cx.layer(vec![1; channels], &scale::channels(&vec![bias; channels], &multipliers));
    let record = ConvRecord {
        kernel_h: 1,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_left: 0,
        lo,
        hi,
        shift,
        packing: 0,
        weights,
    };
    let x = step.operand(0)?;
    step.finish(OpCode::DepthwiseConv2d, fields(&record), vec![x])?;
    Ok(())
}
