//! Variables, where they are a window over a sequence: what was kept is read, the new frames are joined behind it, and the
//! end of that is kept for the next time. All of it becomes one [`Op::History`].

use carafe_graph::{Graph, Op, ValueId};

use super::super::{
    attributes,
    build::{Cx, Operand},
    constants::Kind,
    fault::Fault,
};

/// A variable of the model.
#[derive(Debug)]
struct Variable {
    id: String,
    /// Index of the layer that reads it.
    layer: usize,
    /// Stands for what was kept; nothing makes it.
    past: ValueId,
    /// The window, and the axis of time.
    history: Option<(ValueId, usize)>,
    /// Stand for the end of the window.
    tails: Vec<ValueId>,
    assigned: bool,
}

/// The variables met so far.
#[derive(Debug, Default)]
pub(in super::super) struct Variables(Vec<Variable>);

const PATTERN: &str = "a variable is supported as a window over a sequence: ReadValue (zeros at first), Concat of it with the \
                       new frames behind it, and the last frames of the result, as many as were read, to Assign; export \
                       anything else with its state as an input and an output";

impl Variables {
    /// The layers of variables that are used in another way than as a window, and why that is wrong.
    pub fn faults(&self, graph: &Graph) -> Vec<(usize, Fault)> {
        let read = |v: ValueId| graph.nodes.iter().any(|n| n.inputs.contains(&v)) || graph.outputs.contains(&v);
        let strays = |v: &Variable| read(v.past) || v.tails.iter().any(|&t| read(t));
        let wrong = self.0.iter().filter(|v| !v.assigned || v.history.is_none() || strays(v));
        wrong.map(|v| (v.layer, Fault::unsupported(format!("variable `{}`: {PATTERN}", v.id)))).collect()
    }
}

fn variable_id(cx: &Cx<'_, '_>) -> Result<String, Fault> {
    let id = cx.layer.attribute("variable_id");
    id.map(str::to_owned).ok_or_else(|| Fault::invalid("attribute `variable_id` is missing"))
}

/// Operands: the value at the beginning, or none (zeros).
pub(super) fn read_value(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let id = variable_id(cx)?;
    let shape = if cx.inputs.is_empty() {
        let dims = cx.layer.outputs.first().and_then(|p| p.dims.iter().copied().collect::<Option<Vec<usize>>>());
        dims.ok_or_else(|| Fault::unsupported("the variable has no static shape"))?
    } else {
        if cx.floats(0, "the value at the beginning")?.iter().any(|&x| x != 0.0) {
            return Err(Fault::unsupported(format!("variable `{id}` does not begin with zeros")));
        }
        cx.shape(0)?
    };
    if cx.variables.0.iter().any(|v| v.id == id) {
        return Err(Fault::unsupported(format!("variable `{id}` is read twice: {PATTERN}")));
    }
    let past = cx.placeholder(shape);
    let layer = cx.index;
    cx.variables.0.push(Variable { id, layer, past, history: None, tails: vec![], assigned: false });
    Ok(Operand::value(past))
}

/// A Concat of a variable and new frames; `None` if it joins anything else.
pub(super) fn history(cx: &mut Cx<'_, '_>, axis: usize) -> Result<Option<Operand>, Fault> {
    let value = |o: &Operand| match o {
        Operand::Value { id, kind: Kind::Float } => Some(*id),
        _ => None,
    };
    let ids: Vec<Option<ValueId>> = cx.inputs.iter().map(value).collect();
    let Some(v) = cx.variables.0.iter().position(|v| ids.contains(&Some(v.past))) else { return Ok(None) };
    let [Some(first), Some(x)] = ids[..] else { return Err(Fault::unsupported(PATTERN)) };
    let past = cx.variables.0[v].past;
    let (before, new) = (cx.extents(past).to_vec(), cx.extents(x).to_vec());
    let fits = before.len() == new.len() && (0..new.len()).all(|a| a == axis || before[a] == new[a]);
    if first != past || x == past || !fits || cx.variables.0[v].history.is_some() {
        return Err(Fault::unsupported(PATTERN));
    }
    let made = cx.emit(Op::History { axis, keep: before[axis] }, vec![x])?;
    cx.variables.0[v].history = value(&made).map(|id| (id, axis));
    Ok(Some(made))
}

