//! The float reference executor: it defines what every [`Op`] means.
//!
//! One sample runs on one thread and intermediate values are freed after their last use; [`run_many`] spreads samples
//! over the cores. To run with other weights, clone the graph (constants are shared, so this is cheap) and replace
//! the constants of the clone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::{Graph, GraphError, Node, Op, Tensor, ValueId, shape};

mod conv;
mod elementwise;
mod index;
mod linear;
mod movement;
mod pool;
mod reduce;
#[cfg(test)]
mod tests;

/// Called with every value right after it is made (inputs first), before any node reads it;
/// it may read the tensor (an observer) or replace it (fake quantization). Constants are not shown.
pub trait Hook {
    /// `value` has just been made.
    fn value(&mut self, graph: &Graph, value: ValueId, tensor: &mut Tensor);
}

impl Hook for () {
    fn value(&mut self, _: &Graph, _: ValueId, _: &mut Tensor) {}
}

/// Runs one sample (batch 1) and returns the outputs in order. Nodes that remember the sample before have none.
///
/// # Errors
/// As [`run_with`].
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    run_with(graph, inputs, &mut ())
}

/// As [`run`], with a hook on every value.
///
/// # Errors
/// What [`Graph::check`] finds; [`GraphError::Input`] if an input is missing or of another shape;
/// [`GraphError::Shape`] if an operand holds integers, or the hook changed the shape of a value.
pub fn run_with(graph: &Graph, inputs: &[Tensor], hook: &mut impl Hook) -> Result<Vec<Tensor>, GraphError> {
    graph.check()?;
    let mut live: Vec<Option<Tensor>> = vec![None; graph.values.len()];
    for (i, &id) in graph.inputs.iter().enumerate() {
        let value = graph.value(id);
        let given = inputs.get(i).filter(|t| t.shape == value.shape && is_float(t));
        let mut tensor = given.cloned().ok_or_else(|| GraphError::Input {
            name: value.name.clone(),
            expected: value.shape.clone(),
            got: inputs.get(i).map_or(vec![], |t| t.shape.clone()),
        })?;
        show(graph, id, &mut tensor, hook)?;
        live[id.0] = Some(tensor);
    }

    // The node after which a value is not read again; outputs of the graph stay.
    let mut last_use: Vec<Option<usize>> = vec![None; graph.values.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|v| last_use[v.0] = Some(i));
    }
    graph.outputs.iter().for_each(|v| last_use[v.0] = None);

    for (i, node) in graph.nodes.iter().enumerate() {
        let operands: Vec<&Tensor> = node
            .inputs
            .iter()
            .map(|v| graph.constant(*v).or(live[v.0].as_ref()).expect("Graph::check: defined before its use"))
            .collect();
        let mut made = evaluate(node, &operands)?;
        for v in &node.inputs {
            if last_use[v.0] == Some(i) {
                live[v.0] = None;
            }
        }
        if let [out] = node.outputs[..] {
            show(graph, out, &mut made, hook)?;
            live[out.0] = Some(made);
        }
    }
    let output = |v: &ValueId| {
        graph.constant(*v).or(live[v.0].as_ref()).cloned().expect("Graph::check: every output has a source")
    };
    Ok(graph.outputs.iter().map(output).collect())
}

/// What the nodes of a graph remember of the sample before, by node ([`Op::History`]). New, it knows nothing: zeros.
#[derive(Clone, Debug, Default)]
pub struct State {
    made: BTreeMap<usize, Tensor>,
}

impl State {
    /// What node `n` of `graph` would put before its next operand; `None` if it is no [`Op::History`].
    pub fn past(&self, graph: &Graph, n: usize) -> Option<Tensor> {
        let node = graph.nodes.get(n)?;
        let Op::History { axis, keep } = node.op else { return None };
        let mut shape = graph.values.get(node.outputs.first()?.0)?.shape.clone();
        *shape.get_mut(axis)? = keep;
        let made = self.made.get(&n).and_then(|t| Some(movement::tail(t.as_f32()?, &t.shape, axis, keep)));
        let zeros = || vec![0.0; shape.iter().product()];
        Some(Tensor::f32(shape.clone(), made.unwrap_or_else(zeros)))
    }
}

