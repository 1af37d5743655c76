use carafe_graph::{BinaryOp, Conv2d, Layout, Pads, Pool2d, PoolKind, Tensor, exec};

use super::*;
use crate::quantize::{Options, quantize};
use crate::report::Report;
use crate::types::QuantGraph;

fn input(g: &mut Graph, shape: &[usize]) -> ValueId {
    let x = g.add_value("x", shape);
    g.inputs.push(x);
    x
}

fn add(g: &mut Graph, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
    g.add_node(name, "test", op, inputs).unwrap()
}

/// A FakeQuantize with a range, or one per channel.
fn fake_quantize(g: &mut Graph, name: &str, x: ValueId, levels: u32, low: &[f32], high: &[f32]) -> ValueId {
    let low = g.add_constant("low", Tensor::f32([low.len()], low));
    let high = g.add_constant("high", Tensor::f32([high.len()], high));
    add(g, name, Op::FakeQuantize { levels }, &[x, low, high, low, high])
}

fn range(g: &mut Graph, name: &str, x: ValueId, low: f32, high: f32) -> ValueId {
    fake_quantize(g, name, x, 256, &[low], &[high])
}

/// 1×1, with weights that are integers of step 0.01.
fn conv(g: &mut Graph, name: &str, x: ValueId, groups: usize, activation: Activation) -> ValueId {
    let channels = *g.value(x).shape.last().unwrap();
    let shape = [channels, channels / groups, 1, 1];
    let n: usize = shape.iter().product();
    let data: Vec<f32> = (0..n).map(|i| 0.01 * ((i * 83 % 256) as f32 - 128.0)).collect();
    let w = g.add_stepped("w", Tensor::f32(shape, data), Some(Tensor::f32(shape, vec![0.01; n])));
    let p =
        Conv2d { strides: [1, 1], dilations: [1, 1], pads: Pads::default(), groups, layout: Layout::Nhwc, activation };
    add(g, name, Op::Conv2d(p), &[x, w])
}

fn quantized(g: &Graph) -> (QuantGraph, Report) {
    quantize(g, &[], &Options::default(), &|_| {}).unwrap_or_else(|e| panic!("{e}"))
}

fn kinds(q: &QuantGraph) -> Vec<&'static str> {
    q.graph.nodes.iter().map(|n| n.op.kind()).collect()
}

fn of_node<'q>(q: &'q QuantGraph, name: &str) -> &'q Quant {
    let node = q.graph.nodes.iter().find(|n| n.name == name).unwrap_or_else(|| panic!("no {name}"));
    q.activation(node.outputs[0]).unwrap()
}

#[test]
fn ranges_and_integers_are_kept_without_any_sample() {
    let mut g = Graph::default();
    let x = input(&mut g, &[1, 2, 2, 4]);
    let x = range(&mut g, "fx", x, -1.28, 1.27);
    let y = conv(&mut g, "y", x, 1, Activation::Relu);
    let y = range(&mut g, "fy", y, 0.0, 5.1);
    let z = conv(&mut g, "z", y, 1, Activation::None);
    g.outputs = vec![z];
    let (q, report) = quantized(&g);
    assert_eq!(kinds(&q), ["Conv2d", "Conv2d"]);
    assert_eq!(q.activation(q.graph.inputs[0]), Some(&Quant::per_tensor(0.01, 0)));
    assert_eq!((of_node(&q, "y").zero_point, of_node(&q, "y").scale()), (-128, 0.02));
    let sources: Vec<_> = report.layers.iter().map(|l| l.source).collect();
    assert_eq!(sources, [RangeSource::Given, RangeSource::Given, RangeSource::Derived]);
    for (id, w) in &q.weights {
        let float = q.graph.constant(*id).unwrap().as_f32().unwrap();
        let integers: Vec<i8> = float.iter().map(|x| (x / 0.01).round() as i8).collect();
        assert_eq!((&w.data, &w.scales), (&integers, &vec![0.01; 4]));
    }
    assert_eq!(q.weights.values().flat_map(|w| &w.data).min(), Some(&-128));
}

