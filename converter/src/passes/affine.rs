//! Scales and shifts per channel (batch normalisation, bias) move into the weights before them.

use carafe_graph::{Activation, BinaryOp, Graph, Op, Tensor};

use super::{
    PassError,
    rewrite::{self, Uses},
};

/// y = scale · x + shift, per channel.
pub(super) struct Affine {
    pub scale: Option<Vec<f32>>,
    pub shift: Option<Vec<f32>>,
}

/// Folds Multiply, Divide, Add and Subtract with per-channel constants into the Conv2d or Dense before them, whatever
/// the order of operands. The value between the two must have no other reader.
pub fn fold_affine(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, uses| Ok(try_fold(graph, i, uses).is_some()))
}

fn try_fold(graph: &mut Graph, i: usize, uses: &Uses) -> Option<()> {
    let node = &graph.nodes[i];
    let Op::Binary { op, activation } = node.op else { return None };
    let (position, x, constant) = rewrite::with_constant(graph, &node.inputs)?;
    let at = uses.sole_producer(x)?;
    let producer = &graph.nodes[at];
    if activation_of(&producer.op)? != Activation::None {
        return None;
    }
    let shape = &graph.value(x).shape;
    let axis = rewrite::channel_axis(&producer.op, shape.len())?;
    let channels = shape[axis];
    let c = rewrite::per_channel(constant, shape, axis)?;
    let affine = affine(op, position, c)?;

    let w = producer.inputs[1];
    let weights = graph.constant(w)?;
    let bias = producer.inputs.get(2).copied();
    let old_bias = match bias {
        Some(b) => Some(graph.constant(b)?.as_f32()?.to_vec()),
        None => None,
    };
    let times = |t: &Tensor, scale: &[f32]| {
        let data = t.as_f32()?;
        let per = data.len() / channels;
        let scaled: Vec<f32> =
            data.chunks_exact(per).zip(scale).flat_map(|(w, s)| w.iter().map(move |w| w * s)).collect();
        Some(Tensor::f32(t.shape.clone(), scaled))
    };
    // Weights that are quantized stay the same integers: their steps take the scale.
    let (new_weights, new_steps) = match &affine.scale {
        Some(scale) => {
            let positive: Vec<f32> = scale.iter().map(|s| s.abs()).collect();
            (Some(times(weights, scale)?), graph.steps(w).and_then(|s| times(s, &positive)))
        }
        None => (None, None),
    };
    let mut new_bias = old_bias;
    if let (Some(b), Some(scale)) = (&mut new_bias, &affine.scale) {
        b.iter_mut().zip(scale).for_each(|(b, s)| *b *= s);
    }
    if let Some(shift) = affine.shift {
        let b = new_bias.get_or_insert_with(|| vec![0.0; channels]);
        b.iter_mut().zip(shift).for_each(|(b, s)| *b += s);
    }
    let finite = |t: &[f32]| t.iter().all(|v| v.is_finite());
    if !new_bias.as_deref().is_none_or(finite) || !new_weights.as_ref().is_none_or(|w| w.as_f32().is_some_and(finite)) {
        return None;
    }

    let mut inputs = vec![producer.inputs[0], w];
    if let Some(new) = new_weights {
        let name = graph.value(w).name.clone();
        inputs[1] = graph.add_stepped(name, new, new_steps);
    }
    if let Some(new) = new_bias {
        let name = bias.map_or_else(|| format!("{}/bias", graph.nodes[at].name), |b| graph.value(b).name.clone());
        inputs.push(graph.add_constant(name, Tensor::f32([channels], new)));
    }
    let producer = &mut graph.nodes[at];
    producer.inputs = inputs;
    match &mut producer.op {
        Op::Conv2d(p) => p.activation = activation,
        Op::Dense { activation: a } => *a = activation,
        _ => unreachable!("only Conv2d and Dense have an axis of channels"),
    }
    rewrite::absorb(graph, at, i);
    Some(())
}

fn activation_of(op: &Op) -> Option<Activation> {
    match op {
        Op::Conv2d(p) => Some(p.activation),
        Op::Dense { activation } => Some(*activation),
        _ => None,
    }
}

