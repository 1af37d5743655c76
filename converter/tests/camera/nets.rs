//! Small networks, and numbers that are made up.

use carafe_converter::dataset::Preprocess;
use carafe_graph::{Activation, BinaryOp, Conv2d, Graph, Layout, Op, Pads, Tensor, ValueId};

/// Numbers in −1..1, the same for the same seed.
pub fn noise(shape: &[usize], seed: u32) -> Tensor {
    let n: usize = shape.iter().product();
    let data: Vec<f32> = (0..n as u32).map(|i| f32::from(carafe::blob::golden_byte(seed, i)) / 127.5 - 1.0).collect();
    Tensor::f32(shape, data)
}

/// Bytes, the same for the same seed.
pub fn bytes(n: usize, seed: u32) -> Vec<u8> {
    (0..n as u32).map(|i| carafe::blob::golden_byte(seed.wrapping_mul(7919), i)).collect()
}

/// Bytes as the model's numbers, channels last.
pub fn normalized(shape: &[usize], bytes: &[u8], p: &Preprocess) -> Tensor {
    let channels = shape[shape.len() - 1];
    let number = |(i, &x): (usize, &u8)| {
        let (mean, scale) = p.normalization(i % channels);
        (f32::from(x) - mean) * scale.recip()
    };
    Tensor::f32(shape, bytes.iter().enumerate().map(number).collect::<Vec<_>>())
}

/// A graph with one input.
pub fn graph(shape: &[usize]) -> (Graph, ValueId) {
    let mut g = Graph { name: "net".into(), ..Graph::default() };
    let x = g.add_value("x", shape);
    g.inputs = vec![x];
    (g, x)
}

/// A convolution with a 3×3 kernel.
pub fn conv(g: &mut Graph, x: ValueId, outputs: usize, groups: usize, pad: usize, seed: u32) -> ValueId {
    let channels = g.value(x).shape[3];
    let w = g.add_constant(format!("w{seed}"), noise(&[outputs, channels / groups, 3, 3], seed));
    let b = g.add_constant(format!("b{seed}"), noise(&[outputs], seed + 1));
    let pads = Pads { top: pad, left: pad, bottom: pad, right: pad };
    let op =
        Conv2d { strides: [1, 1], dilations: [1, 1], pads, groups, layout: Layout::Nhwc, activation: Activation::None };
    g.add_node(format!("conv{seed}"), "test", Op::Conv2d(op), [x, w, b]).unwrap()
}

/// A dense layer.
pub fn dense(g: &mut Graph, x: ValueId, outputs: usize, seed: u32) -> ValueId {
    let channels = *g.value(x).shape.last().unwrap();
    let w = g.add_constant(format!("w{seed}"), noise(&[outputs, channels], seed));
    g.add_node(format!("dense{seed}"), "test", Op::Dense { activation: Activation::None }, [x, w]).unwrap()
}

/// A sum, difference, product or quotient with a constant.
pub fn binary(g: &mut Graph, op: BinaryOp, x: ValueId, constant: Tensor) -> ValueId {
    let c = g.add_constant("c", constant);
    let name = format!("binary{}", g.nodes.len());
    g.add_node(name, "test", Op::Binary { op, activation: Activation::None }, [x, c]).unwrap()
}

/// `mean` and `scale`, nothing else.
pub fn preprocess(mean: &[f32], scale: &[f32]) -> Preprocess {
    Preprocess { mean: mean.to_vec(), scale: scale.to_vec(), ..Preprocess::default() }
}
