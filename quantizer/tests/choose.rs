//! Choices by measurement: ranges and biases.

mod common;

use std::sync::Mutex;

use carafe_graph::{Activation, Graph, Op, ReduceOp, Tensor, exec};
use carafe_quantizer::{
    BiasCorrection, ObserverKind, Options, Phase, Progress, QuantGraph, Report, Simulation, quantize,
};
use common::{Random, node, samples, small_net};

fn run(graph: &Graph, samples: &[Vec<Tensor>], observer: ObserverKind, bias: BiasCorrection) -> (QuantGraph, Report) {
    let mut options = Options::default();
    (options.observer, options.bias_correction) = (observer, bias);
    quantize(graph, samples, &options, &|_| {}).unwrap()
}

/// Signal to noise of the outputs on samples, in dB.
fn sqnr(graph: &Graph, quantized: &QuantGraph, samples: &[Vec<Tensor>]) -> f64 {
    let simulation = Simulation::new(quantized);
    let (mut signal, mut noise) = (0.0, 0.0);
    for sample in samples {
        let (want, got) = (exec::run(graph, sample).unwrap(), simulation.run(sample).unwrap());
        for (w, g) in want[0].as_f32().unwrap().iter().zip(got[0].as_f32().unwrap()) {
            signal += f64::from(*w).powi(2);
            noise += f64::from(w - g).powi(2);
        }
    }
    10.0 * (signal / noise).log10()
}

const WIDE: usize = 1 << 16;
/// The element that is an outlier.
const ODD: usize = 17;

/// Many elements within ±1 and one at ±1.3. The output depends on that one alone, or on all others.
fn outlier(matters: bool) -> (Graph, impl Fn(usize, u64) -> Vec<Vec<Tensor>>) {
    let mut r = Random::new(3);
    let mut g = Graph { name: "outlier".into(), ..Graph::default() };
    let x = g.add_value("x", [1, WIDE]);
    g.inputs.push(x);
    let weight = |i: usize, r: &mut Random| match (i % WIDE == ODD, matters) {
        (true, true) => 1.0,
        (false, false) => r.next(),
        _ => 0.0,
    };
    let weights: Vec<f32> = (0..2 * WIDE).map(|i| weight(i, &mut r)).collect();
    let w = g.add_constant("w", Tensor::f32([2, WIDE], weights));
    let y = node(&mut g, "dense", Op::Dense { activation: Activation::None }, &[x, w]);
    g.outputs.push(y);
    let graph = g.clone();
    let make = move |n: usize, seed: u64| {
        let mut s = samples(&graph, n, seed);
        for (i, sample) in s.iter_mut().enumerate() {
            let mut data = sample[0].as_f32().unwrap().to_vec();
            data[ODD] = [1.3, -1.3, 1.25, -1.2][i % 4];
            sample[0] = Tensor::f32([1, WIDE], data);
        }
        s
    };
    (g, make)
}

#[test]
fn outliers_that_do_not_matter_are_cut_off() {
    let (graph, make) = outlier(false);
    // Two outputs a sample are few numbers: it takes samples to tell the gain from chance.
    let calibration = make(64, 1);
    let (all, _) = run(&graph, &calibration, ObserverKind::MinMax, BiasCorrection::Off);
    let (auto, report) = run(&graph, &calibration, ObserverKind::Auto, BiasCorrection::Off);
    let decision = report.ranges.as_ref().unwrap();
    assert!(decision.applied && decision.changed == 1 && decision.with_db > decision.without_db, "{decision:?}");
    let choice = report.layers[0].choice.as_ref().unwrap();
    assert_ne!(choice.observer, "minmax", "{choice:?}");
    assert!(choice.why.contains("alone quantized"), "{choice:?}");
    let chosen = choice.candidates.iter().find(|c| c.observer == choice.observer).unwrap();
    assert!(chosen.max < 1.2 && chosen.output_sqnr_db > choice.candidates[0].output_sqnr_db, "{choice:?}");
    let unseen = make(64, 2);
    let (minmax, measured) = (sqnr(&graph, &all, &unseen), sqnr(&graph, &auto, &unseen));
    assert!(measured > minmax - 0.1, "{measured} dB, {minmax} dB with minmax");
}

#[test]
fn outliers_that_matter_stay_whatever_the_tensor_gains() {
    let (graph, make) = outlier(true);
    let calibration = make(16, 1);
    let (mse, _) = run(&graph, &calibration, ObserverKind::Mse, BiasCorrection::Off);
    let (auto, report) = run(&graph, &calibration, ObserverKind::Auto, BiasCorrection::Off);
    let choice = report.layers[0].choice.as_ref().unwrap();
    let of = |name: &str| choice.candidates.iter().find(|c| c.observer == name).unwrap();
    assert!(of("mse").tensor_sqnr_db > of("minmax").tensor_sqnr_db + 1.0, "the tensor gains: {choice:?}");
    assert!(of("mse").output_sqnr_db < of("minmax").output_sqnr_db, "the output loses: {choice:?}");
    assert_eq!(choice.observer, "minmax");
    assert!(choice.why.contains("not clearly better"), "{choice:?}");
    assert!(!report.ranges.unwrap().applied);
    let unseen = make(16, 2);
    assert!(sqnr(&graph, &auto, &unseen) > sqnr(&graph, &mse, &unseen) + 10.0);
}