/// Operands: x, first, end and, optionally, steps, each by axis.
pub(super) fn strided_slice(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let (begin, end) = (cx.integers(1, "the list of first indices")?, cx.integers(2, "the list of end indices")?);
    let ones = cx.inputs.len() < 4 || cx.integers(3, "the list of steps")?.iter().all(|&s| s == 1);
    let mask = |name: &str| -> Vec<bool> {
        attributes::word(cx.layer, name, "").split(',').map(|bit| bit.trim() == "1").collect()
    };
    let others = ["new_axis_mask", "shrink_axis_mask", "ellipsis_mask"];
    if !ones || others.iter().any(|name| mask(name).contains(&true)) {
        return Err(Fault::unsupported(PATTERN));
    }
    let (no_begin, no_end) = (mask("begin_mask"), mask("end_mask"));
    let on = |mask: &[bool], a: usize| mask.get(a).copied().unwrap_or(false);
    let ranges = cx.shape(0)?.into_iter().enumerate().map(|(a, d)| {
        let from = begin.get(a).filter(|_| !on(&no_begin, a)).map_or(0, |&i| counted(i, d));
        let to = end.get(a).filter(|_| !on(&no_end, a)).map_or(d, |&i| counted(i, d));
        (from, to)
    });
    let ranges = ranges.collect();
    tail(cx, ranges)
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
    if steps.iter().any(|&s| s != 1) || [begin.len(), end.len()] != [axes.len(); 2] {
        return Err(Fault::unsupported(PATTERN));
    }
    let mut ranges: Vec<(usize, usize)> = shape.iter().map(|&d| (0, d)).collect();
    for ((&a, &from), &to) in axes.iter().zip(begin).zip(end) {
        let d = *shape.get(a).ok_or_else(|| Fault::invalid(format!("axis {a} does not exist")))?;
        ranges[a] = (counted(from, d), counted(to, d));
    }
    tail(cx, ranges)
}

/// Operands: x, axis and, of `VariadicSplit`, lengths. Only the last part can be read.
pub(super) fn split(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let shape = cx.shape(0)?;
    let &[axis] = cx.integers(1, "the axis")? else { return Err(Fault::invalid("the axis must be one number")) };
    let axis = attributes::axis(axis, shape.len())?;
    let last = if cx.inputs.len() > 2 {
        let lengths = cx.integers(2, "the list of lengths")?;
        let others: i64 = lengths.iter().rev().skip(1).fold(0, |sum, &n| sum.saturating_add(n.max(0)));
        match lengths.last() {
            Some(-1) => shape[axis].saturating_sub(usize::try_from(others).unwrap_or(usize::MAX)),
            Some(&n) => usize::try_from(n).map_err(|_| Fault::invalid("a part of negative length"))?,
            None => return Err(Fault::invalid("a split into no parts")),
        }
    } else {
        let n = attributes::integer(cx.layer, "num_splits", None)?;
        let n = usize::try_from(n).ok().filter(|&n| n > 0 && shape[axis].is_multiple_of(n));
        shape[axis] / n.ok_or_else(|| Fault::invalid("the extent can't be split into so many parts"))?
    };
    let mut ranges: Vec<(usize, usize)> = shape.iter().map(|&d| (0, d)).collect();
    ranges[axis].0 = shape[axis].saturating_sub(last);
    tail(cx, ranges)
}

/// An index, counted from the end where it is negative, cut to the extent.
fn counted(i: i64, extent: usize) -> usize {
    let n = extent as i64;
    let i = if i < 0 { i.saturating_add(n) } else { i };
    i.clamp(0, n) as usize
}

/// A part of operand 0, which has to be the end of a window.
fn tail(cx: &mut Cx<'_, '_>, ranges: Vec<(usize, usize)>) -> Result<Operand, Fault> {
    let x = cx.value(0)?;
    let shape = cx.extents(x).to_vec();
    let found = cx.variables.0.iter().position(|v| v.history.is_some_and(|(id, _)| id == x));
    let (v, axis) = match found.and_then(|v| Some((v, cx.variables.0[v].history?.1))) {
        Some(found) => found,
        None => {
            return Err(Fault::unsupported(format!("slices are supported only as a part of a variable; {PATTERN}")));
        }
    };
    let keep = cx.extents(cx.variables.0[v].past)[axis];
    let want = |a: usize| if a == axis { (shape[a] - keep, shape[a]) } else { (0, shape[a]) };
    if ranges.iter().enumerate().any(|(a, &r)| r != want(a)) {
        return Err(Fault::unsupported(PATTERN));
    }
    let shape = ranges.iter().map(|(from, to)| to - from).collect();
    let id = cx.placeholder(shape);
    cx.variables.0[v].tails.push(id);
    Ok(Operand::value(id))
}

/// Operand: the value for the next time.
pub(super) fn assign(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let (id, x) = (variable_id(cx)?, cx.value(0)?);
    match cx.variables.0.iter_mut().find(|v| v.id == id && v.tails.contains(&x)) {
        Some(v) => v.assigned = true,
        None => return Err(Fault::unsupported(PATTERN)),
    }
    Ok(Operand::value(x))
}
