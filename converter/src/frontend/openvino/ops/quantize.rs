//! Quantization that the model brings along.

use carafe_graph::{Op, shape::broadcast};

use super::super::{
    attributes,
    build::{Cx, Operand},
    fault::Fault,
};

/// Operands: x, input_low, input_high, output_low, output_high; all but x constant.
pub(super) fn fake_quantize(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    const NAMES: [&str; 4] = ["input_low", "input_high", "output_low", "output_high"];
    let levels = attributes::integer(cx.layer, "levels", None)?;
    let levels = u32::try_from(levels).ok().filter(|l| (2..=1 << 24).contains(l));
    let levels = levels.ok_or_else(|| Fault::invalid("`levels` must be at least 2 (and at most 2^24)"))?;
    let x = cx.shape(0)?;
    let broadcasting = attributes::word(cx.layer, "auto_broadcast", "numpy");
    for (i, name) in (1..).zip(NAMES) {
        cx.floats(i, name)?;
        let shape = cx.shape(i)?;
        let fits = match broadcasting.as_str() {
            "numpy" => broadcast(&x, &shape).as_ref() == Some(&x),
            "none" => shape == x,
            other => {
                return Err(Fault::unsupported(format!("broadcasting `{other}` is not supported, numpy is")));
            }
        };
        if !fits {
            return Err(Fault::invalid(format!("{name} of shape {shape:?} does not broadcast to {x:?}")));
        }
    }
    let inputs = (0..5).map(|i| cx.value(i)).collect::<Result<Vec<_>, _>>()?;
    cx.emit(Op::FakeQuantize { levels }, inputs)
}
