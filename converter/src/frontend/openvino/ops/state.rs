//! Variables, where they are a window over a sequence: what was kept is read, the new frames are joined behind it, and the
//! end of that is kept for the next time. All of it becomes one [`Op::History`].

use carafe_graph::{Graph, Op, ValueId};

use super::super::{
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
        let wrong = self.0.iter().filter(|v| !v.assigned || v.history.is_none() || read(v.past));
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
    cx.variables.0.push(Variable { id, layer, past, history: None, assigned: false });
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

/// Operand: the value for the next time.
pub(super) fn assign(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let (id, x) = (variable_id(cx)?, cx.value(0)?);
    let v = cx.variables.0.iter().position(|v| v.id == id).filter(|&v| is_tail(cx, &cx.variables.0[v], x));
    match v {
        Some(v) => cx.variables.0[v].assigned = true,
        None => return Err(Fault::unsupported(PATTERN)),
    }
    Ok(Operand::value(x))
}

/// True if `x` is the end of the window, as long as what was read.
fn is_tail(cx: &Cx<'_, '_>, v: &Variable, x: ValueId) -> bool {
    let (Some((window, axis)), Some(node)) = (v.history, cx.producer(x)) else { return false };
    let Op::Slice { begin, end } = &node.op else { return false };
    let (shape, keep) = (cx.extents(window), cx.extents(v.past)[axis]);
    let first = |a: usize| if a == axis { shape[a] - keep } else { 0 };
    node.inputs == [window] && end == shape && (0..shape.len()).all(|a| begin[a] == first(a))
}
