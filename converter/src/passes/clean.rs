//! Removal of what has no effect.

use carafe_graph::{Activation, BinaryOp, Graph, Node, Op, UnaryOp, ValueId};

use super::{PassError, rewrite};

/// Removes nodes and values that no output depends on, and renumbers the rest. Inputs of the graph stay.
pub fn remove_dead(graph: &mut Graph) -> Result<usize, PassError> {
    let before = graph.nodes.len() + graph.values.len();
    let mut live = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|v| live[v.0] = true);
    for node in graph.nodes.iter().rev() {
        if node.outputs.iter().any(|v| live[v.0]) {
            node.inputs.iter().for_each(|v| live[v.0] = true);
        }
    }
    graph.nodes.retain(|n| n.outputs.iter().any(|v| live[v.0]));
    let kept = graph.nodes.iter().flat_map(|n| &n.outputs).chain(&graph.inputs);
    kept.for_each(|v| live[v.0] = true);

    let mut next = 0;
    let number: Vec<ValueId> = live
        .iter()
        .map(|l| {
            let id = ValueId(next);
            next += usize::from(*l);
            id
        })
        .collect();
    let mut keep = live.iter();
    graph.values.retain(|_| keep.next().is_some_and(|l| *l));
    let ids = graph.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut().chain(&mut n.outputs));
    ids.chain(&mut graph.inputs).chain(&mut graph.outputs).for_each(|v| *v = number[v.0]);
    Ok(before - graph.nodes.len() - graph.values.len())
}

/// Removes nodes that return an operand as it is: Transpose, Reshape, Pad, Slice and Upsample that change nothing, Concat of one,
/// x + 0, x · 1 and their like.
pub fn remove_no_ops(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, uses| {
        Ok(unchanged(graph, &graph.nodes[i]).is_some_and(|source| rewrite::bypass(graph, i, source, uses)))
    })
}

/// The operand that `node` returns as it is.
fn unchanged(graph: &Graph, node: &Node) -> Option<ValueId> {
    let first = *node.inputs.first()?;
    let same_shape = |v: ValueId| graph.value(v).shape == graph.value(node.outputs[0]).shape;
    let nothing = match &node.op {
        Op::Transpose { perm } => perm.is_sorted(),
        Op::Reshape { .. } | Op::Slice { .. } | Op::Upsample { .. } => same_shape(first),
        Op::Pad { begin, end, .. } => begin.iter().chain(end).all(|&n| n == 0),
        Op::Concat { .. } => node.inputs.len() == 1,
        Op::Reduce { axes, .. } => axes.iter().all(|&a| graph.value(first).shape[a] == 1) && same_shape(first),
        Op::Unary(UnaryOp::Clamp(lo, hi)) => (*lo, *hi) == (f32::NEG_INFINITY, f32::INFINITY),
        Op::Binary { op, activation: Activation::None } => {
            let (position, x, constant) = rewrite::with_constant(graph, &node.inputs)?;
            let neutral = match op {
                BinaryOp::Add => 0.0,
                BinaryOp::Mul => 1.0,
                BinaryOp::Sub if position == 0 => 0.0,
                BinaryOp::Div | BinaryOp::Pow if position == 0 => 1.0,
                _ => return None,
            };
            let all = constant.as_f32()?.iter().all(|&v| v == neutral);
            return (all && same_shape(x)).then_some(x);
        }
        _ => false,
    };
    nothing.then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::Tensor;

    #[test]
    fn dead_branches_and_constants_go_and_inputs_stay() {
        let mut g = Graph::default();
        let unused = input(&mut g, [9]);
        let x = input(&mut g, [2]);
        let c = g.add_constant("c", Tensor::f32([2], vec![1.0, 2.0]));
        let dead = g.add_node("dead", "test", ADD, [x, c]).unwrap();
        g.add_node("deader", "test", RELU, [dead]).unwrap();
        let y = g.add_node("y", "test", RELU, [x]).unwrap();
        g.outputs = vec![y];
        assert_eq!(remove_dead(&mut g).unwrap(), 5);
        g.check().unwrap();
        assert_eq!((g.nodes.len(), g.values.len(), g.inputs.len()), (1, 3, 2));
        assert_eq!(g.value(g.inputs[0]).shape, [9]);
        assert_eq!(unused, g.inputs[0]);
        assert_eq!(remove_dead(&mut g).unwrap(), 0);
    }

    #[test]
    fn neutral_nodes_go() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 2]);
        let zero = g.add_constant("zero", Tensor::f32([2], vec![0.0, 0.0]));
        let one = g.add_constant("one", Tensor::f32([], vec![1.0]));
        let r = g.add_node("r", "test", RELU, [x]).unwrap();
        let a = g.add_node("a", "test", ADD, [zero, r]).unwrap();
        let b = g.add_node("b", "test", binary(BinaryOp::Div), [a, one]).unwrap();
        let c = g.add_node("c", "test", Op::Transpose { perm: vec![0, 1] }, [b]).unwrap();
        let d = g.add_node("d", "test", Op::Reshape { shape: vec![1, 2] }, [c]).unwrap();
        let e = g.add_node("e", "test", Op::Pad { begin: vec![0, 0], end: vec![0, 0], value: 1.0 }, [d]).unwrap();
        g.outputs = vec![e];
        assert_eq!(preserved(&mut g, remove_no_ops), 5);
        assert_eq!(g.nodes.len(), 1);
        assert_eq!(g.value(g.outputs[0]).name, "e", "an output keeps its name");
    }

    #[test]
    fn what_changes_something_stays() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 2]);
        let zero = g.add_constant("zero", Tensor::f32([3, 1], vec![0.0; 3]));
        let one = g.add_constant("one", Tensor::f32([], vec![1.0]));
        let a = g.add_node("a", "test", ADD, [x, zero]).unwrap();
        let b = g.add_node("b", "test", binary(BinaryOp::Sub), [one, a]).unwrap();
        let c = g.add_node("c", "test", binary(BinaryOp::Div), [one, b]).unwrap();
        g.outputs = vec![c];
        assert_eq!(preserved(&mut g, remove_no_ops), 0);
    }

    #[test]
    fn an_output_that_is_an_input_keeps_its_node() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 2]);
        let y = g.add_node("y", "test", Op::Reshape { shape: vec![1, 2] }, [x]).unwrap();
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, remove_no_ops), 0);
    }
}
