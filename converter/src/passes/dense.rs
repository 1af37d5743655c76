//! Matrix products with constants.

use carafe_graph::{Activation, Graph, Node, Op, Tensor};

use super::{PassError, rewrite};

/// Turns a MatMul with a constant right side into Dense.
pub fn make_dense(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, _| Ok(try_dense(graph, i).is_some()))
}

fn try_dense(graph: &mut Graph, i: usize) -> Option<()> {
    let node = &graph.nodes[i];
    let Op::MatMul { transpose_a, transpose_b } = node.op else { return None };
    let (x, w) = (node.inputs[0], node.inputs[1]);
    if graph.constant(x).is_some() {
        return None;
    }
    let x_shape = graph.value(x).shape.clone();
    let tensor = graph.constant(w)?;
    tensor.as_f32()?;
    let (lead, &[rows, columns]) = tensor.shape.split_last_chunk::<2>()?;
    // A product for each of several matrices, or with more axes than x has, is no Dense.
    if lead.len() + 2 > x_shape.len() || lead.iter().any(|&d| d != 1) {
        return None;
    }
    let turned = |t: &Tensor| {
        if transpose_b {
            return Some(Tensor { shape: vec![rows, columns], data: t.data.clone() });
        }
        let data = t.as_f32()?;
        let data: Vec<f32> = (0..columns).flat_map(|c| (0..rows).map(move |r| data[r * columns + c])).collect();
        Some(Tensor::f32([columns, rows], data))
    };
    let (weights, steps) = (turned(tensor)?, graph.steps(w).and_then(turned));
    let name = format!("{}/NK", graph.value(w).name);
    let w = graph.add_stepped(name, weights, steps);
    let mut x = x;
    let mut at = i;
    if transpose_a {
        let rank = x_shape.len();
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 1, rank - 2);
        let shape: Vec<usize> = perm.iter().map(|&p| x_shape[p]).collect();
        let name = format!("{}/transpose_a", graph.nodes[i].name);
        let turned = graph.add_value(name.clone(), shape);
        let origin = graph.nodes[i].origin.clone();
        let transpose = Node { name, origin, op: Op::Transpose { perm }, inputs: vec![x], outputs: vec![turned] };
        graph.nodes.insert(i, transpose);
        (x, at) = (turned, i + 1);
    }
    let node = &mut graph.nodes[at];
    node.op = Op::Dense { activation: Activation::None };
    node.inputs = vec![x, w];
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;

    fn product(x: &[usize], w: &[usize], transpose_a: bool, transpose_b: bool) -> (Graph, usize) {
        let mut g = Graph::default();
        let x = input(&mut g, x);
        let w = g.add_constant("w", noise(w, 5));
        let y = g.add_node("y", "test", Op::MatMul { transpose_a, transpose_b }, [x, w]).unwrap();
        g.outputs = vec![y];
        let changes = preserved(&mut g, make_dense);
        (g, changes)
    }

    #[test]
    fn both_orders_of_weights_become_dense() {
        for (w, transpose_b) in [([3, 4], false), ([4, 3], true)] {
            let (g, changes) = product(&[1, 3], &w, false, transpose_b);
            assert_eq!(changes, 1);
            assert_eq!(g.nodes[0].op, Op::Dense { activation: Activation::None });
            assert_eq!(g.value(g.nodes[0].inputs[1]).shape, [4, 3]);
        }
    }

    #[test]
    fn leading_axes_and_a_transposed_left_side() {
        assert_eq!(product(&[1, 5, 3], &[3, 4], false, false).1, 1);
        assert_eq!(product(&[1, 5, 3], &[1, 3, 4], false, false).1, 1);
        let (g, changes) = product(&[3, 5], &[3, 4], true, false);
        assert_eq!((changes, g.nodes.len()), (1, 2));
    }

    #[test]
    fn products_that_are_no_dense_stay() {
        assert_eq!(product(&[1, 3], &[2, 3, 4], false, false).1, 0);
        assert_eq!(product(&[5, 3], &[1, 3, 4], false, false).1, 0);
    }
}
