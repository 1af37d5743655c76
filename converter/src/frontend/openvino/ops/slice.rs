//! Parts of a tensor: elements next to each other, along any axis.

use carafe_graph::{Op, Tensor};

use super::super::{
    attributes,
    build::{Cx, Operand},
    fault::Fault,
};

/// First element and the one behind the last, by axis.
type Ranges = Vec<(usize, usize)>;

/// Operands: x, first, end and, optionally, steps, each by axis.
pub(super) fn strided_slice(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let (begin, end) = (cx.integers(1, "the list of first indices")?, cx.integers(2, "the list of end indices")?);
    let steps = if cx.inputs.len() > 3 { cx.integers(3, "the list of steps")? } else { &[] };
    let mask = |name: &str| -> Vec<bool> {
        attributes::word(cx.layer, name, "").split(',').map(|bit| bit.trim() == "1").collect()
    };
    for name in ["new_axis_mask", "ellipsis_mask"] {
        if mask(name).contains(&true) {
            return Err(Fault::unsupported(format!(
                "`{name}` is not supported: name every axis in the slice, and add axes with a reshape"
            )));
        }
    }
    let (no_begin, no_end, shrink) = (mask("begin_mask"), mask("end_mask"), mask("shrink_axis_mask"));
    let on = |mask: &[bool], a: usize| mask.get(a).copied().unwrap_or(false);
    let shape = cx.shape(0)?;
    if begin.len() != end.len() || begin.len() > shape.len() {
        let (b, e) = (begin.len(), end.len());
        return Err(Fault::invalid(format!("{b} first and {e} end indices for a tensor of shape {shape:?}")));
    }
    let mut ranges = Ranges::new();
    for (a, &d) in shape.iter().enumerate() {
        let (first, last) = (begin.get(a).copied().unwrap_or(0), end.get(a).copied().unwrap_or(0));
        if a < begin.len() && on(&shrink, a) {
            let from = counted(first, d);
            ranges.push((from, from + 1));
            continue;
        }
        in_steps_of_one(steps.get(a).copied())?;
        let from = if a < begin.len() && !on(&no_begin, a) { counted(first, d) } else { 0 };
        let to = if a < end.len() && !on(&no_end, a) { counted(last, d) } else { d };
        ranges.push((from, to));
    }
    let gone: Vec<bool> = (0..shape.len()).map(|a| a < begin.len() && on(&shrink, a)).collect();
    if !gone.contains(&true) {
        return part(cx, None, ranges);
    }
    if let Some(list) = integers(cx, &ranges)? {
        return Ok(Operand::constant(&cx.layer.name, Tensor::i64([], list)));
    }
    let (begin, end) = split(cx, ranges)?;
    let shape = (0..gone.len()).filter(|&a| !gone[a]).map(|a| end[a] - begin[a]).collect();
    let x = cx.value(0)?;
    let sliced = cx.step("part", Op::Slice { begin, end }, vec![x])?;
    cx.emit(Op::Reshape { shape }, vec![sliced])
}

/// Operands: x, first, end, steps, and optionally axes.
pub(super) fn slice(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let shape = cx.shape(0)?;
    let (begin, end) = (cx.integers(1, "the list of first indices")?, cx.integers(2, "the list of end indices")?);
    let steps = cx.integers(3, "the list of steps")?;
    let axes: Vec<usize> = if cx.inputs.len() > 4 {
        let listed = cx.integers(4, "the list of axes")?;
        listed.iter().map(|&a| attributes::axis(a, shape.len())).collect::<Result<_, _>>()?
    } else {
        (0..begin.len()).collect()
    };
    if [begin.len(), end.len(), steps.len()] != [axes.len(); 3] {
        return Err(Fault::invalid("first indices, end indices, steps and axes differ in number"));
    }
    let mut ranges: Ranges = shape.iter().map(|&d| (0, d)).collect();
    for (k, &a) in axes.iter().enumerate() {
        in_steps_of_one(steps.get(k).copied())?;
        let d = *shape.get(a).ok_or_else(|| Fault::invalid(format!("axis {a} does not exist")))?;
        ranges[a] = (counted(begin[k], d), counted(end[k], d));
    }
    part(cx, None, ranges)
}

