//! Explicit padding moves into the windows that read it.

use carafe_graph::{Activation, BinaryOp, Graph, Layout, Op, Pads, PoolKind, ReduceOp, UnaryOp, ValueId, shape};

use super::{
    PassError,
    rewrite::{self, Uses},
};

/// Folds a Pad of rows and columns into the Conv2d or Pool2d that reads it, where that is exact: zeros into a
/// convolution or an average, and into a maximum only if the input is never negative. Other padding stays.
pub fn fold_pads(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, uses| Ok(try_fold(graph, i, uses).is_some()))
}

fn try_fold(graph: &mut Graph, i: usize, uses: &Uses) -> Option<()> {
    let node = &graph.nodes[i];
    let pad_node = &graph.nodes[uses.producer(*node.inputs.first()?)?];
    let Op::Pad { begin, end, value } = &pad_node.op else { return None };
    let source = pad_node.inputs[0];
    let layout = match &node.op {
        Op::Conv2d(p) => p.layout,
        Op::Pool2d(p) => p.layout,
        _ => return None,
    };
    let extra = spatial(begin, end, layout)?;
    let folded = match node.op.clone() {
        Op::Conv2d(mut p) if *value == 0.0 => {
            p.pads = sum(p.pads, extra)?;
            Op::Conv2d(p)
        }
        Op::Pool2d(mut p) => {
            let (own, padded) = (p.pads, sum(p.pads, extra)?);
            p.kind = match p.kind {
                // An average that counts its own padding counts the explicit one alike.
                PoolKind::AverageIncludePad if *value == 0.0 => PoolKind::AverageIncludePad,
                PoolKind::AverageExcludePad if *value == 0.0 && own == Pads::default() => PoolKind::AverageIncludePad,
                PoolKind::Max if *value == f32::NEG_INFINITY => PoolKind::Max,
                PoolKind::Max if *value == 0.0 && is_never_negative(graph, uses, source, 0) => PoolKind::Max,
                _ => return None,
            };
            p.pads = padded;
            Op::Pool2d(p)
        }
        _ => return None,
    };
    let mut new = node.clone();
    new.op = folded;
    new.inputs[0] = source;
    // A window that would lie wholly in the padding is refused here.
    let shapes = shape::infer(graph, &new).ok()?;
    if shapes != [graph.value(new.outputs[0]).shape.clone()] {
        return None;
    }
    graph.nodes[i] = new;
    Some(())
}

/// The padding, if it is of rows and columns alone.
fn spatial(begin: &[usize], end: &[usize], layout: Layout) -> Option<Pads> {
    let (row, column) = if layout == Layout::Nchw { (2, 3) } else { (1, 2) };
    let others = (0..begin.len()).filter(|&a| a != row && a != column);
    if begin.len() != 4 || others.into_iter().any(|a| begin[a] != 0 || end[a] != 0) {
        return None;
    }
    Some(Pads { top: begin[row], bottom: end[row], left: begin[column], right: end[column] })
}

fn sum(a: Pads, b: Pads) -> Option<Pads> {
    Some(Pads {
        top: a.top.checked_add(b.top)?,
        left: a.left.checked_add(b.left)?,
        bottom: a.bottom.checked_add(b.bottom)?,
        right: a.right.checked_add(b.right)?,
    })
}

