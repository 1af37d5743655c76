//! Small networks built by hand, and samples for them.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use carafe_graph::{
    Activation, BinaryOp, Conv2d, Graph, Layout, Op, Pads, Pool2d, PoolKind, ReduceOp, Tensor, ValueId,
};

/// Numbers in −1..1 from a fixed seed (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let x = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
        x as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn tensor(&mut self, shape: &[usize], scale: f32) -> Tensor {
        let data: Vec<f32> = (0..shape.iter().product()).map(|_| scale * self.next()).collect();
        Tensor::f32(shape, data)
    }
}

pub fn node(graph: &mut Graph, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
    graph.add_node(name, "test", op, inputs).expect("a node that fits")
}

pub fn conv(groups: usize, pad: usize, activation: Activation) -> Op {
    let pads = Pads { top: pad, left: pad, bottom: pad, right: pad };
    Op::Conv2d(Conv2d { strides: [1, 1], dilations: [1, 1], pads, groups, layout: Layout::Nhwc, activation })
}

pub fn add(activation: Activation) -> Op {
    Op::Binary { op: BinaryOp::Add, activation }
}

/// Convolution, depthwise, pooling, residual addition, mean, dense, softmax.
pub fn small_net() -> Graph {
    let mut r = Random::new(1);
    let mut g = Graph { name: "small".into(), ..Graph::default() };
    let x = g.add_value("image", [1, 8, 8, 3]);
    g.inputs.push(x);
    let mut parameters = |g: &mut Graph, name: &str, shape: &[usize]| {
        let fan_in: usize = shape[1..].iter().product();
        let w = g.add_constant(format!("{name}.weight"), r.tensor(shape, (3.0 / fan_in as f32).sqrt()));
        let b = g.add_constant(format!("{name}.bias"), r.tensor(&shape[..1], 0.2));
        [w, b]
    };
    let [w, b] = parameters(&mut g, "stem", &[8, 3, 3, 3]);
    let stem = node(&mut g, "stem", conv(1, 1, Activation::Relu), &[x, w, b]);
    let [w, b] = parameters(&mut g, "depthwise", &[8, 1, 3, 3]);
    let depthwise = node(&mut g, "depthwise", conv(8, 1, Activation::Clamp(0.0, 6.0)), &[stem, w, b]);
    let [w, b] = parameters(&mut g, "pointwise", &[8, 8, 1, 1]);
    let pointwise = node(&mut g, "pointwise", conv(1, 0, Activation::None), &[depthwise, w, b]);
    let sum = node(&mut g, "residual", add(Activation::Relu), &[pointwise, stem]);
    let pool =
        Pool2d { kind: PoolKind::Max, kernel: [2, 2], strides: [2, 2], pads: Pads::default(), layout: Layout::Nhwc };
    let pooled = node(&mut g, "pool", Op::Pool2d(pool), &[sum]);
    let mean = Op::Reduce { op: ReduceOp::Mean, axes: vec![1, 2], keep_dims: true };
    let mean = node(&mut g, "mean", mean, &[pooled]);
    let flat = node(&mut g, "flatten", Op::Reshape { shape: vec![1, 8] }, &[mean]);
    let [w, b] = parameters(&mut g, "classifier", &[5, 8]);
    let logits = node(&mut g, "classifier", Op::Dense { activation: Activation::None }, &[flat, w, b]);
    let probabilities = node(&mut g, "softmax", Op::Softmax { axis: 1 }, &[logits]);
    g.outputs.push(probabilities);
    g
}

/// `n` samples for a graph, uniform in −1..1 with a brightness of their own.
pub fn samples(graph: &Graph, n: usize, seed: u64) -> Vec<Vec<Tensor>> {
    let mut r = Random::new(seed);
    let mut sample = || {
        let gain = 0.5 + 0.5 * r.next().abs();
        graph.inputs.iter().map(|v| r.tensor(&graph.value(*v).shape, gain)).collect()
    };
    (0..n).map(|_| sample()).collect()
}

/// The value that the node called `name` makes.
pub fn made(graph: &Graph, name: &str) -> ValueId {
    graph.nodes.iter().find(|n| n.name == name).expect("the node exists").outputs[0]
}