/// As [`run_with`], for samples that follow one another: `state` goes from one to the next. After an error it is as it
/// was, or advanced in part.
///
/// # Errors
/// As [`run_with`].
pub fn run_stateful(
    graph: &Graph,
    inputs: &[Tensor],
    state: &mut State,
    hook: &mut impl Hook,
) -> Result<Vec<Tensor>, GraphError> {
    /// Lets every node see its past in place of zeros.
    struct Remember<'s, H> {
        state: &'s mut State,
        /// By value: the node that makes it, if it remembers.
        nodes: BTreeMap<ValueId, usize>,
        hook: &'s mut H,
    }
    impl<H: Hook> Hook for Remember<'_, H> {
        fn value(&mut self, graph: &Graph, value: ValueId, tensor: &mut Tensor) {
            let Some(&n) = self.nodes.get(&value) else { return self.hook.value(graph, value, tensor) };
            if let (Op::History { axis, .. }, Some(past), Some(now)) =
                (&graph.nodes[n].op, self.state.past(graph, n), tensor.as_f32())
            {
                let new = movement::tail(now, &tensor.shape, *axis, tensor.shape[*axis] - past.shape[*axis]);
                let mut shape = tensor.shape.clone();
                shape[*axis] -= past.shape[*axis];
                let whole = movement::history(past.as_f32(), (&new, &shape), *axis, &tensor.shape);
                *tensor = Tensor::f32(tensor.shape.clone(), whole);
            }
            self.hook.value(graph, value, tensor);
            self.state.made.insert(n, tensor.clone());
        }
    }
    let remembers = |(n, node): (usize, &Node)| matches!(node.op, Op::History { .. }).then(|| (node.outputs[0], n));
    graph.check()?;
    let nodes = graph.nodes.iter().enumerate().filter_map(remembers).collect();
    run_with(graph, inputs, &mut Remember { state, nodes, hook })
}

/// Runs many samples, each an array of inputs, on all cores. `progress` is called with the number of samples that
/// are finished, from any thread.
///
/// # Errors
/// That of any sample that fails, as [`run_with`].
pub fn run_many(
    graph: &Graph,
    samples: &[Vec<Tensor>],
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Vec<Tensor>>, GraphError> {
    let finished = AtomicUsize::new(0);
    samples
        .par_iter()
        .map(|inputs| {
            let outputs = run(graph, inputs)?;
            progress(finished.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(outputs)
        })
        .collect()
}

fn is_float(t: &Tensor) -> bool {
    t.as_f32().is_some_and(|d| shape::elements(&t.shape) == Some(d.len()))
}

fn show(graph: &Graph, id: ValueId, tensor: &mut Tensor, hook: &mut impl Hook) -> Result<(), GraphError> {
    hook.value(graph, id, tensor);
    let value = graph.value(id);
    if tensor.shape == value.shape && is_float(tensor) {
        return Ok(());
    }
    Err(GraphError::Shape {
        node: value.name.clone(),
        origin: "hook".into(),
        what: format!("value of shape {:?} was replaced by one of shape {:?}", value.shape, tensor.shape),
    })
}

/// Computes one node from its operands; every op has one output.
///
/// # Errors
/// [`GraphError::Shape`] if the operands do not fit the node, or one of them holds integers.
pub fn evaluate(node: &Node, operands: &[&Tensor]) -> Result<Tensor, GraphError> {
    let fail = |what| GraphError::Shape { node: node.name.clone(), origin: node.origin.clone(), what };
    let shapes: Vec<&[usize]> = operands.iter().map(|t| t.shape.as_slice()).collect();
    let out_shape = shape::infer_op(&node.op, &shapes).map_err(fail)?;
    let floats = operands
        .iter()
        .map(|t| t.as_f32().filter(|_| is_float(t)).map(|d| (d, t.shape.as_slice())))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| fail("an operand holds integers where floats are needed".into()))?;
    // Inference has proved the number of operands.
    let x = floats[0];
    let bias = floats.get(2).map(|b| b.0);
    let data = match &node.op {
        Op::Conv2d(p) => conv::conv2d(p, x, floats[1], bias, &out_shape),
        Op::MatMul { transpose_a, transpose_b } => {
            linear::matmul((x.0, x.1, *transpose_a), (floats[1].0, floats[1].1, *transpose_b), &out_shape)
        }
        Op::Dense { activation } => {
            let (w, w_shape) = floats[1];
            let mut out = linear::dense(x.0, w, [w_shape[0], w_shape[1]], bias);
            elementwise::activate(&mut out, *activation);
            out
        }
        Op::Binary { op, activation } => elementwise::binary(*op, *activation, x, floats[1], &out_shape),
        Op::Unary(op) => elementwise::unary(*op, x.0),
        Op::Pool2d(p) => pool::pool2d(p, x.0, x.1, &out_shape),
        Op::Reduce { op, axes, .. } => reduce::reduce(*op, x.0, x.1, axes),
        Op::Softmax { axis } => reduce::softmax(x.0, x.1, *axis),
        Op::Concat { axis } => movement::concat(&floats, *axis, &out_shape),
        Op::History { axis, .. } => movement::history(None, x, *axis, &out_shape),
        Op::Reshape { .. } => return Ok(Tensor { shape: out_shape, data: operands[0].data.clone() }),
        Op::Transpose { perm } => movement::transpose(x.0, x.1, perm, &out_shape),
        Op::Pad { begin, value, .. } => movement::pad(x.0, x.1, begin, *value, &out_shape),
        Op::Slice { begin, .. } => movement::slice(x.0, x.1, begin, &out_shape),
        Op::Upsample { factors } => movement::upsample(x.0, x.1, factors, &out_shape),
        Op::SpaceToDepth(p) => movement::space_to_depth(p, x.0, x.1),
        Op::FakeQuantize { levels } => {
            elementwise::fake_quantize(*levels, [x, floats[1], floats[2], floats[3], floats[4]])
        }
    };
    Ok(Tensor::f32(out_shape, data))
}
