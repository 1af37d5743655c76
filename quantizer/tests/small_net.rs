//! A small network from float to report.

mod common;

use std::sync::Mutex;

use carafe_graph::{Tensor, ValueId, exec};
use carafe_quantizer::{
    BiasCorrection, ObserverKind, Options, Phase, Progress, Quant, RangeSource, Simulation, quantize,
};
use common::{made, samples, small_net};

fn silent(_: Progress) {}

#[test]
fn stays_close_to_float() {
    let graph = small_net();
    let (q, report) = quantize(&graph, &samples(&graph, 50, 7), &Options::default(), &silent).unwrap();
    assert_eq!((report.samples, report.checked_samples, report.observer.as_str()), (50, 32, "auto"));
    let logits = report.outputs[0].logit_sqnr_db.unwrap();
    assert!(logits > 20.0, "logits {logits} dB");
    assert!(report.outputs[0].sqnr_db > 30.0, "{:?}", report.outputs);

    // On inputs that calibration has not seen.
    let simulation = Simulation::new(&q);
    let mut same = 0;
    for sample in samples(&graph, 200, 8) {
        let top = |t: &Tensor| {
            let d = t.as_f32().unwrap();
            (0..d.len()).max_by(|a, b| d[*a].total_cmp(&d[*b])).unwrap()
        };
        let float = exec::run(&graph, &sample).unwrap();
        same += usize::from(top(&float[0]) == top(&simulation.run(&sample).unwrap()[0]));
    }
    assert!(same >= 190, "same class {same} of 200");
}

#[test]
fn parameters_follow_the_rules() {
    let graph = small_net();
    let mut options = Options::default();
    (options.observer, options.bias_correction) = (ObserverKind::MinMax, BiasCorrection::Off);
    let (q, report) = quantize(&graph, &samples(&graph, 20, 7), &options, &silent).unwrap();
    let of = |name: &str| q.activation(made(&q.graph, name)).unwrap().clone();
    assert_eq!(of("softmax"), Quant::per_tensor(1.0 / 256.0, -128));
    assert_eq!(of("residual"), of("pool"));
    assert_eq!(of("mean"), of("flatten"));
    assert_ne!(of("pool"), of("mean"));
    assert_eq!(of("stem").zero_point, -128, "nothing is below 0 after ReLU");
    let layer = |name: &str| report.layers.iter().find(|l| l.name == name).unwrap();
    assert_eq!(layer("image").kind, "Input");
    assert_eq!(layer("pool").source, RangeSource::Tied);
    assert_eq!(layer("stem").source, RangeSource::Observed);
    assert_eq!(layer("softmax").source, RangeSource::Fixed);
    for l in &report.layers {
        assert!(l.saturated == 0.0 || l.name == "softmax", "MinMax saturates nothing: {l:?}");
        assert!(l.min <= l.central.0 && l.central.0 <= l.central.1 && l.central.1 <= l.max, "{l:?}");
    }
    // Weights keep the order of the constant, and each channel reaches 127.
    for (id, w) in &q.weights {
        let float = q.graph.constant(*id).unwrap();
        assert_eq!(w.data.len(), float.len());
        assert_eq!(w.scales.len(), float.shape[0]);
        let row = float.len() / float.shape[0];
        assert!(w.data.chunks(row).all(|r| r.iter().any(|q| q.unsigned_abs() == 127)));
    }
    assert!(layer("stem").weights.as_ref().unwrap().sqnr_db > 35.0);
    let bias = graph.nodes.iter().find(|n| n.name == "stem").unwrap().inputs[2];
    assert_eq!(q.activation(bias), None);
}

