//! Operations that move elements or compute shapes. Applied to constants, those that keep the order of elements are
//! done at once.

use carafe_graph::{BinaryOp, Data, Layout, Op, SpaceToDepth, Tensor, shape::elements};
use half::{bf16, f16};

use super::super::{
    attributes,
    build::{Cx, Operand},
    constants::{Element, Kind},
    fault::Fault,
};
use super::state;

/// Operands: x, shape. -1 is whatever is left, 0 an extent of x where `special_zero` says so.
pub(super) fn reshape(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let special_zero = attributes::flag(cx.layer, "special_zero", false)?;
    let (from, target) = (cx.shape(0)?, cx.integers(1, "the target shape")?);
    let wrong = || Fault::invalid(format!("a tensor of shape {from:?} can't take the shape {target:?}"));
    let (mut shape, mut rest) = (vec![], None);
    for (i, &t) in target.iter().enumerate() {
        shape.push(match t {
            0 if special_zero => *from.get(i).ok_or_else(wrong)?,
            -1 if rest.is_none() => {
                rest = Some(i);
                1
            }
            t => usize::try_from(t).map_err(|_| wrong())?,
        });
    }
    let (all, given) = (elements(&from).ok_or_else(wrong)?, elements(&shape).ok_or_else(wrong)?);
    if let Some(i) = rest {
        shape[i] = all.checked_div(given).ok_or_else(wrong)?;
    }
    if elements(&shape) != Some(all) {
        return Err(wrong());
    }
    to_shape(cx, shape)
}

/// Operand 0 with another shape of as many elements.
fn to_shape(cx: &mut Cx<'_, '_>, shape: Vec<usize>) -> Result<Operand, Fault> {
    if let Operand::Constant(c) = cx.input(0)? {
        let tensor = Tensor { shape, data: c.tensor.data.clone() };
        let name = &cx.layer.name;
        return Ok(if c.integers { Operand::integers(name, tensor) } else { Operand::constant(name, tensor) });
    }
    let x = cx.value(0)?;
    cx.emit(Op::Reshape { shape }, vec![x])
}

/// Operands: x and, unless all extents of 1 go, axes.
pub(super) fn squeeze(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let from = cx.shape(0)?;
    let may_skip = cx.revision >= 15 && attributes::flag(cx.layer, "allow_axis_skip", false)?;
    let listed = if cx.inputs.len() > 1 { cx.integers(1, "the list of axes")? } else { &[] };
    let axes = attributes::axes(listed, from.len())?;
    if let Some(&a) = axes.iter().find(|&&a| from[a] != 1)
        && !may_skip
    {
        return Err(Fault::invalid(format!("axis {a} of shape {from:?} is not 1 and can't be squeezed")));
    }
    let goes = |i: usize, d: usize| d == 1 && (axes.is_empty() || axes.contains(&i));
    let shape = from.iter().enumerate().filter(|(i, d)| !goes(*i, **d)).map(|(_, d)| *d).collect();
    to_shape(cx, shape)
}

/// Operands: x, axes of the output.
pub(super) fn unsqueeze(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let from = cx.shape(0)?;
    let listed = cx.integers(1, "the list of axes")?;
    let rank = from.len() + listed.len();
    if rank > MOST_AXES {
        return Err(Fault::unsupported(format!("{rank} axes are not supported, {MOST_AXES} are")));
    }
    let axes = attributes::axes(listed, rank)?;
    let mut rest = from.iter().copied();
    let shape = (0..rank).filter_map(|i| if axes.contains(&i) { Some(1) } else { rest.next() }).collect();
    to_shape(cx, shape)
}

/// No model has more.
const MOST_AXES: usize = 16;

/// Operands: x, order of the axes (none: reversed).
pub(super) fn transpose(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let rank = cx.shape(0)?.len();
    let order = cx.integers(1, "the order of the axes")?;
    let perm: Vec<usize> = match order {
        [] => (0..rank).rev().collect(),
        _ => order.iter().map(|&a| attributes::axis(a, rank)).collect::<Result<_, _>>()?,
    };
    if perm.len() != rank || (0..rank).any(|a| !perm.contains(&a)) {
        return Err(Fault::invalid(format!("{order:?} is not an order of {rank} axes")));
    }
    let x = cx.value(0)?;
    cx.emit(Op::Transpose { perm }, vec![x])
}

