//! Small graphs in NHWC with random weights, and their way to the device's ops.

use carafe::blob::Cpu;
use carafe_converter::lower::{LowerError, Lowered, lower};
use carafe_graph::{
    Activation, BinaryOp, Conv2d, Graph, Layout, Op, Pads, Pool2d, PoolKind, ReduceOp, Tensor, UnaryOp, ValueId,
};
use carafe_quantizer::{Options, QuantGraph, quantize};

/// Numbers that depend on a seed alone.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        Tensor::f32(shape, (0..n).map(|_| self.real()).collect::<Vec<f32>>())
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// A graph under construction.
pub struct Model {
    pub graph: Graph,
    pub random: Random,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\n{}", carafe_converter::passes::dump(&self.graph))
    }
}

impl Model {
    pub fn new(seed: u64) -> Self {
        Self { graph: Graph { name: "small".into(), ..Graph::default() }, random: Random(seed) }
    }

    pub fn shape(&self, v: ValueId) -> Vec<usize> {
        self.graph.value(v).shape.clone()
    }

    pub fn input(&mut self, shape: &[usize]) -> ValueId {
        let v = self.graph.add_value(format!("input{}", self.graph.inputs.len()), shape);
        self.graph.inputs.push(v);
        v
    }

    pub fn output(&mut self, v: ValueId) {
        self.graph.outputs.push(v);
    }

    pub fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = format!("{}{}", op.kind(), self.graph.nodes.len());
        let origin = format!("test.{}", op.kind());
        self.graph.add_node(name, origin, op, inputs).unwrap_or_else(|e| panic!("{e}"))
    }

    fn constant(&mut self, shape: &[usize]) -> ValueId {
        let tensor = self.random.tensor(shape);
        self.graph.add_constant(format!("constant{}", self.graph.values.len()), tensor)
    }

    /// A convolution with random weights and bias; `groups` of 0: one per channel, with `channels` times as many
    /// channels in the result.
    pub fn conv(&mut self, x: ValueId, channels: usize, op: Conv2d, kernel: [usize; 2]) -> ValueId {
        let c = self.shape(x)[3];
        let (groups, channels) = if op.groups == 0 { (c, c * channels) } else { (1, channels) };
        let weights = self.constant(&[channels, c / groups, kernel[0], kernel[1]]);
        let bias = self.constant(&[channels]);
        self.node(Op::Conv2d(Conv2d { groups, ..op }), &[x, weights, bias])
    }

    /// 3×3, padding 1.
    pub fn conv3(&mut self, x: ValueId, channels: usize) -> ValueId {
        self.conv(x, channels, plain(1, 1), [3, 3])
    }

    pub fn pool(&mut self, x: ValueId, kind: PoolKind, kernel: usize, stride: usize, pad: usize) -> ValueId {
        let (kernel, strides) = ([kernel; 2], [stride; 2]);
        let pads = Pads { top: pad, left: pad, bottom: pad, right: pad };
        self.node(Op::Pool2d(Pool2d { kind, kernel, strides, pads, layout: Layout::Nhwc }), &[x])
    }

    pub fn add(&mut self, a: ValueId, b: ValueId, activation: Activation) -> ValueId {
        self.node(Op::Binary { op: BinaryOp::Add, activation }, &[a, b])
    }

    pub fn unary(&mut self, x: ValueId, op: UnaryOp) -> ValueId {
        self.node(Op::Unary(op), &[x])
    }

    pub fn mean(&mut self, x: ValueId, keep_dims: bool) -> ValueId {
        self.node(Op::Reduce { op: ReduceOp::Mean, axes: vec![1, 2], keep_dims }, &[x])
    }

    pub fn dense(&mut self, x: ValueId, channels: usize, activation: Activation) -> ValueId {
        let c = *self.shape(x).last().unwrap();
        let weights = self.constant(&[channels, c]);
        let bias = self.constant(&[channels]);
        self.node(Op::Dense { activation }, &[x, weights, bias])
    }

    pub fn concat(&mut self, parts: &[ValueId]) -> ValueId {
        let axis = self.shape(parts[0]).len() - 1;
        self.node(Op::Concat { axis }, parts)
    }

    pub fn upsample(&mut self, x: ValueId, [h, w]: [usize; 2]) -> ValueId {
        self.node(Op::Upsample { factors: vec![1, h, w, 1] }, &[x])
    }

    /// Rows, columns and channels from .. to.
    pub fn slice(&mut self, x: ValueId, [h, w, c]: [(usize, usize); 3]) -> ValueId {
        self.node(Op::Slice { begin: vec![0, h.0, w.0, c.0], end: vec![1, h.1, w.1, c.1] }, &[x])
    }

    pub fn reshape(&mut self, x: ValueId, shape: &[usize]) -> ValueId {
        self.node(Op::Reshape { shape: shape.to_vec() }, &[x])
    }

    /// Quantized on random samples, and lowered.
    pub fn lower(&mut self) -> (QuantGraph, Lowered) {
        self.try_lower().unwrap_or_else(|e| panic!("{e}"))
    }

    /// As [`Model::lower`]; the arithmetic may refuse what random numbers make of a graph.
    pub fn try_lower(&mut self) -> Result<(QuantGraph, Lowered), LowerError> {
        let shapes: Vec<Vec<usize>> = self.graph.inputs.iter().map(|&v| self.shape(v)).collect();
        let samples: Vec<Vec<Tensor>> =
            (0..3).map(|_| shapes.iter().map(|s| self.random.tensor(s)).collect()).collect();
        let mut options = Options::default();
        options.check_samples = 0;
        let (quant, _) = quantize(&self.graph, &samples, &options, &|_| {}).unwrap_or_else(|e| panic!("{e}"));
        let lowered = lower(&quant, None, Cpu::Portable)?;
        Ok((quant, lowered))
    }
}

/// A convolution without groups.
pub fn plain(stride: usize, pad: usize) -> Conv2d {
    Conv2d {
        strides: [stride; 2],
        dilations: [1, 1],
        pads: Pads { top: pad, left: pad, bottom: pad, right: pad },
        groups: 1,
        layout: Layout::Nhwc,
        activation: Activation::None,
    }
}
