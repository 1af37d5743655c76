use carafe::OpCode;
use carafe::blob::Cpu;
use carafe::ops::{COLUMNS, ConvRecord, PLAIN, QUADS, WORDS};
use carafe_graph::{Conv2d, Layout, Pads};

use super::{LowerError, Step, fields, pack, scale};

pub(super) fn lower(step: &mut Step<'_, '_>, conv: &Conv2d) -> Result<(), LowerError> {
    if conv.layout != Layout::Nhwc {
        return Err(step.unsupported("the convolution is not in NHWC; run the layout pass first"));
    }
    let (x, y) = (step.info(step.value(0))?, step.info(step.out())?);
    let depthwise = conv.groups > 1;
    if depthwise && conv.groups != usize::from(x.c) {
        return Err(step.unsupported(format!(
            "{} groups over {} channels; supported are 1 group and one group per channel",
            conv.groups, x.c
        )));
    }
    let weights = step.value(1);
    let q = step.cx.quant.weights.get(&weights).ok_or_else(|| step.unsupported("the weights are not constant"))?;
    let [oc, ic, kh, kw] = *step.cx.quant.graph.value(weights).shape else {
        return Err(step.unsupported("weights need four axes"));
    };
    if oc != usize::from(y.c) || ic * conv.groups != usize::from(x.c) || q.scales.len() != oc {
        return Err(step.unsupported("weights do not fit the channels of operand and result"));
    }

    let scales = step.multipliers(&q.scales)?;
    let (multipliers, shift) = scale::multipliers(&scales);
    let biases = step.cx.quant.bias(step.id).ok_or_else(|| step.unsupported("the bias is not constant"))?;
    let per_channel = ic * kh * kw;
    let folded: Option<Vec<i32>> = biases
        .iter()
        .zip(q.data.chunks_exact(per_channel.max(1)))
        .map(|(&b, w)| scale::fold_bias(b, w.iter().copied(), &x, shift))
        .collect();
    let mut folded = folded.ok_or_else(|| {
        step.overflow("an accumulator would leave 32 bits; are bias or weights of this layer out of proportion?")
    })?;

    // [O, I, KH, KW] to [O, KH, KW, I], or [O, 1, KH, KW] to [KH, KW, O].
    let at = |o: usize, i: usize, tap: usize| q.data[(o * ic + i) * kh * kw + tap];
    let (packed, packing) = if depthwise {
        let weight = |o: usize, t: usize| at(o, 0, t) as u8;
        match pack::words(weight, (oc, kh, kw), &x, step.cx.out.cpu) {
            Some(packed) if oc == usize::from(x.c) => (packed, WORDS),
            _ => {
                let order = (0..kh * kw).flat_map(|t| (0..oc).map(move |o| (o, t)));
                let packing = if step.cx.out.cpu == Cpu::Armv6m { QUADS } else { PLAIN };
                (order.map(|(o, t)| weight(o, t)).collect(), packing)
            }
        }
    } else {
        // Column by column for those who multiply columns; for one row or one column that is the same.
        let columns = step.cx.out.cpu == Cpu::Helium && kh > 1 && kw > 1;
        let tap = |t: usize| if columns { t % kh * kw + t / kh } else { t };
        let order = (0..oc).flat_map(|o| (0..kh * kw).flat_map(move |t| (0..ic).map(move |i| (o, i, t))));
        // As the device's loop for one pixel takes it.
        let one = (kh, kw, x.h, x.w) == (1, 1, 1, 1) && conv.pads == Pads::default();
        let alone = one && x.c % 4 == 0 && !x.unsigned();
        let ordered: Vec<i8> = order.map(|(o, i, t)| at(o, i, tap(t))).collect();
        let (packed, packing) = pack::pack(&ordered, (per_channel, alone), &x, &mut folded, step.cx.out.cpu);
        (packed, if columns { COLUMNS } else { packing })
    };

    let (lo, hi) = step.clamp(conv.activation)?;
    let mut record = ConvRecord {
        kernel_h: step.byte("kernel height", kh)?,
        kernel_w: step.byte("kernel width", kw)?,
        stride_h: step.byte("stride", conv.strides[0])?,
        stride_w: step.byte("stride", conv.strides[1])?,
        dilation_h: step.byte("dilation", conv.dilations[0])?,
        dilation_w: step.byte("dilation", conv.dilations[1])?,
        pad_top: step.byte("padding", conv.pads.top)?,
        pad_left: step.byte("padding", conv.pads.left)?,
        lo,
        hi,
        shift,
        packing,
        weights: 0,
    };
    record.weights = step.cx.layer(packed, &scale::channels(&folded, &multipliers));
    let op = if depthwise { OpCode::DepthwiseConv2d } else { OpCode::Conv2d };
    let x = step.operand(0)?;
    step.finish(op, fields(&record), vec![x])?;
    Ok(())
}
