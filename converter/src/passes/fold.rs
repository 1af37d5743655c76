//! Constant folding.

use carafe_graph::{Graph, Op, exec};

use super::{PassError, rewrite, steps};

/// Evaluates nodes whose operands are all constants. Nodes over integers stay: no op of the graph is defined on them.
///
/// Where the result is quantized (integers times a scale, or a FakeQuantize), it remembers its steps
/// ([`carafe_graph::Value::steps`]), so that the quantizer finds the same integers again.
pub fn fold_constants(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, _| {
        let node = &graph.nodes[i];
        // What it makes of a constant changes from one inference to the next.
        if matches!(node.op, Op::History { .. }) {
            return Ok(false);
        }
        let operands: Option<Vec<_>> =
            node.inputs.iter().map(|v| graph.constant(*v).filter(|t| t.as_f32().is_some())).collect();
        let Some(operands) = operands else { return Ok(false) };
        let made = exec::evaluate(node, &operands).map_err(|e| PassError::new("fold_constants", e))?;
        let steps = steps::after(graph, node, &made);
        let node = graph.nodes.remove(i);
        let value = &mut graph.values[node.outputs[0].0];
        value.constant = Some(made);
        value.steps = steps;
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::{Tensor, UnaryOp};

    #[test]
    fn chains_of_constants_become_one_constant() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 3]);
        let c = g.add_constant("c", Tensor::f32([3, 1], vec![1.0, 2.0, 3.0]));
        let t = g.add_node("t", "test", Op::Transpose { perm: vec![1, 0] }, [c]).unwrap();
        let n = g.add_node("n", "test", Op::Unary(UnaryOp::Neg), [t]).unwrap();
        let y = g.add_node("y", "test", ADD, [x, n]).unwrap();
        g.outputs = vec![y];
        assert_eq!(fold_constants(&mut g).unwrap(), 2);
        g.check().unwrap();
        assert_eq!(g.nodes.len(), 1);
        assert_eq!(g.constant(n).unwrap(), &Tensor::f32([1, 3], vec![-1.0, -2.0, -3.0]));
    }

    #[test]
    fn a_constant_output_is_folded_too() {
        let mut g = Graph::default();
        let c = g.add_constant("c", Tensor::f32([1], vec![4.0]));
        let y = g.add_node("y", "test", Op::Unary(UnaryOp::Sqrt), [c]).unwrap();
        g.outputs = vec![y];
        assert_eq!(fold_constants(&mut g).unwrap(), 1);
        assert_eq!(carafe_graph::exec::run(&g, &[]).unwrap(), [Tensor::f32([1], vec![2.0])]);
    }
}