#[test]
fn a_scale_per_channel_goes_from_convolution_to_depthwise() {
    let mut g = Graph::default();
    let x = input(&mut g, &[1, 2, 2, 3]);
    let x = range(&mut g, "fx", x, -1.28, 1.27);
    let y = conv(&mut g, "y", x, 1, Activation::Clamp(0.0, 6.0));
    let y = fake_quantize(&mut g, "fy", y, 256, &[0.0; 3], &[2.55, 5.1, 12.75]);
    let p =
        Pool2d { kind: PoolKind::Max, kernel: [2, 2], strides: [1, 1], pads: Pads::default(), layout: Layout::Nhwc };
    let p = add(&mut g, "p", Op::Pool2d(p), &[y]);
    let z = conv(&mut g, "z", p, 3, Activation::None);
    let z = range(&mut g, "fz", z, -1.0, 1.0);
    g.outputs = vec![z];
    let (q, _) = quantized(&g);
    assert_eq!(kinds(&q), ["Conv2d", "MaxPool", "Conv2d"]);
    let scales = &of_node(&q, "y").scales;
    assert_eq!(&scales[..2], [0.01, 0.02]);
    // The clamp at 6 is 255 steps away in every channel, or beyond.
    assert_eq!(scales[2], 6.0 / 255.0);
    assert_eq!(of_node(&q, "p"), of_node(&q, "y"));
    let z = q.graph.nodes.iter().position(|n| n.name == "z").unwrap();
    assert_eq!(q.bias(carafe_graph::NodeId(z)), Some(vec![0; 3]));
}

#[test]
fn other_readers_and_makers_of_scales_per_channel_are_requantized() {
    let mut g = Graph::default();
    let x = input(&mut g, &[1, 2, 2, 3]);
    let x = fake_quantize(&mut g, "fx", x, 256, &[-1.28, -2.56, -0.64], &[1.27, 2.54, 0.635]);
    let sum = add(&mut g, "sum", Op::Binary { op: BinaryOp::Add, activation: Activation::Relu }, &[x, x]);
    let sum = fake_quantize(&mut g, "fs", sum, 256, &[0.0; 3], &[2.55, 5.1, 1.275]);
    let deep = conv(&mut g, "deep", sum, 3, Activation::Relu);
    let deep = fake_quantize(&mut g, "fd", deep, 256, &[0.0; 3], &[2.55, 5.1, 1.275]);
    let wide = conv(&mut g, "wide", deep, 1, Activation::None);
    let wide = range(&mut g, "fw", wide, -3.0, 3.0);
    g.outputs = vec![wide, deep];
    let (q, _) = quantized(&g);
    assert_eq!(kinds(&q), ["Clamp", "Clamp", "Add", "Clamp", "Conv2d", "Clamp", "Conv2d"]);
    for v in q.graph.inputs.iter().chain(&q.graph.outputs) {
        assert_eq!(q.activation(*v).unwrap().scales.len(), 1);
    }
    assert_eq!(q.graph.value(q.graph.outputs[1]).name, "fd");
    assert_eq!(of_node(&q, "deep").scales.len(), 3);
    assert_eq!(of_node(&q, "sum").scales, [5.1 / 255.0]);
}