#[test]
fn every_observer_quantizes_and_is_named() {
    let graph = small_net();
    let (calibration, unseen) = (samples(&graph, 40, 7), samples(&graph, 40, 8));
    let mut db = vec![];
    for name in ["minmax", "percentile:99.99", "mse", "entropy", "auto"] {
        let (q, report) = run(&graph, &calibration, name.parse().unwrap(), BiasCorrection::Off);
        assert_eq!(report.observer, name);
        assert_eq!(report.ranges.is_some(), name == "auto");
        for l in &report.layers {
            assert_eq!(l.choice.is_some(), name == "auto" && l.kind != "Softmax", "{l:?}");
        }
        db.push(sqnr(&graph, &q, &unseen));
        assert!(db[db.len() - 1] > 25.0, "{name}: {db:?}");
    }
    assert!(db[4] > db[0] - 0.3, "auto falls behind minmax: {db:?}");
}

#[test]
fn outputs_keep_their_whole_range() {
    let graph = small_net();
    let (_, report) = run(&graph, &samples(&graph, 40, 7), ObserverKind::Auto, BiasCorrection::Off);
    let layer = report.layers.iter().find(|l| l.name == "classifier").unwrap();
    let choice = layer.choice.as_ref().unwrap();
    assert_eq!(choice.observer, "minmax");
    assert!(choice.why.contains("largest numbers decide"), "{choice:?}");
}

/// A layer whose inputs hardly vary, so that the rounding errors of its weights make a constant error.
fn steady() -> (Graph, impl Fn(usize, u64) -> Vec<Vec<Tensor>>) {
    let mut r = Random::new(9);
    let mut g = Graph { name: "steady".into(), ..Graph::default() };
    let x = g.add_value("x", [1, 4, 4, 64]);
    g.inputs.push(x);
    let w = g.add_constant("w", r.tensor(&[8, 64, 1, 1], 1.0));
    let y = node(&mut g, "conv", common::conv(1, 0, Activation::Relu), &[x, w]);
    let mean = Op::Reduce { op: ReduceOp::Mean, axes: vec![1, 2], keep_dims: false };
    let z = node(&mut g, "mean", mean, &[y]);
    g.outputs.push(z);
    let graph = g.clone();
    let make = move |n: usize, seed: u64| {
        let mut s = samples(&graph, n, seed);
        for sample in &mut s {
            let data: Vec<f32> = sample[0].as_f32().unwrap().iter().map(|x| 1.0 + 0.2 * x).collect();
            sample[0] = Tensor::f32([1, 4, 4, 64], data);
        }
        s
    };
    (g, make)
}

#[test]
fn constant_errors_go_into_the_bias() {
    let (graph, make) = steady();
    let (calibration, unseen) = (make(32, 1), make(32, 2));
    let with = |how| run(&graph, &calibration, ObserverKind::MinMax, how);
    let (off, report) = with(BiasCorrection::Off);
    assert!(!report.bias_correction.applied && report.bias_correction.why == "switched off");
    assert_eq!(off.graph, graph);
    let (auto, report) = with(BiasCorrection::Auto);
    let decision = &report.bias_correction;
    assert!(decision.applied && decision.changed == 1, "{decision:?}");
    assert!(decision.with_db.unwrap() > decision.without_db.unwrap() + 1.0, "{decision:?}");
    let (before, after) = (sqnr(&graph, &off, &unseen), sqnr(&graph, &auto, &unseen));
    assert!(after > before + 1.0, "{after} dB, {before} dB without");
    // The layer had no bias; now it has, and the integers follow it.
    auto.graph.check().unwrap();
    assert!(auto.bias(carafe_graph::NodeId(0)).unwrap().iter().any(|b| *b != 0));
    let (on, report) = with(BiasCorrection::On);
    assert!(report.bias_correction.applied && report.bias_correction.why == "asked for");
    assert_eq!(on, auto);
}

#[test]
fn a_model_without_layers_has_nothing_to_correct() {
    let mut g = Graph::default();
    let x = g.add_value("x", [1, 4]);
    g.inputs.push(x);
    let y = node(&mut g, "relu", Op::Unary(carafe_graph::UnaryOp::Relu), &[x]);
    g.outputs.push(y);
    let (_, report) = run(&g, &samples(&g, 1, 1), ObserverKind::Auto, BiasCorrection::On);
    assert!(!report.bias_correction.applied && report.bias_correction.changed == 0);
    assert!(!report.ranges.unwrap().applied);
}

#[test]
fn progress_of_choices_counts_to_its_end() {
    let graph = small_net();
    let seen = Mutex::new(vec![]);
    let all = samples(&graph, 10, 3);
    let mut options = Options::default();
    (options.observer, options.bias_correction) = (ObserverKind::Auto, BiasCorrection::Auto);
    quantize(&graph, &all, &options, &|p: Progress| seen.lock().unwrap().push(p)).unwrap();
    let seen = seen.into_inner().unwrap();
    for phase in [Phase::Choose, Phase::Correct] {
        let of: Vec<&Progress> = seen.iter().filter(|p| p.phase == phase).collect();
        let total = of[0].total;
        assert!(total >= 20 && of.iter().all(|p| p.total == total), "{of:?}");
        assert!(of.iter().any(|p| p.done == total), "{of:?}");
    }
    let names: Vec<&str> = seen.iter().map(|p| p.phase.name()).collect();
    let mut order = names.clone();
    order.dedup();
    assert_eq!(order, ["observe", "choose", "correct", "quantize", "check"]);
}
