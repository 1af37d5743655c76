//! A streaming network with three variables, step by step as OpenVINO runs it (`hil-tests/golden/make_state.py`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use carafe::Model;
use carafe_converter::evaluate::evaluate;
use carafe_converter::passes::optimize;
use carafe_converter::{Converted, Options, convert, frontend};
use carafe_graph::{Graph, Op, Tensor, exec};
use zip::ZipArchive;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil-tests/golden/state")
}

fn model() -> Graph {
    frontend::load(&folder().join("model.xml")).unwrap_or_else(|e| panic!("{e}"))
}

/// Inputs and outputs, step by step.
fn steps() -> (Vec<Tensor>, Vec<Tensor>) {
    let mut archive = ZipArchive::new(File::open(folder().join("io.npz")).unwrap()).unwrap();
    let mut arrays = BTreeMap::new();
    for i in 0..archive.len() {
        let entry = archive.by_index(i).unwrap();
        let name = entry.name().unwrap().strip_suffix(".npy").unwrap().to_string();
        let npy = npyz::NpyFile::new(BufReader::new(entry)).unwrap();
        let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
        let data = npy.into_vec::<f32>().unwrap();
        let step: usize = shape[1..].iter().product();
        let batch: Vec<usize> = [1].iter().chain(&shape[1..]).copied().collect();
        let all: Vec<Tensor> = data.chunks(step).map(|c| Tensor::f32(batch.clone(), c.to_vec())).collect();
        arrays.insert(name, all);
    }
    (arrays.remove("x").unwrap(), arrays.remove("out").unwrap())
}

fn farthest(got: &Tensor, want: &Tensor) -> f32 {
    assert_eq!(got.shape, want.shape);
    let both = got.as_f32().unwrap().iter().zip(want.as_f32().unwrap());
    both.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn float_steps_are_those_of_openvino() {
    let graph = model();
    assert_eq!(graph.nodes.iter().filter(|n| matches!(n.op, Op::History { .. })).count(), 3);
    let optimized = optimize(graph.clone(), &mut |_, _| ()).unwrap();
    let (inputs, want) = steps();
    assert!(inputs.len() >= 20);
    let (mut loaded, mut passed) = (exec::State::default(), exec::State::default());
    for (i, (x, want)) in inputs.iter().zip(&want).enumerate() {
        let got = exec::run_stateful(&graph, std::slice::from_ref(x), &mut loaded, &mut ()).unwrap();
        assert!(farthest(&got[0], want) <= 1e-5, "step {i}: {}", farthest(&got[0], want));
        let moved = optimized.samples(std::slice::from_ref(x)).unwrap();
        let got = exec::run_stateful(&optimized.graph, &moved, &mut passed, &mut ()).unwrap();
        let got = optimized.outputs[0].to_model(&got[0]).unwrap();
        assert!(farthest(&got, want) <= 1e-5, "step {i} after the passes: {}", farthest(&got, want));
    }
    // It is the state that makes the difference.
    let fresh = exec::run(&graph, &inputs[5..6]).unwrap();
    assert!(farthest(&fresh[0], &want[5]) > 1e-2);
    let first = exec::run(&graph, &inputs[..1]).unwrap();
    assert!(farthest(&first[0], &want[0]) <= 1e-5);
}

fn converted() -> Converted {
    let samples: Vec<Vec<Tensor>> = steps().0.into_iter().map(|x| vec![x]).collect();
    let mut options = Options::default();
    options.write.debug = true;
    convert(model(), &samples, &options, &()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_device_follows_the_sequence() {
    let converted = converted();
    let blob = Model::verify(&converted.blob, carafe::ops::ALL).unwrap();
    assert_eq!((blob.inputs(), blob.outputs()), (1, 1), "what is remembered is no input");
    // Windows of 2 + 2 frames of 8 channels, 4 + 2 and 3 + 2 of 16.
    assert_eq!(blob.state_bytes(), 4 * 8 + 6 * 16 + 5 * 16);
    let samples: Vec<Vec<Tensor>> = steps().0.into_iter().map(|x| vec![x]).collect();
    let found = evaluate(&converted.blob, &converted.optimized, &samples, None, &|_| ()).unwrap();
    assert!(found.sqnr_db > 30.0, "{} dB", found.sqnr_db);
    let report = converted.report.outputs[0].sqnr_db;
    assert!((found.sqnr_db - report).abs() < 1.5, "{} dB, the quantizer says {report}", found.sqnr_db);
}

#[test]
fn variables_of_another_kind_are_refused_by_name() {
    let text = std::fs::read_to_string(folder().join("model.xml")).unwrap();
    let bin = std::fs::read(folder().join("model.bin")).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        frontend::openvino::parse(&text.replacen(from, to, 1), &bin, "m.xml").unwrap_err().to_string()
    };
    // Assigned to a variable that nobody reads.
    let last = text.rfind("variable_id=\"a\"").unwrap();
    let changed = format!("{}variable_id=\"z\"{}", &text[..last], &text[last + 15..]);
    let message = frontend::openvino::parse(&changed, &bin, "m.xml").unwrap_err().to_string();
    assert!(message.contains("variable") && message.contains("ReadValue"), "{message}");
    // Another part than the end.
    let message = refused("begin_mask=\"1, 0, 1\"", "begin_mask=\"1, 1, 1\"");
    assert!(message.contains("StridedSlice") || message.contains("variable"), "{message}");
    let message = refused("axis=\"2\"", "axis=\"1\"");
    assert!(message.contains("Concat") || message.contains("variable"), "{message}");
}
