//! What a model computes once it is read, against what OpenVINO computes.

use std::path::Path;

use carafe_converter::frontend::load;
use carafe_graph::{Tensor, exec};

use crate::common::assets;

/// Shape and elements of an `.npy` file of f32.
fn floats(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let file = npyz::NpyFile::new(std::io::BufReader::new(std::fs::File::open(path).unwrap())).unwrap();
    let shape = file.shape().iter().map(|&d| d as usize).collect();
    (shape, file.into_vec().unwrap())
}

/// `tests/data/ops.xml` was written by OpenVINO (see `make.py` beside it): 33 outputs from as many combinations of
/// operations and attributes.
#[test]
fn every_operation_computes_what_openvino_computes() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let graph = load(&data.join("ops.xml")).unwrap_or_else(|e| panic!("{e}"));
    let (shape, x) = floats(&data.join("ops_in.npy"));
    let (_, expected) = floats(&data.join("ops_out.npy"));
    let outputs = exec::run(&graph, &[Tensor::f32(shape, x)]).unwrap();
    let mut rest = expected.as_slice();
    for (i, tensor) in outputs.iter().enumerate() {
        let got = tensor.as_f32().unwrap();
        let (want, behind) = rest.split_at(got.len());
        rest = behind;
        for (k, (g, w)) in got.iter().zip(want).enumerate() {
            let name = &graph.value(graph.outputs[i]).name;
            assert!(
                (g - w).abs() <= 2e-5 * w.abs().max(1.0),
                "output {i} `{name}`, element {k}: {g}, OpenVINO has {w}"
            );
        }
    }
    assert!(rest.is_empty(), "{} elements more than outputs", rest.len());
}

#[test]
fn real_models_compute_what_openvino_computes() {
    let Some(assets) = assets("real_models_compute_what_openvino_computes") else { return };
    for name in ["resnet8", "dscnn_kws", "vww", "ad", "str_ww"] {
        let folder = assets.join("models").join(name);
        let graph = load(&folder.join(format!("{name}.xml"))).unwrap();
        let (shape, x) = floats(&folder.join("golden_in.npy"));
        let (_, golden) = floats(&folder.join("golden_out0.npy"));
        let (size, classes) = (x.len() / shape[0], golden.len() / shape[0]);
        let (mut signal, mut noise) = (0f64, 0f64);
        for (x, want) in x.chunks(size).zip(golden.chunks(classes)).take(4) {
            let input = Tensor::f32(graph.value(graph.inputs[0]).shape.clone(), x);
            let out = exec::run(&graph, &[input]).unwrap();
            for (g, w) in out[0].as_f32().unwrap().iter().zip(want) {
                signal += f64::from(w * w);
                noise += f64::from(g - w).powi(2);
            }
        }
        let sqnr = 10.0 * (signal / noise.max(1e-300)).log10();
        println!("{name}: {sqnr:.1} dB");
        assert!(sqnr > 90.0, "{name}: {sqnr} dB");
    }
}