/// Operands: x, axis and, of `VariadicSplit`, lengths. As many outputs as parts.
pub(super) fn split_along(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let shape = cx.shape(0)?;
    let &[axis] = cx.integers(1, "the axis")? else { return Err(Fault::invalid("the axis must be one number")) };
    let axis = attributes::axis(axis, shape.len())?;
    let extent = shape[axis];
    let wrong = || Fault::invalid(format!("axis {axis} of shape {shape:?} can't be split so"));
    let lengths: Vec<usize> = if cx.inputs.len() > 2 {
        let listed = cx.integers(2, "the list of lengths")?;
        let known: i64 = listed.iter().fold(0, |sum, &n| sum.saturating_add(n.max(0)));
        let rest = usize::try_from(known).ok().and_then(|known| extent.checked_sub(known)).ok_or_else(wrong)?;
        let length = |&n: &i64| if n == -1 { Ok(rest) } else { usize::try_from(n).map_err(|_| wrong()) };
        listed.iter().map(length).collect::<Result<_, _>>()?
    } else {
        let n = attributes::integer(cx.layer, "num_splits", None)?;
        let n = usize::try_from(n).ok().filter(|&n| n > 0 && extent.is_multiple_of(n)).ok_or_else(wrong)?;
        vec![extent / n; n]
    };
    let total = lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    if lengths.is_empty() || total != Some(extent) {
        return Err(wrong());
    }
    let mut parts = vec![];
    let mut from = 0;
    for (i, n) in lengths.into_iter().enumerate() {
        let mut ranges: Ranges = shape.iter().map(|&d| (0, d)).collect();
        ranges[axis] = (from, from + n);
        from += n;
        parts.push(part(cx, Some(i), ranges)?);
    }
    let mut parts = parts.into_iter();
    let first = parts.next().ok_or_else(wrong)?;
    cx.further = parts.collect();
    Ok(first)
}

fn in_steps_of_one(step: Option<i64>) -> Result<(), Fault> {
    match step {
        None | Some(1) => Ok(()),
        Some(n) => Err(Fault::unsupported(format!(
            "a slice in steps of {n} is not supported, elements next to each other are; where pixels are regrouped into \
             channels, export it as SpaceToDepth, and where a map becomes smaller, as a pool or a convolution with a stride"
        ))),
    }
}

/// An index, counted from the end where it is negative, cut to the extent.
fn counted(i: i64, extent: usize) -> usize {
    let n = extent as i64;
    let i = if i < 0 { i.saturating_add(n) } else { i };
    i.clamp(0, n) as usize
}

/// A part of operand 0: the layer's output, or one of several.
fn part(cx: &mut Cx<'_, '_>, output: Option<usize>, ranges: Ranges) -> Result<Operand, Fault> {
    if let Some(list) = integers(cx, &ranges)? {
        return Ok(Operand::constant(&cx.layer.name, Tensor::i64([list.len()], list)));
    }
    let (begin, end) = split(cx, ranges)?;
    let x = cx.value(0)?;
    match output {
        None => cx.emit(Op::Slice { begin, end }, vec![x]),
        Some(i) => cx.step(&i.to_string(), Op::Slice { begin, end }, vec![x]).map(Operand::value),
    }
}

fn split(cx: &Cx<'_, '_>, ranges: Ranges) -> Result<(Vec<usize>, Vec<usize>), Fault> {
    if let Some(a) = ranges.iter().position(|(from, to)| from >= to) {
        let shape = cx.shape(0)?;
        return Err(Fault::invalid(format!("of axis {a} of shape {shape:?} nothing is left")));
    }
    Ok(ranges.into_iter().unzip())
}

/// The part of a constant list of integers, as exporters slice shapes; `None` if operand 0 is something else.
fn integers(cx: &mut Cx<'_, '_>, ranges: &Ranges) -> Result<Option<Vec<i64>>, Fault> {
    let list = match cx.input(0)? {
        Operand::Constant(c) if c.tensor.shape.len() == 1 => c.tensor.as_i64(),
        _ => None,
    };
    let (Some(list), &[(from, to)]) = (list, ranges.as_slice()) else { return Ok(None) };
    let list = list.get(from..to).map(<[i64]>::to_vec);
    let list = list.ok_or_else(|| Fault::invalid("nothing is left of the list"))?;
    cx.spend(list.len())?;
    Ok(Some(list))
}
