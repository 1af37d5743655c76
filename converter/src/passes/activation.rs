//! Clamps move into the node before them.

use carafe_graph::{Activation, BinaryOp, Graph, Op, UnaryOp, ValueId};

use super::{
    PassError,
    rewrite::{self, Uses},
};

/// Fuses Relu, Clamp, and Maximum or Minimum with a constant number into the Conv2d, Dense or arithmetic node before
/// them, or into the clamp before them; the value between the two must have no other reader. What cannot be fused
/// becomes Relu or Clamp.
pub fn fuse_activations(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, uses| Ok(try_fuse(graph, i, uses).is_some()))
}

fn try_fuse(graph: &mut Graph, i: usize, uses: &Uses) -> Option<()> {
    let (x, interval) = clamp(graph, i)?;
    if let Some(at) = uses.sole_producer(x) {
        let op = match graph.nodes[at].op.clone() {
            Op::Conv2d(mut p) => compose(p.activation.range(), interval).map(|a| {
                p.activation = a;
                Op::Conv2d(p)
            }),
            Op::Dense { activation } => {
                compose(activation.range(), interval).map(|activation| Op::Dense { activation })
            }
            Op::Binary { op: op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul), activation } => {
                compose(activation.range(), interval).map(|activation| Op::Binary { op, activation })
            }
            _ => clamp(graph, at).and_then(|(_, inner)| compose(inner, interval)).and_then(unary),
        };
        if let Some(op) = op {
            // The node before may itself be a Maximum or Minimum, whose constant goes with it.
            if let Op::Unary(_) = op {
                graph.nodes[at].inputs = vec![clamp(graph, at)?.0];
            }
            graph.nodes[at].op = op;
            rewrite::absorb(graph, at, i);
            return Some(());
        }
    }
    if let Op::Unary(_) = graph.nodes[i].op {
        return None;
    }
    graph.nodes[i].op = unary(simplest(interval))?;
    graph.nodes[i].inputs = vec![x];
    Some(())
}

/// The operand and the interval of a node that clamps and does nothing else.
fn clamp(graph: &Graph, i: usize) -> Option<(ValueId, (f32, f32))> {
    let node = &graph.nodes[i];
    match node.op {
        Op::Unary(UnaryOp::Relu) => Some((node.inputs[0], Activation::Relu.range())),
        Op::Unary(UnaryOp::Clamp(lo, hi)) if lo <= hi => Some((node.inputs[0], (lo, hi))),
        Op::Binary { op: op @ (BinaryOp::Max | BinaryOp::Min), activation } => {
            let (_, x, constant) = rewrite::with_constant(graph, &node.inputs)?;
            let &[c] = constant.as_f32()? else { return None };
            if c.is_nan() || graph.value(x).shape != graph.value(node.outputs[0]).shape {
                return None;
            }
            let own = if op == BinaryOp::Max { (c, f32::INFINITY) } else { (f32::NEG_INFINITY, c) };
            Some((x, compose(own, activation.range())?.range()))
        }
        _ => None,
    }
}

/// The clamp that does the work of `first` and then `second`.
fn compose(first: (f32, f32), second: (f32, f32)) -> Option<Activation> {
    if !(first.0 <= first.1 && second.0 <= second.1) {
        return None;
    }
    Some(simplest((first.0.clamp(second.0, second.1), first.1.clamp(second.0, second.1))))
}

fn simplest((lo, hi): (f32, f32)) -> Activation {
    match (lo, hi) {
        (f32::NEG_INFINITY, f32::INFINITY) => Activation::None,
        (0.0, f32::INFINITY) => Activation::Relu,
        (lo, hi) => Activation::Clamp(lo, hi),
    }
}