/// Operands: x, pads before, pads after, optionally the element.
pub(super) fn pad(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    match attributes::word(cx.layer, "pad_mode", "").as_str() {
        "constant" => {}
        "" => return Err(Fault::invalid("attribute `pad_mode` is missing")),
        mode => return Err(Fault::unsupported(format!("padding of mode `{mode}` is not supported, constant is"))),
    }
    let from = cx.shape(0)?;
    let list = |i: usize, what: &str| -> Result<Vec<usize>, Fault> {
        let pads = cx.integers(i, what)?;
        if pads.iter().any(|&p| p < 0) {
            return Err(Fault::unsupported(format!("{what} {pads:?}: negative padding (cropping) is not supported")));
        }
        if pads.len() != from.len() {
            return Err(Fault::invalid(format!("{what} has {} numbers for shape {from:?}", pads.len())));
        }
        let bounded = |&p: &i64| usize::try_from(p).ok().filter(|p| *p < 1 << 24);
        let pads: Option<_> = pads.iter().map(bounded).collect();
        pads.ok_or_else(|| Fault::invalid(format!("{what} is too large")))
    };
    let (begin, end) = (list(1, "the padding before")?, list(2, "the padding after")?);
    let value = if cx.inputs.len() > 3 { cx.scalar(3, "the padding's element")? } else { 0.0 };
    let x = cx.value(0)?;
    if begin.iter().chain(&end).all(|&p| p == 0) {
        return Ok(Operand::value(x));
    }
    cx.emit(Op::Pad { begin, end, value }, vec![x])
}

/// Blocks of pixels to channels.
pub(super) fn space_to_depth(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let depth_first = match attributes::word(cx.layer, "mode", "").as_str() {
        "blocks_first" => false,
        "depth_first" => true,
        other => return Err(Fault::invalid(format!("`mode` is `{other}`, neither blocks_first nor depth_first"))),
    };
    let block = attributes::integer(cx.layer, "block_size", Some(1))?;
    let block = usize::try_from(block).map_err(|_| Fault::invalid(format!("`block_size` is {block}")))?;
    let rank = cx.shape(0)?.len();
    if rank != 4 {
        return Err(Fault::unsupported(format!("a tensor with {rank} axes is not supported, [N, C, H, W] is")));
    }
    let x = cx.value(0)?;
    cx.emit(Op::SpaceToDepth(SpaceToDepth { block, depth_first, layout: Layout::Nchw }), vec![x])
}

/// Any number of operands.
pub(super) fn concat(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let axis = attributes::integer(cx.layer, "axis", None)?;
    let axis = attributes::axis(axis, cx.shape(0)?.len())?;
    if let Some(lists) = integer_constants(cx) {
        if lists.iter().any(|t| t.shape.len() != 1) {
            return Err(Fault::unsupported("integers are joined only as lists (one axis)"));
        }
        let n = lists.iter().map(|t| t.data.len()).sum();
        cx.spend(n)?;
        let lists = integer_constants(cx).unwrap_or_default();
        let all: Vec<i64> = lists.iter().filter_map(|t| t.as_i64()).flatten().copied().collect();
        return Ok(Operand::constant(&cx.layer.name, Tensor::i64([all.len()], all)));
    }
    if let Some(made) = state::history(cx, axis)? {
        return Ok(made);
    }
    let inputs = (0..cx.inputs.len()).map(|i| cx.value(i)).collect::<Result<Vec<_>, _>>()?;
    match inputs[..] {
        [x] => Ok(Operand::value(x)),
        _ => cx.emit(Op::Concat { axis }, inputs),
    }
}

/// All operands, if all are constant integers.
fn integer_constants<'c>(cx: &'c Cx<'_, '_>) -> Option<Vec<&'c Tensor>> {
    let one = |o: &'c Operand| match o {
        Operand::Constant(c) if c.tensor.as_i64().is_some() => Some(&c.tensor),
        _ => None,
    };
    cx.inputs.iter().map(one).collect()
}

/// Shapes are static, so the shape of anything is a constant.
pub(super) fn shape_of(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let shape: Vec<i64> = cx.shape(0)?.iter().map(|&d| d as i64).collect();
    Ok(Operand::constant(&cx.layer.name, Tensor::i64([shape.len()], shape)))
}

/// Operands: constant integers, indices, axis. Picks from a list, as exporters do with shapes.
pub(super) fn gather(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    if cx.revision >= 7 && attributes::integer(cx.layer, "batch_dims", Some(0))? != 0 {
        return Err(Fault::unsupported("`batch_dims` other than 0 is not supported"));
    }
    cx.spend(elements(&cx.shape(1)?).unwrap_or(usize::MAX))?;
    let source = cx.integers(0, "what is gathered from")?;
    let (indices, axis) = (cx.integers(1, "the list of indices")?, cx.integers(2, "the axis")?);
    if cx.shape(0)?.len() != 1 {
        return Err(Fault::unsupported("gathering is supported only from a list (one axis)"));
    }
    match axis {
        [a] => attributes::axis(*a, 1)?,
        _ => return Err(Fault::invalid("the axis must be one number")),
    };
    let pick = |&i: &i64| {
        let at = if i < 0 && cx.revision >= 8 { i.checked_add(source.len() as i64) } else { Some(i) };
        let found = at.and_then(|i| usize::try_from(i).ok()).and_then(|i| source.get(i)).copied();
        found.ok_or_else(|| Fault::invalid(format!("index {i} is outside a list of {}", source.len())))
    };
    let picked: Vec<i64> = indices.iter().map(pick).collect::<Result<_, _>>()?;
    Ok(Operand::constant(&cx.layer.name, Tensor::i64(cx.shape(1)?, picked)))
}