/// The integer arithmetic a device does, with an exact multiplier, must land on the grid points of the simulation.
#[test]
fn simulation_is_what_integers_compute() {
    let graph = small_net();
    let (q, _) = quantize(&graph, &samples(&graph, 20, 7), &Options::default(), &silent).unwrap();
    let index = q.graph.nodes.iter().position(|n| n.name == "pointwise").unwrap();
    let node = &q.graph.nodes[index];
    let (input, output) = (q.activation(node.inputs[0]).unwrap(), q.activation(node.outputs[0]).unwrap());
    let weights = &q.weights[&node.inputs[1]];
    let bias = q.bias(carafe_graph::NodeId(index)).unwrap();
    let (mut x, mut y) = (vec![], vec![]);
    Simulation::new(&q)
        .run_with(&samples(&graph, 1, 9)[0], |id: ValueId, t: &Tensor| {
            let data = t.as_f32().unwrap().iter();
            if id == node.inputs[0] {
                x = data.map(|&v| input.quantize(v)).collect();
            } else if id == node.outputs[0] {
                y = data.map(|&v| output.quantize(v)).collect();
            }
        })
        .unwrap();
    for (pixel, made) in x.chunks(8).zip(y.chunks(8)) {
        for o in 0..8 {
            let products = pixel.iter().zip(&weights.data[o * 8..]);
            let sum: i32 = products.map(|(&x, &w)| (i32::from(x) - input.zero_point) * i32::from(w)).sum();
            let multiplier = f64::from(input.scale()) * f64::from(weights.scales[o]) / f64::from(output.scale());
            let exact = f64::from(sum + bias[o]) * multiplier + f64::from(output.zero_point);
            let want = exact.clamp(-128.0, 127.0);
            assert!((f64::from(made[o]) - want).abs() < 0.501, "{} is not {want}", made[o]);
        }
    }
}

#[test]
fn result_is_independent_of_threads() {
    let graph = small_net();
    let samples = samples(&graph, 45, 3);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| quantize(&graph, &samples, &Options::default(), &silent).unwrap())
    };
    let one = on(1);
    for threads in [2, 5] {
        let other = on(threads);
        assert_eq!(one.0, other.0);
        assert_eq!(one.1, other.1);
    }
}

#[test]
fn progress_counts_every_phase_to_its_end() {
    let graph = small_net();
    let seen = Mutex::new(vec![]);
    quantize(&graph, &samples(&graph, 10, 3), &Options::default(), &|p| seen.lock().unwrap().push(p)).unwrap();
    let seen = seen.into_inner().unwrap();
    for (phase, total) in [(Phase::Observe, 10), (Phase::Quantize, 4), (Phase::Check, 10)] {
        let mut done: Vec<_> = seen.iter().filter(|p| p.phase == phase).map(|p| (p.done, p.total)).collect();
        done.sort();
        assert_eq!(done, (0..=total).map(|d| (d, total)).collect::<Vec<_>>(), "{}", phase.name());
    }
}

#[test]
fn report_is_json_and_finds_the_worst() {
    let graph = small_net();
    let mut options = Options::default();
    options.check_samples = 5;
    let (_, report) = quantize(&graph, &samples(&graph, 10, 3), &options, &silent).unwrap();
    assert_eq!(report.checked_samples, 5);
    let worst = report.worst(3);
    assert_eq!(worst.len(), 3);
    let lowest = report.layers.iter().map(|l| l.sqnr_db).fold(f64::INFINITY, f64::min);
    assert_eq!(worst[0].sqnr_db, lowest);
    assert!(worst[0].sqnr_db <= worst[1].sqnr_db && worst[1].sqnr_db <= worst[2].sqnr_db);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["layers"].as_array().unwrap().len(), 10);
    assert_eq!(json["layers"][1]["source"], "observed");
    assert!(json["layers"][1]["sqnr_db"].as_f64().unwrap() > 20.0);
    assert!(json["outputs"][0]["logit_sqnr_db"].is_f64());

    options.check_samples = 0;
    let (_, report) = quantize(&graph, &samples(&graph, 10, 3), &options, &silent).unwrap();
    assert!(report.layers.iter().all(|l| l.sqnr_db == 200.0 && l.hints.is_empty()));
}
