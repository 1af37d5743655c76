//! Real models on real test sets: accuracy against float, memory against what was promised. Needs the shared assets.

use std::path::{Path, PathBuf};

use carafe_converter::dataset::{Dataset, InputSpec, Preprocess};
use carafe_converter::evaluate::{Evaluation, evaluate};
use carafe_converter::{Converted, Options, convert, frontend};
use carafe_graph::{Layout, Tensor};

/// The assets, or a line that says what was skipped.
fn assets(test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("CARAFE_ASSETS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    if dir.join("models").is_dir() {
        return Some(dir);
    }
    println!("skipped: {test}: no assets (set CARAFE_ASSETS)");
    None
}

struct Case<'a> {
    model: &'a str,
    calibration: &'a str,
    test: &'a str,
    labels: Option<&'a str>,
    mean: Option<f32>,
    scale: Option<f32>,
}

fn samples(path: &Path, spec: &InputSpec, case: &Case<'_>) -> Vec<Vec<Tensor>> {
    let preprocess = Preprocess {
        mean: case.mean.into_iter().collect(),
        scale: case.scale.into_iter().collect(),
        ..Preprocess::default()
    };
    let d = Dataset::open(path, spec, &preprocess).unwrap();
    (0..d.len()).map(|i| vec![d.get(i).unwrap()]).collect()
}

fn run(dir: &Path, case: &Case<'_>) -> (Converted, Evaluation) {
    let graph = frontend::load(&dir.join(case.model)).unwrap();
    let input = graph.value(graph.inputs[0]);
    let spec = InputSpec { name: input.name.clone(), shape: input.shape.clone(), layout: Layout::Nhwc };
    let mut options = Options::default();
    options.write.debug = true;
    let c = convert(graph, &samples(&dir.join(case.calibration), &spec, case), &options, &()).unwrap();
    let test = samples(&dir.join(case.test), &spec, case);
    let labels = case.labels.map(|l| {
        let d = Dataset::open(&dir.join(case.test), &spec, &Preprocess::default()).unwrap();
        d.with_labels(&dir.join(l)).unwrap().labels().unwrap().to_vec()
    });
    let e = evaluate(&c.blob, &c.optimized, &test, labels.as_deref(), &|_| {}).unwrap();
    println!(
        "{}: top-1 {:?}, float {:?}, agreement {:.4}, output {:.1} dB, logits {:?}, arena {}",
        case.model, e.top1, e.float_top1, e.agreement, e.sqnr_db, e.logit_sqnr_db, c.plan.arena_bytes
    );
    (c, e)
}

#[test]
fn resnet8() {
    let Some(dir) = assets("accuracy of resnet8") else { return };
    let case = Case {
        model: "models/resnet8/resnet8.xml",
        calibration: "data/cifar10/calib_images.npy",
        test: "data/cifar10/test_images.npy",
        labels: Some("data/cifar10/test_labels.npy"),
        mean: None,
        scale: None,
    };
    let (c, e) = run(&dir, &case);
    assert_eq!(e.samples, 1000);
    assert!((e.top1.unwrap() - e.float_top1.unwrap()).abs() <= 0.005);
    assert!(e.logit_sqnr_db.unwrap() >= 23.6, "ONNX Runtime MinMax has 24.6 dB");
    assert!(c.plan.arena_bytes < 54_996);
    assert!(e.layers.len() >= 12, "every layer has its counterpart");
}

#[test]
fn dscnn_kws() {
    let Some(dir) = assets("accuracy of dscnn_kws") else { return };
    let case = Case {
        model: "models/dscnn_kws/dscnn_kws.xml",
        calibration: "data/kws01/calib_int8.npy",
        test: "data/kws01/test_int8.npy",
        labels: Some("data/kws01/test_labels.npy"),
        mean: Some(83.0),
        scale: Some(1.0 / 0.584_702_9),
    };
    let (c, e) = run(&dir, &case);
    assert_eq!(e.samples, 800);
    assert!((e.top1.unwrap() - e.float_top1.unwrap()).abs() <= 0.005);
    assert!(e.logit_sqnr_db.unwrap() >= 25.8, "ONNX Runtime MinMax has 26.8 dB");
    assert!(c.plan.arena_bytes < 22_820);
}

#[test]
fn ad() {
    let Some(dir) = assets("accuracy of ad") else { return };
    // 196 windows of five frames of the one spectrogram.
    let bytes = std::fs::read(dir.join("data/ad/normal_id_01_00000000_hist_librosa.bin")).unwrap();
    let frames: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let windows: Vec<Vec<Tensor>> =
        (0..196).map(|k| vec![Tensor::f32(vec![1, 640], frames[k * 128..k * 128 + 640].to_vec())]).collect();
    let graph = frontend::load(&dir.join("models/ad/ad.xml")).unwrap();
    // Every fourth window calibrates.
    let calibration: Vec<Vec<Tensor>> = windows.iter().step_by(4).cloned().collect();
    let c = convert(graph, &calibration, &Options::default(), &()).unwrap();
    let e = evaluate(&c.blob, &c.optimized, &windows, None, &|_| {}).unwrap();
    println!("ad: output {:.1} dB, arena {}", e.sqnr_db, c.plan.arena_bytes);
    assert!(e.sqnr_db >= 30.0);
    assert!(c.plan.arena_bytes < 2_580);
}
