//! Errors, and graphs that need more than the plain rules.

mod common;

use std::error::Error;

use carafe_graph::{Activation, Graph, Op, Tensor, UnaryOp};
use carafe_quantizer::{
    BiasCorrection, ObserverKind, Options, Progress, Quant, QuantError, QuantGraph, RangeSource, Report, Simulation,
};
use common::{Random, add, made, node, samples, small_net};

fn quantize(graph: &Graph, samples: &[Vec<Tensor>]) -> Result<(QuantGraph, Report), QuantError> {
    // The rules themselves, without choices that depend on what is measured.
    let mut options = Options::default();
    (options.observer, options.bias_correction) = (ObserverKind::MinMax, BiasCorrection::Off);
    carafe_quantizer::quantize(graph, samples, &options, &|_: Progress| {})
}

fn message(graph: &Graph, samples: &[Vec<Tensor>]) -> String {
    let error = quantize(graph, samples).unwrap_err();
    let source = error.source().map(|s| format!(": {s}")).unwrap_or_default();
    format!("{error}{source}")
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
}

#[test]
fn bad_samples_are_named() {
    let graph = small_net();
    assert_says(&message(&graph, &[]), &["`small`", "no calibration samples", "--calibration"]);
    let mut s = samples(&graph, 3, 1);
    s[2] = vec![];
    assert_says(&message(&graph, &s), &["sample 2 has 0 tensors", "1 inputs", "`image`"]);
    s[2] = vec![Tensor::f32([1, 3, 8, 8], vec![0.0; 192])];
    assert_says(&message(&graph, &s), &["sample 2", "`image`", "[1, 8, 8, 3]", "[1, 3, 8, 8]"]);
    s[2] = vec![Tensor::i64([1, 8, 8, 3], vec![0; 192])];
    assert_says(&message(&graph, &s), &["sample 2", "`image`", "integers"]);
    let mut data = vec![0.0; 192];
    data[7] = f32::NAN;
    s[1] = vec![Tensor::f32([1, 8, 8, 3], data)];
    assert_says(&message(&graph, &s), &["sample 1", "`image`", "NaN", "element 7"]);
}

#[test]
fn bad_weights_are_named() {
    let mut graph = small_net();
    let w = graph.nodes.iter().find(|n| n.name == "pointwise").unwrap().inputs[1];
    let mut data = vec![1.0; 64];
    data[5] = f32::INFINITY;
    graph.values[w.0].constant = Some(Tensor::f32([8, 8, 1, 1], data));
    assert_says(&message(&graph, &samples(&graph, 1, 1)), &["`pointwise.weight`", "`pointwise`", "inf", "element 5"]);
}

#[test]
fn computed_weights_are_refused() {
    let mut g = Graph::default();
    let x = g.add_value("x", [1, 4]);
    let w = g.add_value("w", [2, 4]);
    g.inputs = vec![x, w];
    let y = node(&mut g, "dense", Op::Dense { activation: Activation::None }, &[x, w]);
    g.outputs.push(y);
    assert_says(&message(&g, &samples(&g, 1, 1)), &["Dense `dense`", "`w`", "constant"]);
}

#[test]
fn overflow_in_the_float_model_is_named() {
    let mut g = Graph::default();
    let x = g.add_value("x", [1, 4]);
    g.inputs.push(x);
    let y = node(&mut g, "exp", Op::Unary(UnaryOp::Exp), &[x]);
    let y = node(&mut g, "clamp", Op::Unary(UnaryOp::Clamp(0.0, 1.0)), &[y]);
    g.outputs.push(y);
    let mut s = samples(&g, 30, 1);
    for i in [11, 23] {
        s[i] = vec![Tensor::f32([1, 4], vec![0.0, 0.0, 1000.0, 0.0])];
    }
    assert_says(&message(&g, &s), &["Exp `exp`", "made inf", "element 2", "sample 11"]);
}

#[test]
fn an_inconsistent_graph_is_an_error() {
    let mut graph = small_net();
    let s = samples(&graph, 1, 1);
    graph.nodes.swap(0, 1);
    assert_says(&message(&graph, &s), &["`depthwise`", "not defined"]);
}