/// Constants are converted at once. Floats of any width are the same to the graph, and integers that the model reads
/// are floats to it as soon as they are converted to such.
pub(super) fn convert(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let to = cx.layer.attribute("destination_type");
    let to = Element::parse(to.ok_or_else(|| Fault::invalid("attribute `destination_type` is missing"))?)?;
    match cx.input(0)?.clone() {
        Operand::Constant(c) => {
            if !(to == Element::F32 && c.tensor.as_f32().is_some()) {
                cx.spend(c.tensor.data.len())?;
            }
            let data = match (&c.tensor.data, to) {
                (Data::F32(x), Element::F16) => Data::F32(x.iter().map(|&x| f16::from_f32(x).to_f32()).collect()),
                (Data::F32(x), Element::Bf16) => Data::F32(x.iter().map(|&x| bf16::from_f32(x).to_f32()).collect()),
                (Data::F32(_), _) if to.kind() == Kind::Float => c.tensor.data.clone(),
                (Data::F32(x), Element::Boolean) => Data::I64(x.iter().map(|&x| i64::from(x != 0.0)).collect()),
                (Data::F32(x), _) => Data::I64(x.iter().map(|&x| wrap(x as i64, to)).collect()),
                (Data::I64(x), _) if to.kind() == Kind::Float => Data::F32(x.iter().map(|&x| x as f32).collect()),
                (Data::I64(x), _) => Data::I64(x.iter().map(|&x| wrap(x, to)).collect()),
            };
            if let Data::F32(x) = &data
                && x.iter().any(|x| !x.is_finite())
            {
                return Err(Fault::invalid(format!("constant `{}` has elements that {to:?} can't hold", c.name)));
            }
            let integers = match (&c.tensor.data, &data) {
                (Data::I64(_), Data::F32(_)) => true,
                (Data::F32(_), Data::F32(_)) => c.integers,
                _ => false,
            };
            let (name, tensor) = (&cx.layer.name, Tensor { shape: c.tensor.shape.clone(), data });
            Ok(if integers { Operand::integers(name, tensor) } else { Operand::constant(name, tensor) })
        }
        Operand::Value { id, .. } if to.kind() == Kind::Float => Ok(Operand::value(id)),
        Operand::Value { id, kind: Kind::Integer } => Ok(Operand::Value { id, kind: Kind::Integer }),
        Operand::Value { .. } => {
            Err(Fault::unsupported(format!("converting data that depends on the input to {to:?} is not supported")))
        }
        Operand::Failed(_) => Err(Fault::Consequence),
    }
}

/// The low bits of an integer, as conversion to a narrower type keeps them.
fn wrap(x: i64, to: Element) -> i64 {
    match to {
        Element::I8 => (x as i8).into(),
        Element::I16 => (x as i16).into(),
        Element::I32 => (x as i32).into(),
        Element::U8 => (x as u8).into(),
        Element::U16 => (x as u16).into(),
        Element::U32 => (x as u32).into(),
        Element::Boolean => (x != 0).into(),
        _ => x,
    }
}

/// Computes with constant integers, of one shape or one of them a single number; `None` if the operands are others.
pub(super) fn fold_integers(cx: &mut Cx<'_, '_>, op: BinaryOp) -> Result<Option<Operand>, Fault> {
    let Some(n) = integer_constants(cx).and_then(|c| c.iter().map(|t| t.data.len()).max()) else { return Ok(None) };
    cx.spend(n)?;
    let Some([a, b]) = integer_constants(cx).and_then(|c| <[&Tensor; 2]>::try_from(c).ok()) else { return Ok(None) };
    let (Some(x), Some(y)) = (a.as_i64(), b.as_i64()) else { return Ok(None) };
    let compute = |a: i64, b: i64| match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Sub => a.checked_sub(b),
        BinaryOp::Mul => a.checked_mul(b),
        // Rounds down, as OpenVINO does by default.
        BinaryOp::Div => a.checked_div(b).map(|q| if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q }),
        BinaryOp::Max => Some(a.max(b)),
        BinaryOp::Min => Some(a.min(b)),
        BinaryOp::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        BinaryOp::SquaredDifference => a.checked_sub(b).and_then(|d| d.checked_mul(d)),
    };
    let (shape, data): (_, Option<Vec<i64>>) = if a.shape == b.shape {
        (a.shape.clone(), x.iter().zip(y).map(|(&a, &b)| compute(a, b)).collect())
    } else if let ([y], true) = (y, b.shape.len() <= a.shape.len()) {
        (a.shape.clone(), x.iter().map(|&a| compute(a, *y)).collect())
    } else if let ([x], true) = (x, a.shape.len() <= b.shape.len()) {
        (b.shape.clone(), y.iter().map(|&b| compute(*x, b)).collect())
    } else {
        return Err(Fault::unsupported("integers of different shapes are not computed with"));
    };
    let data = data.ok_or_else(|| Fault::invalid("the result does not fit 64 bits, or is a division by zero"))?;
    Ok(Some(Operand::constant(&cx.layer.name, Tensor::i64(shape, data))))
}
