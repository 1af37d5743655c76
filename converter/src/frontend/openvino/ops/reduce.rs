//! Reductions over axes.

use carafe_graph::{Op, ReduceOp};

use super::super::{
    attributes,
    build::{Cx, Operand},
    fault::Fault,
};

/// Operands: x, axes.
pub(super) fn reduce(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let op = match cx.layer.ty.to_ascii_lowercase().as_str() {
        "reducemax" => ReduceOp::Max,
        "reducemean" => ReduceOp::Mean,
        "reducemin" => ReduceOp::Min,
        "reducesum" => ReduceOp::Sum,
        other => return Err(Fault::unsupported(format!("`{other}` is not supported"))),
    };
    let keep_dims = attributes::flag(cx.layer, "keep_dims", false)?;
    let axes = attributes::axes(cx.integers(1, "the list of axes")?, cx.shape(0)?.len())?;
    let x = cx.value(0)?;
    if axes.is_empty() {
        return Ok(Operand::value(x));
    }
    cx.emit(Op::Reduce { op, axes, keep_dims }, vec![x])
}

/// The axis is an attribute, which may be negative since opset8.
pub(super) fn softmax(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let axis = attributes::integer(cx.layer, "axis", Some(1))?;
    if axis < 0 && cx.revision < 8 {
        return Err(Fault::invalid(format!("axis {axis} is negative, which opset1 does not allow")));
    }
    let axis = attributes::axis(axis, cx.shape(0)?.len())?;
    let x = cx.value(0)?;
    cx.emit(Op::Softmax { axis }, vec![x])
}