#[test]
fn several_ranges_of_one_value() {
    let build = |second: (f32, f32)| {
        let mut g = Graph::default();
        let x = input(&mut g, &[1, 2, 2, 3]);
        let a = range(&mut g, "a", x, -1.28, 1.27);
        let b = range(&mut g, "b", x, second.0, second.1);
        let y = add(&mut g, "y", Op::Binary { op: BinaryOp::Add, activation: Activation::None }, &[a, b]);
        let y = range(&mut g, "fy", y, -1.28, 1.27);
        g.outputs = vec![y];
        quantized(&g)
    };
    let (q, _) = build((-1.28, 1.27));
    assert_eq!(kinds(&q), ["Add"], "equal ones are one");
    let (q, report) = build((-0.64, 0.635));
    assert_eq!(kinds(&q), ["Clamp", "Add"], "the narrower one is made of the wider");
    assert_eq!(q.activation(q.graph.inputs[0]), Some(&Quant::per_tensor(0.01, 0)));
    assert_eq!(of_node(&q, "b"), &Quant::per_tensor(0.005, 0));
    assert!(report.layers[0].hints.iter().any(|h| h.contains("several given ranges")));
    let (q, _) = build((-0.64, 2.0));
    assert_eq!(kinds(&q), ["Clamp", "Clamp", "Add"], "neither covers the other");
    assert_eq!(q.activation(q.graph.inputs[0]), Some(&Quant::from_range(-1.28, 2.0)));
}

#[test]
fn a_range_that_is_a_relu_is_not_forced_on_other_readers() {
    let mut g = Graph::default();
    let x = input(&mut g, &[1, 4]);
    let x = range(&mut g, "fx", x, -1.28, 1.27);
    let y = add(&mut g, "y", Op::Binary { op: BinaryOp::Add, activation: Activation::None }, &[x, x]);
    let positive = range(&mut g, "positive", y, 0.0, 2.55);
    let z = add(&mut g, "z", Op::Binary { op: BinaryOp::Sub, activation: Activation::None }, &[positive, y]);
    let z = range(&mut g, "fz", z, -2.55, 2.55);
    g.outputs = vec![z];
    let (q, _) = quantized(&g);
    assert_eq!(kinds(&q), ["Add", "Clamp", "Subtract"]);
    assert!(of_node(&q, "y").range().0 < -2.5);
    assert_eq!(of_node(&q, "positive").zero_point, -128);
    assert_eq!(q.graph.nodes[1].op, Op::Unary(UnaryOp::Clamp(0.0, 2.55)));
}

#[test]
fn tied_values_of_different_ranges_are_requantized() {
    let mut g = Graph::default();
    let x = input(&mut g, &[1, 1, 1, 4]);
    let a = range(&mut g, "a", x, -1.28, 1.27);
    let r = add(&mut g, "r", Op::Unary(UnaryOp::Relu), &[a]);
    let r = range(&mut g, "fr", r, 0.0, 1.274);
    let c = add(&mut g, "c", Op::Concat { axis: 3 }, &[a, r]);
    let f = add(&mut g, "f", Op::Reshape { shape: vec![1, 8] }, &[c]);
    let f = range(&mut g, "ff", f, -1.28, 1.27);
    g.outputs = vec![f];
    let (q, _) = quantized(&g);
    assert_eq!(kinds(&q), ["Relu", "Clamp", "Concat", "Reshape"]);
    assert_eq!(of_node(&q, "c"), &Quant::per_tensor(0.01, 0));
    assert_eq!(of_node(&q, "f"), of_node(&q, "c"));
}

#[test]
fn fewer_levels_are_kept_by_a_clamp() {
    let mut g = Graph::default();
    let x = input(&mut g, &[1, 2, 2, 3]);
    let x = fake_quantize(&mut g, "fx", x, 16, &[0.0], &[1.5]);
    let y = conv(&mut g, "y", x, 1, Activation::None);
    let y = fake_quantize(&mut g, "fy", y, 255, &[-1.27], &[1.27]);
    g.outputs = vec![y];
    let (q, _) = quantized(&g);
    // An input has no clamp of its own.
    assert_eq!(kinds(&q), ["Clamp", "Conv2d"]);
    assert_eq!(q.graph.nodes[0].op, Op::Unary(UnaryOp::Clamp(0.0, 1.5)));
    let Op::Conv2d(p) = &q.graph.nodes[1].op else { panic!() };
    assert_eq!(p.activation, Activation::Clamp(-1.27, 1.27));
}

