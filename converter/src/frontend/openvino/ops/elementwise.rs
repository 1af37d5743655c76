//! Operations on each element alone.

use carafe_graph::{Activation, BinaryOp, Op, Tensor, UnaryOp};

use super::super::{
    attributes,
    build::{Cx, Operand},
    fault::Fault,
};
use super::shape;

/// Operations with one operand and at most attributes beside it.
pub(super) fn unary(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let layer = cx.layer;
    let op = match layer.ty.to_ascii_lowercase().as_str() {
        "abs" => UnaryOp::Abs,
        "ceiling" => UnaryOp::Ceil,
        "clamp" => {
            let (lo, hi) = (attributes::float(layer, "min")?, attributes::float(layer, "max")?);
            if lo > hi {
                return Err(Fault::invalid(format!("`min` {lo} is above `max` {hi}")));
            }
            if lo == 0.0 && hi == f32::MAX { UnaryOp::Relu } else { UnaryOp::Clamp(lo, hi) }
        }
        "elu" => UnaryOp::Elu(attributes::float(layer, "alpha")?),
        "exp" => UnaryOp::Exp,
        "floor" => UnaryOp::Floor,
        "gelu" => match attributes::word(layer, "approximation_mode", "erf").as_str() {
            "erf" => UnaryOp::Gelu { tanh: false },
            "tanh" => UnaryOp::Gelu { tanh: true },
            other => return Err(Fault::invalid(format!("`approximation_mode` is {other}, neither erf nor tanh"))),
        },
        // min(max(x + 3, 0), 6) / 6
        "hsigmoid" => UnaryOp::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
        "hswish" => UnaryOp::HardSwish,
        "log" => UnaryOp::Log,
        "mish" => UnaryOp::Mish,
        "negative" => UnaryOp::Neg,
        "relu" => UnaryOp::Relu,
        "sigmoid" => UnaryOp::Sigmoid,
        "softplus" => UnaryOp::SoftPlus,
        "sqrt" => UnaryOp::Sqrt,
        "tanh" => UnaryOp::Tanh,
        other => return Err(Fault::unsupported(format!("`{other}` is not supported"))),
    };
    let x = cx.value(0)?;
    cx.emit(Op::Unary(op), vec![x])
}

/// Operations with two operands that are broadcast.
pub(super) fn binary(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let op = match cx.layer.ty.to_ascii_lowercase().as_str() {
        "add" => BinaryOp::Add,
        "divide" => BinaryOp::Div,
        "maximum" => BinaryOp::Max,
        "minimum" => BinaryOp::Min,
        "multiply" => BinaryOp::Mul,
        "power" => BinaryOp::Pow,
        "squareddifference" => BinaryOp::SquaredDifference,
        "subtract" => BinaryOp::Sub,
        other => return Err(Fault::unsupported(format!("`{other}` is not supported"))),
    };
    match attributes::word(cx.layer, "auto_broadcast", "numpy").as_str() {
        "numpy" => {}
        "none" if cx.shape(0)? == cx.shape(1)? => {}
        "none" => {
            let (a, b) = (cx.shape(0)?, cx.shape(1)?);
            return Err(Fault::invalid(format!("shapes {a:?} and {b:?} differ, but broadcasting is switched off")));
        }
        other => return Err(Fault::unsupported(format!("broadcasting `{other}` is not supported, numpy is"))),
    }
    if let Some(folded) = shape::fold_integers(cx, op)? {
        return Ok(folded);
    }
    let (a, b) = (cx.value(0)?, cx.value(1)?);
    cx.emit(Op::Binary { op, activation: Activation::None }, vec![a, b])
}

/// Operands: x, alpha, beta.
pub(super) fn hard_sigmoid(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let (alpha, beta) = (cx.scalar(1, "alpha")?, cx.scalar(2, "beta")?);
    let x = cx.value(0)?;
    cx.emit(Op::Unary(UnaryOp::HardSigmoid { alpha, beta }), vec![x])
}

/// Operands: x and, if it is not 1, beta.
pub(super) fn swish(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let beta = if cx.inputs.len() > 1 { cx.scalar(1, "beta")? } else { 1.0 };
    let x = cx.value(0)?;
    cx.emit(Op::Unary(UnaryOp::Swish(beta)), vec![x])
}

/// Operands: x, slope.
pub(super) fn prelu(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let slope = cx.floats(1, "the slope")?;
    let Some((&first, rest)) = slope.split_first() else { return Err(Fault::invalid("the slope has no elements")) };
    if rest.iter().any(|s| s.to_bits() != first.to_bits()) {
        return Err(Fault::unsupported("a slope per channel is not supported, one slope for all channels is"));
    }
    let x = cx.value(0)?;
    cx.emit(Op::Unary(UnaryOp::LeakyRelu(first)), vec![x])
}

/// gamma · (x − mean) / sqrt(variance + epsilon) + beta, as a multiplication and an addition.
pub(super) fn batch_norm(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    // opset1 has x behind gamma and beta.
    let [x, gamma, beta] = if cx.revision < 5 { [2, 0, 1] } else { [0, 1, 2] };
    let epsilon_name = if cx.layer.attribute("epsilon").is_some() { "epsilon" } else { "eps" };
    let epsilon = f64::from(attributes::float(cx.layer, epsilon_name)?);
    let data = cx.shape(x)?;
    let &[_, channels, ..] = data.as_slice() else {
        return Err(Fault::invalid(format!("data of shape {data:?} has no channel axis")));
    };
    cx.spend(channels.saturating_mul(2))?;
    let vector = |i: usize, what: &str| {
        let v = cx.floats(i, what)?;
        if v.len() == channels {
            Ok(v)
        } else {
            Err(Fault::invalid(format!("{what} has {} elements for {channels} channels", v.len())))
        }
    };
    let (gamma, beta) = (vector(gamma, "gamma")?, vector(beta, "beta")?);
    let (mean, variance) = (vector(3, "the mean")?, vector(4, "the variance")?);
    let (mut scale, mut shift) = (vec![], vec![]);
    for (((&g, &b), &m), &v) in gamma.iter().zip(beta).zip(mean).zip(variance) {
        let s = f64::from(g) / (f64::from(v) + epsilon).sqrt();
        scale.push(s as f32);
        shift.push((f64::from(b) - f64::from(m) * s) as f32);
    }
    if scale.iter().chain(&shift).any(|x| !x.is_finite()) {
        return Err(Fault::invalid("a variance plus epsilon is not positive"));
    }
    let mut per_channel = vec![1; data.len()];
    per_channel[1] = channels;
    let (scale, shift) = (Tensor::f32(per_channel.clone(), scale), Tensor::f32(per_channel, shift));
    let (scale, shift) = (cx.add_constant("scale", scale), cx.add_constant("shift", shift));
    let x = cx.value(x)?;
    let activation = Activation::None;
    let product = cx.step("multiply", Op::Binary { op: BinaryOp::Mul, activation }, vec![x, scale])?;
    cx.emit(Op::Binary { op: BinaryOp::Add, activation }, vec![product, shift])
}
