//! Models with state, for all that looks at one sample at a time: with its past as a further input, a sample stands for
//! itself.

use carafe_graph::{Graph, GraphError, Op, Tensor, exec};
use carafe_quantizer::QuantGraph;

/// The nodes that remember.
fn histories(graph: &Graph) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
    graph.nodes.iter().enumerate().filter_map(|(n, node)| match node.op {
        Op::History { axis, keep } => Some((n, axis, keep)),
        _ => None,
    })
}

/// The graph with every past as an input of its own, behind the others, and the samples with theirs: they are consecutive
/// steps of one sequence, which begins with the first.
pub(crate) fn open(graph: &Graph, samples: &[Vec<Tensor>]) -> Result<(Graph, Vec<Vec<Tensor>>), GraphError> {
    let nodes: Vec<_> = histories(graph).collect();
    let mut state = exec::State::default();
    let mut longer = Vec::with_capacity(samples.len());
    for sample in samples {
        let past = nodes.iter().filter_map(|&(n, ..)| state.past(graph, n));
        longer.push(sample.iter().cloned().chain(past).collect());
        exec::run_stateful(graph, sample, &mut state, &mut ())?;
    }
    let mut open = graph.clone();
    for (n, axis, keep) in nodes {
        let node = &graph.nodes[n];
        let mut shape = graph.value(node.outputs[0]).shape.clone();
        shape[axis] = keep;
        let past = open.add_value(format!("{}/past", node.name), shape);
        open.inputs.push(past);
        open.nodes[n].op = Op::Concat { axis };
        open.nodes[n].inputs.insert(0, past);
    }
    Ok((open, longer))
}

/// Undoes [`open`]: of `inputs` on, inputs are what nodes remember.
pub(crate) fn close(quantized: &mut QuantGraph, inputs: usize) {
    let graph = &mut quantized.graph;
    for past in graph.inputs.split_off(inputs) {
        let Some(node) = graph.nodes.iter_mut().find(|n| n.inputs.first() == Some(&past)) else { continue };
        if let Op::Concat { axis } = node.op {
            node.op = Op::History { axis, keep: graph.values[past.0].shape[axis] };
            node.inputs.remove(0);
        }
    }
}
