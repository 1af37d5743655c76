//! A small U-net as OpenVINO runs it (`hil-tests/golden/make_unet.py`): strides, enlarging, crops, joins with skips,
//! channels split in branches, blocks of pixels, a gate per channel.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use carafe::{Model, OpCode};
use carafe_converter::evaluate::evaluate;
use carafe_converter::passes::optimize;
use carafe_converter::{Options, convert, frontend};
use carafe_graph::{Graph, Op, Tensor, exec};
use zip::ZipArchive;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil-tests/golden/unet")
}

fn model() -> Graph {
    frontend::load(&folder().join("model.xml")).unwrap_or_else(|e| panic!("{e}"))
}

/// Inputs and outputs.
fn pictures() -> (Vec<Tensor>, Vec<Tensor>) {
    let mut archive = ZipArchive::new(File::open(folder().join("io.npz")).unwrap()).unwrap();
    let mut arrays = BTreeMap::new();
    for i in 0..archive.len() {
        let entry = archive.by_index(i).unwrap();
        let name = entry.name().unwrap().strip_suffix(".npy").unwrap().to_string();
        let npy = npyz::NpyFile::new(BufReader::new(entry)).unwrap();
        let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
        let one: usize = shape[1..].iter().product();
        let batch: Vec<usize> = [1].iter().chain(&shape[1..]).copied().collect();
        let data = npy.into_vec::<f32>().unwrap();
        arrays.insert(name, data.chunks(one).map(|c| Tensor::f32(batch.clone(), c.to_vec())).collect::<Vec<_>>());
    }
    (arrays.remove("x").unwrap(), arrays.remove("out").unwrap())
}

fn farthest(got: &Tensor, want: &Tensor) -> f32 {
    assert_eq!(got.shape, want.shape);
    let both = got.as_f32().unwrap().iter().zip(want.as_f32().unwrap());
    both.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn float_results_are_those_of_openvino() {
    let graph = model();
    let count = |graph: &Graph, f: fn(&Op) -> bool| graph.nodes.iter().filter(|n| f(&n.op)).count();
    assert_eq!(count(&graph, |op| matches!(op, Op::Upsample { .. })), 2);
    // Two splits in halves, one in two unequal parts, and a crop.
    assert_eq!(count(&graph, |op| matches!(op, Op::Slice { .. })), 7);
    let optimized = optimize(graph.clone(), &mut |_, _| ()).unwrap();
    assert_eq!(count(&optimized.graph, |op| matches!(op, Op::Transpose { .. })), 0);
    let (inputs, want) = pictures();
    for (i, (x, want)) in inputs.iter().zip(&want).enumerate() {
        let got = exec::run(&graph, std::slice::from_ref(x)).unwrap();
        assert!(farthest(&got[0], want) <= 1e-4, "picture {i}: {}", farthest(&got[0], want));
        let moved = optimized.samples(std::slice::from_ref(x)).unwrap();
        let got = exec::run(&optimized.graph, &moved).unwrap();
        let got = optimized.outputs[0].to_model(&got[0]).unwrap();
        assert!(farthest(&got, want) <= 1e-4, "picture {i} after the passes: {}", farthest(&got, want));
    }
}

#[test]
fn the_device_is_near_to_openvino() {
    let (inputs, want) = pictures();
    let samples: Vec<Vec<Tensor>> = inputs.into_iter().map(|x| vec![x]).collect();
    let converted = convert(model(), &samples, &Options::default(), &()).unwrap_or_else(|e| panic!("{e}"));
    let blob = Model::verify(&converted.blob, carafe::ops::ALL).unwrap();
    let count = |op: OpCode| converted.lowered.nodes.iter().filter(|n| n.op == op).count();
    let counts = [OpCode::Upsample, OpCode::Slice, OpCode::SpaceToDepth, OpCode::Mul].map(count);
    assert_eq!(counts, [2, 7, 1, 1]);
    let found = evaluate(&converted.blob, &converted.optimized, &samples, None, &|_| ()).unwrap();
    println!("{} dB, arena of {} bytes, {} of maps", found.sqnr_db, blob.arena_bytes(), want[0].len());
    assert!(found.sqnr_db > 28.0, "{} dB", found.sqnr_db);
}
