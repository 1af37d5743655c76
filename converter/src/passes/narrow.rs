//! One-dimensional layers are rows of two-dimensional ones, between two changes of shape. What follows such a layer
//! element by element (its bias, its activation) goes before the change of shape, where the layer can take it in.

use carafe_graph::{Graph, Op, Tensor, ValueId};

use super::{PassError, rewrite};

/// Exchanges a Reshape that takes an axis of extent 1 away from the result of a Conv2d with the node behind it, if that
/// is an activation or takes a constant.
pub fn raise_elementwise(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, uses| {
        let node = &graph.nodes[i];
        let (position, x, constant) = match &node.op {
            Op::Unary(_) => (0, node.inputs[0], None),
            Op::Binary { .. } => match rewrite::with_constant(graph, &node.inputs) {
                Some((position, x, constant)) => (position, x, Some(constant.clone())),
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        let Some(reshape) = uses.sole_producer(x).filter(|&r| matches!(graph.nodes[r].op, Op::Reshape { .. })) else {
            return Ok(false);
        };
        let wide = graph.nodes[reshape].inputs[0];
        let conv = uses.sole_producer(wide).is_some_and(|p| matches!(graph.nodes[p].op, Op::Conv2d(_)));
        let (from, to) = (graph.value(wide).shape.clone(), graph.value(x).shape.clone());
        let Some(axis) = removed(&from, &to).filter(|_| conv && graph.value(graph.nodes[i].outputs[0]).shape == to)
        else {
            return Ok(false);
        };
        let mut inputs = graph.nodes[i].inputs.clone();
        inputs[position] = wide;
        if let Some(constant) = constant {
            let Some(id) = widened(graph, inputs[1 - position], &constant, axis, to.len()) else { return Ok(false) };
            inputs[1 - position] = id;
        }
        let middle = graph.add_value(graph.value(wide).name.clone(), from);
        let outputs = std::mem::replace(&mut graph.nodes[i].outputs, vec![middle]);
        graph.nodes[i].inputs = inputs;
        let mut reshape = graph.nodes.remove(reshape);
        (reshape.inputs, reshape.outputs) = (vec![middle], outputs);
        // The node has moved to the place before.
        graph.nodes.insert(i, reshape);
        Ok(true)
    })
}

/// The axis without which `from` is `to`, if it has extent 1: the first of several.
fn removed(from: &[usize], to: &[usize]) -> Option<usize> {
    (0..from.len())
        .find(|&a| from[a] == 1 && from[..a] == to[..a.min(to.len())] && from[a + 1..] == to[a.min(to.len())..])
}

/// A constant for an operand that has an axis more.
fn widened(graph: &mut Graph, id: ValueId, constant: &Tensor, axis: usize, rank: usize) -> Option<ValueId> {
    let missing = rank.checked_sub(constant.shape.len())?;
    let mut shape = constant.shape.clone();
    // In front of all of its axes, one is broadcast anyway.
    if let Some(at) = axis.checked_sub(missing) {
        shape.insert(at, 1);
    }
    let wide = |t: &Tensor| Tensor { shape: shape.clone(), data: t.data.clone() };
    let (tensor, steps) = (wide(constant), graph.steps(id).map(wide));
    Some(graph.add_stepped(graph.value(id).name.clone(), tensor, steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::Layout;

    #[test]
    fn bias_and_activation_come_before_the_change_of_shape() {
        for bias in [vec![1, 3, 1], vec![3, 1], vec![]] {
            let mut g = Graph::default();
            let x = input(&mut g, [1, 2, 1, 5]);
            let w = g.add_constant("w", noise(&[3, 2, 3, 3], 1));
            let y = g.add_node("conv", "test", conv(Layout::Nchw, 1), [x, w]).unwrap();
            let y = g.add_node("narrow", "test", Op::Reshape { shape: vec![1, 3, 5] }, [y]).unwrap();
            let b = g.add_constant("b", noise(&bias, 2));
            let y = g.add_node("bias", "test", ADD, [b, y]).unwrap();
            let y = g.add_node("relu", "test", RELU, [y]).unwrap();
            g.outputs = vec![y];
            assert_eq!(preserved(&mut g, raise_elementwise), 1, "{bias:?}");
            let kinds: Vec<&str> = g.nodes.iter().map(|n| n.op.kind()).collect();
            assert_eq!(kinds, ["Conv2d", "Add", "Reshape", "Relu"], "the activation follows when the bias is gone");
        }
    }

    #[test]
    fn what_needs_the_narrow_shape_stays() {
        assert_eq!(removed(&[1, 3, 1, 5], &[1, 3, 5]), Some(2));
        assert_eq!(removed(&[1, 3, 5], &[3, 5]), Some(0));
        assert_eq!(removed(&[3, 5, 1], &[3, 5]), Some(2));
        assert_eq!(removed(&[2, 3], &[6]), None);
        assert_eq!(removed(&[2, 3], &[2, 3]), None);
        let mut g = Graph::default();
        let x = input(&mut g, [1, 2, 3]);
        let y = g.add_node("narrow", "test", Op::Reshape { shape: vec![2, 3] }, [x]).unwrap();
        let y = g.add_node("relu", "test", RELU, [y]).unwrap();
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, raise_elementwise), 0, "there is no layer to take it in");
    }
}
