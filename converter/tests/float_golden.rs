//! Real models, from IR through all passes, against outputs of the framework that made them.

mod common;

use std::{fs::File, io::BufReader, path::Path};

use carafe_converter::{
    frontend::openvino,
    passes::{Optimized, dump, optimize},
};
use carafe_graph::{Graph, Op, Tensor, exec};
use common::assets;

/// The rows of an `.npy` of floats.
fn rows(path: &Path) -> Vec<Vec<f32>> {
    let file = BufReader::new(File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
    let npy = npyz::NpyFile::new(file).unwrap();
    let n = npy.shape()[0] as usize;
    let data: Vec<f32> = npy.into_vec().unwrap();
    data.chunks_exact(data.len() / n).map(<[f32]>::to_vec).collect()
}

fn relative(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let difference = |(a, b): (&f32, &f32)| (a - b).abs() / scale;
    a.iter().zip(b).map(difference).fold(0.0, |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) })
}

fn count(graph: &Graph, f: impl Fn(&Op) -> bool) -> usize {
    graph.nodes.iter().filter(|n| f(&n.op)).count()
}

/// Loads the IR `file` of `model`, and proves that it gives the golden outputs to `tolerance` of the largest one, and
/// that the passes change them by less than 1e-4.
fn golden(test: &str, model: &str, file: &str, tolerance: f32) -> Option<Optimized> {
    let folder = assets(test)?.join("models").join(model);
    let graph = openvino::load(&folder.join(format!("{file}.xml"))).unwrap();
    let shape = &graph.value(graph.inputs[0]).shape;
    let samples: Vec<Vec<Tensor>> =
        rows(&folder.join("golden_in.npy")).into_iter().map(|row| vec![Tensor::f32(shape.clone(), row)]).collect();
    assert!(!samples.is_empty());

    let plain = exec::run_many(&graph, &samples, &|_| ()).unwrap();
    let optimized = optimize(graph.clone(), &mut |_, g| g.check().unwrap()).unwrap();
    let moved: Vec<Vec<Tensor>> = samples.iter().map(|s| vec![optimized.inputs[0].to_graph(&s[0]).unwrap()]).collect();
    let after = exec::run_many(&optimized.graph, &moved, &|_| ()).unwrap();
    for k in 0..graph.outputs.len() {
        let expected = rows(&folder.join(format!("golden_out{k}.npy")));
        assert_eq!(samples.len(), expected.len());
        for (i, expected) in expected.iter().enumerate() {
            let plain = plain[i][k].as_f32().unwrap();
            let made = optimized.outputs[k].to_model(&after[i][k]).unwrap();
            let made = made.as_f32().unwrap();
            for (what, got, reference, tolerance) in [
                ("the graph as loaded against the golden output", plain, expected.as_slice(), tolerance),
                ("the optimised graph against the golden output", made, expected, tolerance),
                ("the optimised graph against the graph as loaded", made, plain, 1e-4),
            ] {
                let off = relative(got, reference);
                assert!(off <= tolerance, "sample {i}, output {k}: {what}: {off}\n{}", dump(&optimized.graph));
            }
        }
    }

    let g = &optimized.graph;
    println!("{file}: {} nodes, of {}\n{}", g.nodes.len(), graph.nodes.len(), dump(g));
    assert_eq!(count(g, |op| matches!(op, Op::Transpose { .. })), 0, "{}", dump(g));
    assert_eq!(count(g, |op| matches!(op, Op::MatMul { .. })), 0, "{}", dump(g));
    assert_eq!(count(g, |op| matches!(op, Op::Unary(carafe_graph::UnaryOp::Relu))), 0, "{}", dump(g));
    for node in g.nodes.iter().filter(|n| matches!(n.op, Op::Binary { .. })) {
        let constant = node.inputs.iter().any(|v| g.constant(*v).is_some());
        assert!(!constant, "scale or shift `{}` is left over\n{}", node.name, dump(g));
    }
    Some(optimized)
}

#[test]
fn resnet8() {
    let Some(o) = golden("resnet8", "resnet8", "resnet8", 1e-4) else { return };
    assert!(o.inputs[0].is_unchanged());
    assert_eq!(count(&o.graph, |op| matches!(op, Op::Conv2d(_))), 9);
    assert_eq!(count(&o.graph, |op| matches!(op, Op::Reduce { .. })), 1, "the average pool is global");
}

#[test]
fn dscnn_kws() {
    let Some(o) = golden("dscnn_kws", "dscnn_kws", "dscnn_kws", 1e-4) else { return };
    assert_eq!(count(&o.graph, |op| matches!(op, Op::Conv2d(_))), 9);
}

#[test]
fn ad() {
    let Some(o) = golden("ad", "ad", "ad", 1e-4) else { return };
    assert_eq!(o.graph.nodes.len(), 10, "products, normalisation, biases and clamps are ten Dense nodes");
}

#[test]
fn vww() {
    let Some(o) = golden("vww", "vww", "vww", 1e-4) else { return };
    assert_eq!(count(&o.graph, |op| matches!(op, Op::Conv2d(_))), 27);
}

#[test]
fn str_ww() {
    let Some(o) = golden("str_ww", "str_ww", "str_ww", 1e-4) else { return };
    assert_eq!(count(&o.graph, |op| matches!(op, Op::Conv2d(_))), 8);
}

#[test]
fn mobilenet_v2() {
    let Some(o) = golden("mobilenet_v2", "mobilenet_v2", "mobilenet_v2", 1e-4) else { return };
    assert_eq!(count(&o.graph, |op| matches!(op, Op::Conv2d(_))), 53);
    assert_eq!(count(&o.graph, |op| matches!(op, Op::Binary { .. })), 10);
}

/// NCHW. The golden outputs are those of the f32 weights, which this IR has rounded to f16.
#[test]
fn efficientnet_lite0() {
    let Some(o) = golden("efficientnet_lite0", "efficientnet_lite0", "efficientnet_lite0_fp16", 5e-3) else { return };
    assert_eq!(o.inputs[0].perm, [0, 2, 3, 1]);
    assert_eq!(o.inputs[0].model_shape, [1, 3, 224, 224]);
    assert_eq!(o.graph.value(o.graph.inputs[0]).shape, [1, 224, 224, 3]);
    assert_eq!(count(&o.graph, |op| matches!(op, Op::Conv2d(_))), 49);
}

/// Several outputs, explicit padding of rows and channels, heads that join rows and columns.
#[test]
fn face_detection() {
    let Some(o) = golden("face_detection", "face_detection_short_range", "face_detection_short_range", 1e-4) else {
        return;
    };
    assert_eq!(o.graph.outputs.len(), 2);
}

#[test]
fn hand_landmark() {
    let Some(o) = golden("hand_landmark", "hand_landmark_lite", "hand_landmark_lite", 1e-4) else { return };
    assert_eq!(o.graph.outputs.len(), 4);
}
