//! Scales and shifts per channel that no layer with weights takes become a layer themselves.

use carafe_graph::{Conv2d, Graph, Layout, Op, Pads, Tensor};

use super::affine::affine;
use super::{PassError, fold_affine, fuse_activations, rewrite};

/// Turns Multiply, Divide, Add and Subtract with a constant per channel into a 1×1 depthwise convolution: a
/// normalization in front of a first layer that pads, whose zeros are not the mean, or a batch normalization behind a
/// sum. What follows in kind is folded into the same layer. One number for all channels stays what it is.
///
/// Runs after [`super::optimize`] (activations are NHWC, and all that folds has been folded) and after
/// [`super::take_bytes`], which takes such arithmetic at the front of a graph into the meaning of the bytes.
pub fn make_scale_layers(graph: &mut Graph) -> Result<usize, PassError> {
    let mut made = 0;
    while (0..graph.nodes.len()).any(|i| make(graph, i).is_some()) {
        made += 1;
        while fold_affine(graph)? + fuse_activations(graph)? > 0 {}
    }
    Ok(made)
}

fn make(graph: &mut Graph, i: usize) -> Option<()> {
    let node = &graph.nodes[i];
    let Op::Binary { op, activation } = node.op else { return None };
    let (position, x, constant) = rewrite::with_constant(graph, &node.inputs)?;
    let shape = &graph.value(x).shape;
    let &[1, _, _, channels] = shape.as_slice() else { return None };
    let c = rewrite::per_channel(constant, shape, 3)?;
    if c.iter().all(|v| *v == c[0]) {
        return None;
    }
    let affine = affine(op, position, c)?;
    let scale = affine.scale.unwrap_or_else(|| vec![1.0; channels]);
    let shift = affine.shift.unwrap_or_else(|| vec![0.0; channels]);
    if scale.iter().chain(&shift).any(|v| !v.is_finite()) {
        return None;
    }
    let name = node.name.clone();
    let w = graph.add_constant(format!("{name}/scale"), Tensor::f32([channels, 1, 1, 1], scale));
    let b = graph.add_constant(format!("{name}/shift"), Tensor::f32([channels], shift));
    let node = &mut graph.nodes[i];
    node.op = Op::Conv2d(Conv2d {
        strides: [1, 1],
        dilations: [1, 1],
        pads: Pads::default(),
        groups: channels,
        layout: Layout::Nhwc,
        activation,
    });
    node.inputs = vec![x, w, b];
    Some(())
}

#[cfg(test)]
mod tests {
    use carafe_graph::{Activation, BinaryOp};

    use super::*;
    use crate::passes::testing::*;

    /// input → ops with constants of a shape → convolution with padding.
    fn front(ops: &[(BinaryOp, &[usize])]) -> Graph {
        let mut g = Graph::default();
        let mut x = input(&mut g, [1, 5, 5, 3]);
        for (k, (op, shape)) in ops.iter().enumerate() {
            let c = g.add_constant("c", noise(shape, k as u64 + 2));
            x = g.add_node(format!("op{k}"), "test", binary(*op), [x, c]).unwrap();
        }
        let w = g.add_constant("w", noise(&[4, 3, 3, 3], 1));
        g.outputs = vec![g.add_node("conv", "test", conv(Layout::Nhwc, 1), [x, w]).unwrap()];
        g
    }

    #[test]
    fn a_normalization_in_front_becomes_one_layer() {
        let mut g = front(&[(BinaryOp::Sub, &[1, 1, 1, 3]), (BinaryOp::Div, &[3])]);
        assert_eq!(preserved(&mut g, make_scale_layers), 1);
        assert_eq!(g.nodes.len(), 2);
        assert!(matches!(&g.nodes[0].op, Op::Conv2d(c) if c.groups == 3 && c.pads == Pads::default()));
    }

    #[test]
    fn a_clamp_behind_it_is_fused() {
        let mut g = front(&[(BinaryOp::Mul, &[3])]);
        let y = g.nodes[0].outputs[0];
        let z = g.add_value("z", [1, 5, 5, 3]);
        g.nodes.insert(
            1,
            carafe_graph::Node {
                name: "relu".into(),
                origin: "test".into(),
                op: RELU,
                inputs: vec![y],
                outputs: vec![z],
            },
        );
        g.nodes[2].inputs[0] = z;
        assert_eq!(preserved(&mut g, make_scale_layers), 1);
        assert!(matches!(&g.nodes[0].op, Op::Conv2d(c) if c.activation == Activation::Relu));
    }

    #[test]
    fn one_number_for_all_and_other_shapes_stay() {
        for ops in [&[(BinaryOp::Mul, &[1][..])][..], &[(BinaryOp::Add, &[5, 1])], &[(BinaryOp::Max, &[3])]] {
            assert_eq!(preserved(&mut front(ops), make_scale_layers), 0, "{ops:?}");
        }
    }
}
