//! What the tests of several passes need.

use carafe_graph::{Activation, BinaryOp, Conv2d, Graph, Layout, Op, Pads, Tensor, UnaryOp, ValueId, exec};

use super::PassError;

pub(super) const RELU: Op = Op::Unary(UnaryOp::Relu);
pub(super) const ADD: Op = binary(BinaryOp::Add);

pub(super) const fn binary(op: BinaryOp) -> Op {
    Op::Binary { op, activation: Activation::None }
}

/// 3×3, stride 1, padding 1.
pub(super) fn conv(layout: Layout, groups: usize) -> Op {
    let pads = Pads { top: 1, left: 1, bottom: 1, right: 1 };
    Op::Conv2d(Conv2d { strides: [1, 1], dilations: [1, 1], pads, groups, layout, activation: Activation::None })
}

/// Adds an input of the graph named `x`.
pub(super) fn input(graph: &mut Graph, shape: impl Into<Vec<usize>>) -> ValueId {
    let x = graph.add_value("x", shape);
    graph.inputs.push(x);
    x
}

/// Numbers in -1..1 without a pattern that a wrong index could hit by chance.
pub(super) fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    let data: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::f32(shape, data)
}

pub(super) fn noise_for(graph: &Graph, seed: u64) -> Vec<Tensor> {
    graph.inputs.iter().enumerate().map(|(i, v)| noise(&graph.value(*v).shape, seed ^ ((i as u64 + 1) << 32))).collect()
}

/// The largest difference, relative to the largest element of `b`; infinite if shapes differ.
pub(super) fn distance(a: &Tensor, b: &Tensor) -> f32 {
    if a.shape != b.shape {
        return f32::INFINITY;
    }
    let (a, b) = (a.as_f32().unwrap(), b.as_f32().unwrap());
    let scale = b.iter().fold(0.0f32, |m, v| m.max(v.abs())).max(1e-3);
    let difference = |(a, b): (&f32, &f32)| (a - b).abs() / scale;
    a.iter().zip(b).map(difference).fold(0.0, |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) })
}

/// Runs a pass, and proves that the graph stays consistent and computes the same. Returns the number of changes.
pub(super) fn preserved(graph: &mut Graph, pass: fn(&mut Graph) -> Result<usize, PassError>) -> usize {
    graph.check().unwrap();
    let inputs = noise_for(graph, 7);
    let before = exec::run(graph, &inputs).unwrap();
    let old = graph.clone();
    let changes = pass(graph).unwrap();
    graph.check().unwrap();
    assert_eq!(changes == 0, *graph == old, "a pass reports just what it does");
    let after = exec::run(graph, &inputs).unwrap();
    for (a, b) in after.iter().zip(&before) {
        assert!(distance(a, b) < 1e-4, "{a:?}\n{b:?}");
    }
    changes
}