fn unary(activation: Activation) -> Option<Op> {
    match activation {
        Activation::None => None,
        Activation::Relu => Some(Op::Unary(UnaryOp::Relu)),
        Activation::Clamp(lo, hi) => Some(Op::Unary(UnaryOp::Clamp(lo, hi))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::{Layout, Tensor};

    fn after_conv(g: &mut Graph) -> ValueId {
        let x = input(g, [1, 4, 4, 2]);
        let w = g.add_constant("w", noise(&[3, 2, 3, 3], 1));
        g.add_node("conv", "test", conv(Layout::Nhwc, 1), [x, w]).unwrap()
    }

    fn scalar(g: &mut Graph, v: f32) -> ValueId {
        g.add_constant("c", Tensor::f32([1, 1], vec![v]))
    }

    #[test]
    fn relu_and_relu6_from_all_spellings() {
        let mut g = Graph::default();
        let y = after_conv(&mut g);
        let zero = scalar(&mut g, 0.0);
        let six = scalar(&mut g, 6.0);
        let y = g.add_node("max", "test", binary(BinaryOp::Max), [zero, y]).unwrap();
        let y = g.add_node("min", "test", binary(BinaryOp::Min), [y, six]).unwrap();
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, fuse_activations), 2);
        let Op::Conv2d(p) = &g.nodes[0].op else { panic!() };
        assert_eq!(p.activation, Activation::Clamp(0.0, 6.0));
    }

    #[test]
    fn disjoint_clamps_become_the_constant_that_they_are() {
        assert_eq!(compose((0.0, 1.0), (2.0, 3.0)), Some(Activation::Clamp(2.0, 2.0)));
        assert_eq!(compose((-1.0, 9.0), (0.0, f32::INFINITY)), Some(Activation::Clamp(0.0, 9.0)));
        assert_eq!(compose((1.0, 0.0), (2.0, 3.0)), None);
    }

    #[test]
    fn into_dense_and_add_but_not_into_sigmoid() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 4]);
        let w = g.add_constant("w", noise(&[4, 4], 1));
        let y = g.add_node("dense", "test", Op::Dense { activation: Activation::None }, [x, w]).unwrap();
        let y = g.add_node("relu", "test", RELU, [y]).unwrap();
        let y = g.add_node("add", "test", ADD, [y, x]).unwrap();
        let y = g.add_node("clamp", "test", Op::Unary(UnaryOp::Clamp(-0.5, 0.5)), [y]).unwrap();
        let y = g.add_node("sigmoid", "test", Op::Unary(UnaryOp::Sigmoid), [y]).unwrap();
        let c = scalar(&mut g, 0.4);
        let y = g.add_node("max", "test", binary(BinaryOp::Max), [y, c]).unwrap();
        g.outputs = vec![y];
        // Two fusions, and a Maximum that becomes Clamp.
        assert_eq!(preserved(&mut g, fuse_activations), 3);
        assert_eq!(g.nodes.len(), 4);
        assert_eq!(g.nodes[1].op, Op::Binary { op: BinaryOp::Add, activation: Activation::Clamp(-0.5, 0.5) });
        assert_eq!(g.nodes[3].op, Op::Unary(UnaryOp::Clamp(0.4, f32::INFINITY)));
    }

    #[test]
    fn clamps_in_a_row_become_one() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 4]);
        let c = scalar(&mut g, 0.25);
        let y = g.add_node("max", "test", binary(BinaryOp::Max), [x, c]).unwrap();
        let y = g.add_node("clamp", "test", Op::Unary(UnaryOp::Clamp(-0.5, 0.5)), [y]).unwrap();
        g.outputs = vec![y];
        preserved(&mut g, fuse_activations);
        assert_eq!(g.nodes.len(), 1);
        assert_eq!(g.nodes[0].op, Op::Unary(UnaryOp::Clamp(0.25, 0.5)));
    }

    #[test]
    fn a_value_that_others_read_is_left_alone() {
        let mut g = Graph::default();
        let y = after_conv(&mut g);
        let z = g.add_node("relu", "test", RELU, [y]).unwrap();
        g.outputs = vec![z, y];
        assert_eq!(preserved(&mut g, fuse_activations), 0);
    }
}