#[test]
fn softmax_meets_boxes() {
    let mut g = Graph::default();
    let x = g.add_value("x", [1, 6]);
    g.inputs.push(x);
    let big = g.add_constant("gain", Tensor::f32([1, 6], vec![40.0; 6]));
    let boxes = node(&mut g, "boxes", add(Activation::None), &[x, big]);
    let scores = node(&mut g, "scores", Op::Softmax { axis: 1 }, &[x]);
    let joined = node(&mut g, "joined", Op::Concat { axis: 1 }, &[boxes, scores]);
    g.outputs = vec![joined, scores];
    let (q, report) = quantize(&g, &samples(&g, 20, 1)).unwrap();
    q.graph.check().unwrap();
    assert_eq!(q.activation(scores), Some(&Quant::per_tensor(1.0 / 256.0, -128)));
    assert_eq!(q.activation(joined), q.activation(boxes));
    assert_eq!(q.activation(made(&q.graph, "joined/requantize.1")), q.activation(boxes));
    // A constant that is added is an activation too.
    assert_eq!(q.activation(big), Some(&Quant::from_range(0.0, 40.0)));
    assert_eq!(report.outputs.len(), 2);
    assert!(report.outputs[0].sqnr_db > 40.0 && report.outputs[0].logit_sqnr_db.is_none(), "{:?}", report.outputs);
    assert!(report.outputs[1].logit_sqnr_db.is_some());
}

#[test]
fn layers_may_share_weights() {
    let mut g = Graph::default();
    let mut r = Random::new(5);
    let x = g.add_value("x", [1, 4]);
    let y = g.add_value("y", [1, 4]);
    g.inputs = vec![x, y];
    let w = g.add_constant("w", r.tensor(&[4, 4], 1.0));
    let b = g.add_constant("b", Tensor::f32([4], vec![0.0, 1.0, 2.0, 3000.0]));
    let first = node(&mut g, "first", Op::Dense { activation: Activation::None }, &[x, w]);
    let second = node(&mut g, "second", Op::Dense { activation: Activation::None }, &[y, w, b]);
    g.outputs = vec![first, second];
    let mut s = samples(&g, 20, 1);
    for sample in &mut s {
        sample[1] = r.tensor(&[1, 4], 1e-6);
    }
    let (q, report) = quantize(&g, &s).unwrap();
    assert_eq!(q.weights.len(), 1);
    let index = |name: &str| carafe_graph::NodeId(q.graph.nodes.iter().position(|n| n.name == name).unwrap());
    assert_eq!(q.bias(index("first")), Some(vec![0; 4]));
    let bias = q.bias(index("second")).unwrap();
    assert!(bias[3] <= 1 << 30 && bias[3] > 0, "{bias:?}");
    assert!(report.outputs[1].sqnr_db > 40.0);
    let second = report.layers.iter().find(|l| l.name == "second").unwrap();
    assert!(second.hints.iter().any(|h| h.contains("too small to matter")), "{second:?}");
}

#[test]
fn hints_name_outliers_ties_and_dead_layers() {
    let mut g = Graph::default();
    let x = g.add_value("x", [1, 3000]);
    let y = g.add_value("y", [1, 3000]);
    g.inputs = vec![x, y];
    let below = g.add_constant("below", Tensor::f32([1], vec![-1e4]));
    let dead = node(&mut g, "dead", add(Activation::Relu), &[y, below]);
    let narrow = node(&mut g, "narrow", Op::Unary(UnaryOp::Tanh), &[y]);
    let joined = node(&mut g, "joined", Op::Concat { axis: 1 }, &[x, narrow]);
    g.outputs = vec![dead, joined];
    let mut s = samples(&g, 8, 1);
    for sample in &mut s {
        let mut data = sample[0].as_f32().unwrap().to_vec();
        data[17] = 100.0;
        sample[0] = Tensor::f32([1, 3000], data);
    }
    let (q, report) = quantize(&g, &s).unwrap();
    let hint = |name: &str, text: &str| {
        let layer = report.layers.iter().find(|l| l.name == name).unwrap();
        assert!(layer.hints.iter().any(|h| h.contains(text)), "{layer:?}");
    };
    hint("x", "outliers");
    hint("narrow", "shares its scale");
    hint("dead", "was 0 on all samples");
    assert_eq!(report.layers.iter().find(|l| l.name == "dead").unwrap().source, RangeSource::Dead);
    assert_eq!(q.activation(narrow), q.activation(x), "a tied Tanh gives up its fixed scale");
}

#[test]
fn padding_with_a_wide_value_widens_the_tie() {
    let mut g = Graph::default();
    let x = g.add_value("x", [1, 4]);
    g.inputs.push(x);
    let pad = Op::Pad { begin: vec![0, 1], end: vec![0, 0], value: -8.0 };
    let y = node(&mut g, "pad", pad, &[x]);
    g.outputs.push(y);
    let (q, _) = quantize(&g, &samples(&g, 8, 1)).unwrap();
    assert_eq!(q.activation(x), q.activation(y));
    let out = Simulation::new(&q).run(&samples(&g, 1, 2)[0]).unwrap();
    assert!((out[0].as_f32().unwrap()[0] + 8.0).abs() < 0.02);
}