#[test]
fn the_simulation_computes_what_the_fake_quantized_graph_does() {
    let mut g = Graph::default();
    let x = input(&mut g, &[1, 4, 4, 4]);
    let x = range(&mut g, "fx", x, -1.28, 1.27);
    let y = conv(&mut g, "y", x, 1, Activation::Clamp(0.0, 6.0));
    let y = fake_quantize(&mut g, "fy", y, 256, &[0.0; 4], &[1.0, 2.0, 3.0, 4.0]);
    let z = conv(&mut g, "z", y, 4, Activation::None);
    let z = range(&mut g, "fz", z, -2.56, 2.54);
    g.outputs = vec![z];
    let data: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32 - 32.0) / 25.0).collect();
    let sample = vec![Tensor::f32([1, 4, 4, 4], data)];
    let want = exec::run(&g, &sample).unwrap();
    let (q, _) = quantized(&g);
    let got = crate::Simulation::new(&q).run(&sample).unwrap();
    let (want, got) = (want[0].as_f32().unwrap(), got[0].as_f32().unwrap());
    let worst = want.iter().zip(got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
}

#[test]
fn values_without_a_range_are_observed_or_named() {
    let mut g = Graph { name: "net".into(), ..Graph::default() };
    let x = input(&mut g, &[1, 2, 2, 3]);
    let y = conv(&mut g, "y", x, 1, Activation::None);
    let z = range(&mut g, "fy", y, -1.28, 1.27);
    let z = conv(&mut g, "z", z, 1, Activation::None);
    let last = conv(&mut g, "last", z, 1, Activation::None);
    g.outputs = vec![last];
    let error = quantize(&g, &[], &Options::default(), &|_| {}).unwrap_err().to_string();
    assert!(error.contains("`net`") && error.contains("2 of its values (`x`, `last`)"), "{error}");
    let sample = vec![Tensor::f32([1, 2, 2, 3], vec![0.5; 12])];
    let (q, report) = quantize(&g, &[sample], &Options::default(), &|_| {}).unwrap();
    assert_eq!(of_node(&q, "y"), &Quant::per_tensor(0.01, 0));
    let sources: Vec<_> = report.layers.iter().map(|l| l.source).collect();
    use RangeSource::{Given, Observed};
    assert_eq!(sources, [Observed, Given, Observed, Observed]);
    // A range on an input alone is no quantized model.
    let mut g = Graph::default();
    let x = input(&mut g, &[1, 2, 2, 3]);
    let x = range(&mut g, "fx", x, -1.0, 1.0);
    let y = conv(&mut g, "y", x, 1, Activation::None);
    g.outputs = vec![y];
    assert!(matches!(quantize(&g, &[], &Options::default(), &|_| {}), Err(QuantError::NoSamples { .. })));
}

#[test]
fn what_cannot_be_kept_is_refused_by_name() {
    let refused = |low: Tensor, high: Tensor, out_high: f32| {
        let mut g = Graph::default();
        let x = input(&mut g, &[1, 2, 2, 3]);
        let (low, high) = (g.add_constant("low", low), g.add_constant("high", high));
        let out = g.add_constant("out", Tensor::f32([], vec![out_high]));
        let y = add(&mut g, "the node", Op::FakeQuantize { levels: 256 }, &[x, low, high, low, out]);
        g.outputs = vec![y];
        let text = quantize(&g, &[], &Options::default(), &|_| {}).unwrap_err().to_string();
        assert!(text.contains("`the node`") && text.contains("nncf"), "{text}");
        text
    };
    let one = |x: f32| Tensor::f32([], vec![x]);
    assert!(refused(one(0.0), one(1.0), 2.0).contains("equal input and output limits"));
    assert!(refused(one(1.0), one(0.0), 0.0).contains("lower one"));
    assert!(refused(one(0.0), Tensor::f32([1, 2, 1, 1], vec![1.0, 2.0]), 1.0).contains("other axes"));
}