/// True if no element of `value` can be below zero. Looks back through at most 32 nodes in a row.
fn is_never_negative(graph: &Graph, uses: &Uses, value: ValueId, depth: usize) -> bool {
    if let Some(constant) = graph.constant(value) {
        return constant.as_f32().is_some_and(|d| d.iter().all(|&v| v >= 0.0));
    }
    let Some(producer) = uses.producer(value).filter(|_| depth < 32) else { return false };
    let node = &graph.nodes[producer];
    let from = |k: usize| is_never_negative(graph, uses, node.inputs[k], depth + 1);
    let clamped = |a: Activation| a.range().0 >= 0.0;
    match &node.op {
        Op::Conv2d(p) => clamped(p.activation),
        Op::Dense { activation } => clamped(*activation),
        Op::Binary { activation, .. } if clamped(*activation) => true,
        Op::Binary { op: BinaryOp::SquaredDifference, activation: Activation::None } => true,
        Op::Binary { op: BinaryOp::Add | BinaryOp::Mul, activation: Activation::None } => from(0) && from(1),
        Op::Binary { op: BinaryOp::Max, activation: Activation::None } => from(0) || from(1),
        Op::Unary(UnaryOp::Clamp(lo, hi)) => *lo >= 0.0 && *hi >= 0.0,
        Op::Unary(
            UnaryOp::Relu
            | UnaryOp::Sigmoid
            | UnaryOp::HardSigmoid { .. }
            | UnaryOp::SoftPlus
            | UnaryOp::Exp
            | UnaryOp::Abs,
        )
        | Op::Softmax { .. } => true,
        Op::Reduce { op: ReduceOp::Mean | ReduceOp::Sum, .. } | Op::Pool2d(_) | Op::History { .. } => from(0),
        Op::Pad { value, .. } => *value >= 0.0 && from(0),
        op if op.selects() => (0..node.inputs.len()).all(from),
        // Every result lies between the two limits of the output.
        Op::FakeQuantize { .. } => from(3) && from(4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::Pool2d;

    fn padded(pad: [usize; 4], value: f32, relu: bool, layout: Layout) -> (Graph, ValueId) {
        let mut g = Graph::default();
        let mut x = input(&mut g, [1, 4, 5, 4]);
        if relu {
            x = g.add_node("relu", "test", RELU, [x]).unwrap();
        }
        let [a, b, c, d] = pad;
        let (begin, end) = match layout {
            Layout::Nhwc => (vec![0, a, b, 0], vec![0, c, d, 0]),
            Layout::Nchw => (vec![0, 0, a, b], vec![0, 0, c, d]),
        };
        let p = g.add_node("pad", "test", Op::Pad { begin, end, value }, [x]).unwrap();
        (g, p)
    }

    fn pool(kind: PoolKind, pads: Pads) -> Op {
        Op::Pool2d(Pool2d { kind, kernel: [3, 3], strides: [2, 2], pads, layout: Layout::Nhwc })
    }

    #[test]
    fn zeros_fold_into_convolutions_of_both_layouts() {
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let (mut g, p) = padded([0, 1, 2, 1], 0.0, false, layout);
            let w = g.add_constant("w", noise(&[3, 4, 3, 3], 1));
            let y = g.add_node("y", "test", conv(layout, 1), [p, w]).unwrap();
            let z = g.add_node("z", "test", conv(layout, 1), [p, w]).unwrap();
            g.outputs = vec![y, z];
            assert_eq!(preserved(&mut g, fold_pads), 2);
            assert!(g.nodes[1..].iter().all(|n| n.inputs[0] == g.inputs[0]));
        }
    }

    #[test]
    fn pools_fold_only_where_that_is_exact() {
        let none = Pads::default();
        let one = Pads { top: 1, ..none };
        let minus = f32::NEG_INFINITY;
        for (kind, own, value, relu, expected) in [
            (PoolKind::Max, none, 0.0, true, Some(PoolKind::Max)),
            (PoolKind::Max, none, 0.0, false, None),
            (PoolKind::Max, none, 1.0, true, None),
            (PoolKind::Max, none, minus, false, Some(PoolKind::Max)),
            (PoolKind::AverageIncludePad, one, 0.0, false, Some(PoolKind::AverageIncludePad)),
            (PoolKind::AverageExcludePad, none, 0.0, false, Some(PoolKind::AverageIncludePad)),
            (PoolKind::AverageExcludePad, one, 0.0, false, None),
            (PoolKind::AverageIncludePad, none, 1.0, false, None),
        ] {
            let (mut g, p) = padded([1, 0, 0, 1], value, relu, Layout::Nhwc);
            let y = g.add_node("y", "test", pool(kind, own), [p]).unwrap();
            g.outputs = vec![y];
            let changes = preserved(&mut g, fold_pads);
            assert_eq!(changes, usize::from(expected.is_some()), "{kind:?} {own:?} {value} {relu}");
            if let Some(expected) = expected {
                let Op::Pool2d(p) = &g.nodes.last().unwrap().op else { panic!() };
                assert_eq!(p.kind, expected);
            }
        }
    }

    #[test]
    fn other_padding_stays() {
        // Other than zero into a convolution; more than a window into a pool; of channels.
        let (mut g, p) = padded([1, 1, 1, 1], 1.0, false, Layout::Nhwc);
        let w = g.add_constant("w", noise(&[3, 4, 3, 3], 1));
        let y = g.add_node("y", "test", conv(Layout::Nhwc, 1), [p, w]).unwrap();
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, fold_pads), 0);

        let (mut g, p) = padded([3, 0, 0, 0], 0.0, true, Layout::Nhwc);
        let y = g.add_node("y", "test", pool(PoolKind::Max, Pads::default()), [p]).unwrap();
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, fold_pads), 0);

        let (mut g, p) = padded([1, 0, 0, 0], 0.0, true, Layout::Nchw);
        let w = g.add_constant("w", noise(&[3, 4, 3, 3], 1));
        let y = g.add_node("y", "test", conv(Layout::Nhwc, 1), [p, w]).unwrap();
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, fold_pads), 1, "rows of NCHW are columns of NHWC");
        let (mut g, x) = padded([0, 1, 0, 0], 0.0, true, Layout::Nchw);
        let w = g.add_constant("w", noise(&[3, 5, 3, 3], 1));
        let y = g.add_node("y", "test", conv(Layout::Nhwc, 1), [x, w]).unwrap();
        g.outputs = vec![y];
        assert_eq!(preserved(&mut g, fold_pads), 0, "columns of NCHW are channels of NHWC");
    }
}
