//! Real models on real test sets: accuracy against float, memory against what was promised. Needs the shared assets.

mod common;

use std::path::Path;

use carafe_converter::dataset::{Dataset, Filter, InputSpec, Preprocess, Resize, ResizeTo, Table};
use carafe_converter::evaluate::{Evaluation, Source, evaluate, evaluate_source};
use carafe_converter::{Converted, InputKind, Options, convert, frontend};
use carafe_graph::{Layout, Tensor};
use common::assets;

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

/// How many of the 800 test images. All of them take minutes:
/// `CARAFE_TEST_IMAGES=800 cargo test --release -p carafe-converter --test accuracy -- --nocapture`.
fn images() -> usize {
    std::env::var("CARAFE_TEST_IMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(200).clamp(1, 800)
}

/// A model that takes the bytes of the 224×224 images of the ImageNet sample, 200 to calibrate and 800 to test, and what
/// must hold of it.
struct Pictures<'a> {
    model: &'a str,
    layout: Layout,
    mean: f32,
    scale: f32,
    /// The column of labels; none if the model knows other classes.
    labels: Option<&'a str>,
    resize: Option<Resize>,
    /// Of the logits, in dB: 1 under what ONNX Runtime's MinMax has, per channel, on the same images.
    sqnr_db: f64,
    /// What TensorFlow Lite Micro takes for its arena.
    arena: usize,
}

fn pictures(dir: &Path, case: &Pictures<'_>) -> Evaluation {
    let graph = frontend::load(&dir.join(case.model)).unwrap();
    let input = graph.value(graph.inputs[0]);
    let spec = InputSpec { name: input.name.clone(), shape: input.shape.clone(), layout: case.layout };
    let (mean, scale) = (vec![case.mean], vec![case.scale]);
    let preprocess = Preprocess { mean, scale, resize: case.resize, ..Preprocess::default() };
    let open = |split: &str| {
        let table = Table { label: Some(case.labels.unwrap_or("label_1001").into()), split: Some(split.into()) };
        let images = Dataset::open(&dir.join("data/imagenet/images"), &spec, &preprocess).unwrap();
        images.with_table(&dir.join("data/imagenet/labels.csv"), &table).unwrap()
    };
    let (calibration, test) = (open("calib"), open("test"));
    assert_eq!((calibration.len(), test.len()), (200, 800));
    let mut options = Options { input: InputKind::U8, preprocess: preprocess.clone(), ..Options::default() };
    options.write.debug = true;
    let samples: Vec<Vec<Tensor>> = (0..200).map(|i| vec![calibration.get(i).unwrap()]).collect();
    let c = convert(graph, &samples, &options, &()).unwrap();
    assert!((c.plan.arena_bytes as usize) < case.arena);
    let n = images();
    let get = |i: usize| Ok(vec![test.get(i * test.len() / n)?]);
    let labels: Option<Vec<u32>> =
        case.labels.map(|_| (0..n).map(|i| test.labels().unwrap()[i * test.len() / n]).collect());
    let source = Source { len: n, get: &get };
    let e = evaluate_source(&c.blob, &c.optimized, source, labels.as_deref(), &|_| {}).unwrap();
    println!(
        "{}: top-1 {:?}, float {:?}, agreement {:.4}, output {:.1} dB, logits {:?}, arena {}, {} ranges chosen, {} \
         biases corrected",
        case.model,
        e.top1,
        e.float_top1,
        e.agreement,
        e.sqnr_db,
        e.logit_sqnr_db,
        c.plan.arena_bytes,
        c.report.ranges.as_ref().map_or(0, |d| d.changed),
        c.report.bias_correction.changed
    );
    if let (Some(top1), Some(float)) = (e.top1, e.float_top1) {
        // In images, since fractions are not exact: half a point, of 800 or of as many as there are.
        let right = |part: f64| (part * n as f64).round();
        assert!((right(top1) - right(float)).abs() <= (n as f64 / 200.0).ceil(), "{top1} against {float}");
    }
    assert!(e.logit_sqnr_db.unwrap() >= case.sqnr_db);
    e
}

#[test]
fn vww() {
    let Some(dir) = assets("accuracy of vww") else { return };
    let resize = Some(Resize { filter: Filter::Bilinear, to: ResizeTo::Input });
    let model = "models/vww/vww.xml";
    let (sqnr_db, arena) = (23.8, 100_708);
    let case = Pictures { model, layout: Layout::Nhwc, mean: 0.0, scale: 255.0, labels: None, resize, sqnr_db, arena };
    // None of the images is labelled for it.
    assert!(pictures(&dir, &case).agreement >= 0.978, "ONNX Runtime MinMax agrees on 98.8 %");
}

#[test]
fn mobilenet_v2() {
    let Some(dir) = assets("accuracy of mobilenet_v2") else { return };
    let (model, labels) = ("models/mobilenet_v2/mobilenet_v2.xml", Some("label_1001"));
    let (sqnr_db, arena) = (20.4, 1_660_116);
    let case =
        Pictures { model, layout: Layout::Nhwc, mean: 127.0, scale: 127.5, labels, resize: None, sqnr_db, arena };
    assert!(pictures(&dir, &case).agreement >= 0.965, "ONNX Runtime MinMax agrees on 97.5 %");
}

#[test]
fn efficientnet_lite0() {
    let Some(dir) = assets("accuracy of efficientnet_lite0") else { return };
    let (model, labels) = ("models/efficientnet_lite0/efficientnet_lite0_fp16.xml", Some("label_1000"));
    // No figure of TensorFlow Lite Micro: that of mobilenet_v2, whose maps are as large.
    let (sqnr_db, arena) = (17.9, 1_660_116);
    let case =
        Pictures { model, layout: Layout::Nchw, mean: 127.0, scale: 128.0, labels, resize: None, sqnr_db, arena };
    assert!(pictures(&dir, &case).agreement >= 0.976, "ONNX Runtime MinMax agrees on 98.6 %");
}
