//! What the passes share: who uses what, and the few ways to change a graph that keep it consistent.

use carafe_graph::{Graph, Op, Tensor, ValueId};

use super::PassError;

/// Producers and numbers of uses of all values, as of the moment it was made.
pub(super) struct Uses {
    producer: Vec<Option<usize>>,
    count: Vec<usize>,
    output: Vec<bool>,
}

impl Uses {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut uses = Self {
            producer: vec![None; graph.values.len()],
            count: vec![0; graph.values.len()],
            output: vec![false; graph.values.len()],
        };
        for (i, node) in graph.nodes.iter().enumerate() {
            node.outputs.iter().for_each(|v| uses.producer[v.0] = Some(i));
            node.inputs.iter().for_each(|v| uses.count[v.0] += 1);
        }
        graph.outputs.iter().for_each(|v| uses.output[v.0] = true);
        uses
    }

    /// The node that makes `value`.
    pub(super) fn producer(&self, value: ValueId) -> Option<usize> {
        self.producer[value.0]
    }

    /// The node that makes `value`, if one operand of one node is all that reads it: it may then change its meaning.
    pub(super) fn sole_producer(&self, value: ValueId) -> Option<usize> {
        self.producer[value.0].filter(|_| self.count[value.0] == 1 && !self.output[value.0])
    }

    pub(super) fn is_output(&self, value: ValueId) -> bool {
        self.output[value.0]
    }
}

/// Tries `step` on every node until it has nothing left to do, and returns the number of times it did something.
/// `step` may add values, and remove nodes at or after its own index.
pub(super) fn each_node(
    graph: &mut Graph,
    mut step: impl FnMut(&mut Graph, usize, &Uses) -> Result<bool, PassError>,
) -> Result<usize, PassError> {
    let (mut changes, mut i) = (0, 0);
    let mut uses = Uses::of(graph);
    while i < graph.nodes.len() {
        if step(graph, i, &uses)? {
            changes += 1;
            uses = Uses::of(graph);
        } else {
            i += 1;
        }
    }
    Ok(changes)
}

/// Removes node `consumer`; node `producer`, which must be the only source of its input, makes its output instead.
pub(super) fn absorb(graph: &mut Graph, producer: usize, consumer: usize) {
    let gone = graph.nodes.remove(consumer);
    graph.nodes[producer].outputs = gone.outputs;
}

/// Removes node `i`, whose output is the same tensor as its operand `source`. Returns false, and changes nothing,
/// where an output of the graph would lose its name by it.
pub(super) fn bypass(graph: &mut Graph, i: usize, source: ValueId, uses: &Uses) -> bool {
    let output = graph.nodes[i].outputs[0];
    if !uses.is_output(output) {
        graph.nodes.remove(i);
        replace(graph, output, source);
        return true;
    }
    match uses.producer(source) {
        Some(producer) if !uses.is_output(source) => {
            graph.nodes.remove(i);
            graph.nodes[producer].outputs = vec![output];
            replace(graph, source, output);
            true
        }
        _ => false,
    }
}

/// All readers of `from` read `to` instead.
pub(super) fn replace(graph: &mut Graph, from: ValueId, to: ValueId) {
    let operands = graph.nodes.iter_mut().flat_map(|n| &mut n.inputs);
    operands.chain(&mut graph.outputs).filter(|v| **v == from).for_each(|v| *v = to);
}

/// Splits a binary node into its one constant float operand and its other operand: (position of the variable
/// operand, its id, the constant).
pub(super) fn with_constant<'g>(graph: &'g Graph, inputs: &[ValueId]) -> Option<(usize, ValueId, &'g Tensor)> {
    let &[a, b] = inputs else { return None };
    let float = |v| graph.constant(v).filter(|t| t.as_f32().is_some());
    match (graph.constant(a), graph.constant(b)) {
        (None, Some(_)) => Some((0, a, float(b)?)),
        (Some(_), None) => Some((1, b, float(a)?)),
        _ => None,
    }
}

/// The elements of `tensor` along `axis` of a value of shape `shape`, if broadcasting it there stretches it over all
/// other axes and leaves the shape alone. A single element is repeated.
pub(super) fn per_channel(tensor: &Tensor, shape: &[usize], axis: usize) -> Option<Vec<f32>> {
    let skipped = shape.len().checked_sub(tensor.shape.len())?;
    let fits = tensor.shape.iter().enumerate().all(|(i, &d)| d == 1 || (i + skipped == axis && d == shape[axis]));
    match tensor.as_f32()? {
        [one] if fits => Some(vec![*one; shape[axis]]),
        all if fits => Some(all.to_vec()),
        _ => None,
    }
}

/// The axis of output channels of a node that has weights.
pub(super) fn channel_axis(op: &Op, output_rank: usize) -> Option<usize> {
    match op {
        Op::Conv2d(p) => Some(match p.layout {
            carafe_graph::Layout::Nchw => 1,
            carafe_graph::Layout::Nhwc => 3,
        }),
        Op::Dense { .. } => output_rank.checked_sub(1),
        _ => None,
    }
}
