//! IRs that were quantized before they came here keep their ranges and integers: held against OpenVINO running the
//! same files (`hil-tests/golden/make_nncf.py`).

mod common;

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use carafe::{Model, Session};
use carafe_converter::{
    ConvertError, Converted, Options, convert,
    evaluate::{argmax, dequantize, quantize},
    frontend::openvino,
    twin,
};
use carafe_graph::{Op, Tensor, exec};
use carafe_quantizer::{QuantError, RangeSource};
use common::assets;
use npyz::Deserialize;
use rayon::prelude::*;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil-tests/golden/nncf").join(file)
}

fn elements<T: Deserialize>(reader: impl Read) -> Vec<T> {
    npyz::NpyFile::new(reader).unwrap().into_vec().unwrap()
}

/// An array of an `.npz`.
fn archived<T: Deserialize>(file: &str, array: &str) -> Vec<T> {
    let mut zip = zip::ZipArchive::new(File::open(golden(file)).unwrap()).unwrap();
    elements(zip.by_name(&format!("{array}.npy")).unwrap())
}

fn npy<T: Deserialize>(path: &Path) -> Vec<T> {
    elements(BufReader::new(File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))))
}

/// What the blob answers, as real numbers.
fn run(converted: &Converted, sample: &[f32]) -> Vec<f32> {
    let model = Model::verify(&converted.blob, carafe::ops::ALL).unwrap();
    let (x, y) = (model.input(0).unwrap(), model.output(0).unwrap());
    let bytes = sample.iter().map(|&v| quantize(v, x.scale.unwrap(), x.zero_point)).collect();
    let mut session = Session::new(model);
    let mut arena = vec![0; model.arena_bytes()];
    let outputs = twin::run(&mut session, &mut arena, &[bytes], ()).unwrap();
    outputs[0].iter().map(|&q| dequantize(q, y.scale.unwrap(), y.zero_point)).collect()
}

fn agreement(converted: &Converted, samples: &[Vec<f32>], wanted: &[u8]) -> f64 {
    assert_eq!(samples.len(), wanted.len());
    let same = |(s, &w): (&Vec<f32>, &u8)| argmax(&run(converted, s)) == usize::from(w);
    samples.par_iter().zip(wanted).filter(|p| same(*p)).count() as f64 / wanted.len() as f64
}

/// Converts the IR of `name` with and without calibration, and compares classes with OpenVINO's.
fn agrees(name: &str, assets: &Path, calibration: &[Vec<f32>], samples: &[Vec<f32>]) {
    let graph = openvino::load(&assets.join(format!("models/{name}/{name}_nncf_int8.xml"))).unwrap();
    let shape = graph.value(graph.inputs[0]).shape.clone();
    let quantized = |op: &Op| matches!(op, Op::FakeQuantize { .. });
    let given = graph.nodes.iter().filter(|n| quantized(&n.op)).count();
    assert!(given > 5);
    let wanted: Vec<u8> = archived(&format!("{name}.npz"), "argmax");
    let calibration: Vec<Vec<Tensor>> =
        calibration.iter().map(|s| vec![Tensor::f32(shape.clone(), s.clone())]).collect();
    for (how, calibration, least) in [("calibrated", &calibration[..], 0.98), ("alone", &[], 0.98)] {
        let converted = convert(graph.clone(), calibration, &Options::default(), &()).unwrap();
        let report = &converted.report;
        let kept = report.layers.iter().filter(|l| l.source == RangeSource::Given).count();
        assert!(kept >= given, "{name}: {kept} of {given} ranges are kept");
        for layer in &report.layers {
            let Some(w) = &layer.weights else { continue };
            assert_eq!(w.given_channels, w.channels, "{name}: weights of {}", layer.name);
        }
        let share = agreement(&converted, samples, &wanted);
        println!("{name}, {how}: {:.2} % of {} samples as OpenVINO", 100.0 * share, wanted.len());
        assert!(share >= least, "{name}, {how}: {share}");
    }
}

#[test]
fn resnet8_answers_as_openvino() {
    let Some(assets) = assets("resnet8_answers_as_openvino") else { return };
    let images = |file: &str| -> Vec<Vec<f32>> {
        let bytes: Vec<u8> = npy(&assets.join("data/cifar10").join(file));
        bytes.chunks_exact(32 * 32 * 3).map(|c| c.iter().map(|&b| f32::from(b)).collect()).collect()
    };
    agrees("resnet8", &assets, &images("calib_images.npy"), &images("test_images.npy"));
}