/// The meaning of a binary op with the constant `c`, where `position` is that of the other operand.
pub(super) fn affine(op: BinaryOp, position: usize, c: Vec<f32>) -> Option<Affine> {
    let negated = |c: &[f32]| c.iter().map(|v| -v).collect();
    Some(match (op, position) {
        (BinaryOp::Add, _) => Affine { scale: None, shift: Some(c) },
        (BinaryOp::Sub, 0) => Affine { scale: None, shift: Some(negated(&c)) },
        (BinaryOp::Sub, _) => Affine { scale: Some(vec![-1.0; c.len()]), shift: Some(c) },
        (BinaryOp::Mul, _) => Affine { scale: Some(c), shift: None },
        (BinaryOp::Div, 0) => Affine { scale: Some(c.iter().map(|v| 1.0 / v).collect()), shift: None },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::Layout;

    fn conv_then(layout: Layout, with_bias: bool, op: Op, c: &[usize], swapped: bool) -> (Graph, usize) {
        let mut g = Graph::default();
        let x = input(&mut g, if layout == Layout::Nchw { [1, 2, 5, 5] } else { [1, 5, 5, 2] });
        let mut inputs = vec![x, g.add_constant("w", noise(&[3, 2, 3, 3], 1))];
        if with_bias {
            inputs.push(g.add_constant("b", noise(&[3], 2)));
        }
        let y = g.add_node("conv", "test", conv(layout, 1), inputs).unwrap();
        let c = g.add_constant("c", noise(c, 3));
        let z = g.add_node("z", "test", op, if swapped { [c, y] } else { [y, c] }).unwrap();
        g.outputs = vec![z];
        let changes = preserved(&mut g, fold_affine);
        (g, changes)
    }

    #[test]
    fn every_form_of_scale_and_shift_folds() {
        let ops = [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div];
        for (op, with_bias, swapped) in
            ops.iter().flat_map(|o| [(o, false), (o, true)]).flat_map(|(o, b)| [(*o, b, false), (*o, b, true)])
        {
            for (layout, c) in [
                (Layout::Nchw, &[1, 3, 1, 1][..]),
                (Layout::Nchw, &[3, 1, 1]),
                (Layout::Nchw, &[]),
                (Layout::Nhwc, &[3]),
                (Layout::Nhwc, &[1, 1, 1, 3]),
                (Layout::Nhwc, &[1]),
            ] {
                let (g, changes) = conv_then(layout, with_bias, binary(op), c, swapped);
                let folds = op != BinaryOp::Div || !swapped;
                assert_eq!(changes, usize::from(folds), "{op:?} {c:?} swapped: {swapped}");
                if folds {
                    assert_eq!(g.nodes.len(), 1);
                    assert_eq!(g.value(g.outputs[0]).name, "z");
                }
            }
        }
    }

    #[test]
    fn constants_over_other_axes_stay() {
        for (layout, c) in [(Layout::Nchw, &[1, 1, 5, 1][..]), (Layout::Nchw, &[1, 3, 5, 5]), (Layout::Nhwc, &[5, 1])] {
            assert_eq!(conv_then(layout, true, ADD, c, false).1, 0, "{c:?}");
        }
    }

    #[test]
    fn a_fused_activation_moves_along_and_ends_the_folding() {
        let op = Op::Binary { op: BinaryOp::Add, activation: Activation::Relu };
        let (g, changes) = conv_then(Layout::Nchw, false, op, &[1, 3, 1, 1], false);
        assert_eq!(changes, 1);
        assert_eq!(activation_of(&g.nodes[0].op), Some(Activation::Relu));
    }

    #[test]
    fn batch_normalisation_after_dense_folds() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 4]);
        let w = g.add_constant("w", noise(&[3, 4], 1));
        let mut y = g.add_node("dense", "test", Op::Dense { activation: Activation::None }, [x, w]).unwrap();
        for (i, op) in [BinaryOp::Add, BinaryOp::Mul, BinaryOp::Add].into_iter().enumerate() {
            let c = g.add_constant("c", noise(&[1, 3], i as u64));
            y = g.add_node(format!("y{i}"), "test", binary(op), [y, c]).unwrap();
        }
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, fold_affine), 3);
        assert_eq!(g.nodes.len(), 1);
    }

    #[test]
    fn a_value_that_others_read_is_left_alone() {
        for as_output in [false, true] {
            let mut g = Graph::default();
            let x = input(&mut g, [1, 2, 5, 5]);
            let w = g.add_constant("w", noise(&[3, 2, 3, 3], 1));
            let y = g.add_node("conv", "test", conv(Layout::Nchw, 1), [x, w]).unwrap();
            let c = g.add_constant("c", noise(&[1, 3, 1, 1], 3));
            let z = g.add_node("z", "test", ADD, [y, c]).unwrap();
            let other = if as_output { y } else { g.add_node("r", "test", RELU, [y]).unwrap() };
            g.outputs = vec![z, other];
            assert_eq!(preserved(&mut g, fold_affine), 0);
        }
    }
}