#[test]
fn dscnn_kws_answers_as_openvino() {
    let Some(assets) = assets("dscnn_kws_answers_as_openvino") else { return };
    let features = |file: &str| -> Vec<Vec<f32>> {
        let bytes: Vec<i8> = npy(&assets.join("data/kws01").join(file));
        let real = |&b: &i8| (f32::from(b) - 83.0) * 0.584_702_9;
        bytes.chunks_exact(49 * 10).map(|c| c.iter().map(real).collect()).collect()
    };
    agrees("dscnn_kws", &assets, &features("calib_int8.npy"), &features("test_int8.npy"));
}

#[test]
fn a_tiny_network_with_every_form_of_quantization() {
    let graph = openvino::load(&golden("tiny.xml")).unwrap();
    let samples: Vec<f32> = archived("tiny.npz", "x");
    let wanted: Vec<f32> = archived("tiny.npz", "logits");
    let converted = convert(graph.clone(), &[], &Options::default(), &()).unwrap();
    let q = &converted.quantized;

    // Integer weights are those of the file: -128 to 127, all scales kept.
    let extremes = q.weights.values().flat_map(|w| &w.data).fold((0, 0), |(a, b), &w| (w.min(a), w.max(b)));
    assert_eq!(extremes, (-128, 127));
    for layer in converted.report.layers.iter() {
        assert!(layer.weights.as_ref().is_none_or(|w| w.given_channels == w.channels), "{layer:?}");
    }
    // Inputs of depthwise convolutions have a scale per channel, and nothing else that is seen from outside.
    for node in &q.graph.nodes {
        let per_channel = q.activation(node.inputs[0]).unwrap().scales.len() == 8;
        let depthwise = matches!(&node.op, Op::Conv2d(p) if p.groups == 8);
        assert_eq!(per_channel, depthwise, "{}", node.name);
    }

    // The float meaning of the file is OpenVINO's, but for numbers that lie between two steps.
    let shape = vec![1, 8, 8, 3];
    let tensors: Vec<Vec<Tensor>> =
        samples.chunks_exact(8 * 8 * 3).map(|x| vec![Tensor::f32(shape.clone(), x)]).collect();
    let optimized = &converted.optimized.graph;
    for (how, graph) in [("as read", &graph), ("optimised", optimized)] {
        let made = exec::run_many(graph, &tensors, &|_| ()).unwrap();
        let made: Vec<f32> = made.iter().flat_map(|o| o[0].as_f32().unwrap().to_vec()).collect();
        let exact = made.iter().zip(&wanted).filter(|(a, b)| (*a - *b).abs() < 1e-5).count();
        println!("tiny, {how}: {exact} of {} logits are OpenVINO's", wanted.len());
        assert!(exact * 10 >= wanted.len() * 9);
        assert!(made.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 0.0101));
    }

    let mut worst = 0.0f32;
    let (mut signal, mut noise) = (0.0, 0.0);
    for (x, wanted) in samples.chunks_exact(8 * 8 * 3).zip(wanted.chunks_exact(5)) {
        for (got, wanted) in run(&converted, x).iter().zip(wanted) {
            worst = worst.max((got - wanted).abs());
            signal += f64::from(wanted * wanted);
            noise += f64::from((got - wanted) * (got - wanted));
        }
    }
    let db = 10.0 * (signal / noise.max(1e-12)).log10();
    println!("tiny: at most {worst:.4} from OpenVINO (steps of 0.01), {db:.1} dB");
    assert!(worst < 0.0201 && db > 33.0, "{worst} {db}");
}

#[test]
fn what_has_no_range_is_named() {
    let mut graph = openvino::load(&golden("tiny.xml")).unwrap();
    // Without the range of the input, nothing tells how large it is.
    let at = graph.nodes.iter().position(|n| matches!(n.op, Op::FakeQuantize { .. })).unwrap();
    let (x, y) = (graph.nodes[at].inputs[0], graph.nodes[at].outputs[0]);
    graph.nodes.remove(at);
    graph.nodes.iter_mut().flat_map(|n| &mut n.inputs).filter(|v| **v == y).for_each(|v| *v = x);
    match convert(graph, &[], &Options::default(), &()) {
        Err(ConvertError::Quantize(e @ QuantError::NoRanges { .. })) => {
            let text = e.to_string();
            assert!(text.contains("`x`") && text.contains("--calibration"), "{text}");
        }
        other => panic!("{:?}", other.map(|c| c.report)),
    }
}
