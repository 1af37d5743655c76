//! Real models on real images. Needs the shared assets.

use std::path::Path;

use carafe::{DType, Model};
use carafe_converter::dataset::{Dataset, Filter, InputSpec, Preprocess, Resize, ResizeTo, Table};
use carafe_converter::evaluate::{Evaluation, evaluate};
use carafe_converter::{Converted, InputKind, Options, convert, frontend};
use carafe_graph::{Graph, Layout, Tensor};
use rayon::prelude::*;

use super::nets::preprocess;
use crate::common::assets;

/// How many images of each split: all, unless the environment says less.
fn limit() -> usize {
    std::env::var("CARAFE_TEST_IMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
}

fn read(data: &Dataset) -> Vec<Vec<Tensor>> {
    let n = data.len().min(limit());
    (0..n).into_par_iter().map(|i| vec![data.get(i * data.len() / n).unwrap()]).collect()
}

fn labels(data: &Dataset) -> Vec<u32> {
    let n = data.len().min(limit());
    (0..n).map(|i| data.labels().unwrap()[i * data.len() / n]).collect()
}

fn spec(graph: &Graph, layout: Layout) -> InputSpec {
    let input = graph.value(graph.inputs[0]);
    InputSpec { name: input.name.clone(), shape: input.shape.clone(), layout }
}

/// The images of a split of the ImageNet sample.
fn imagenet(dir: &Path, split: &str, label: &str, spec: &InputSpec, p: &Preprocess) -> Dataset {
    let table = Table { label: Some(label.into()), split: Some(split.into()) };
    let images = Dataset::open(&dir.join("data/imagenet/images"), spec, p).unwrap();
    images.with_table(&dir.join("data/imagenet/labels.csv"), &table).unwrap()
}

/// Converts with both kinds of input and evaluates both; prints what came out.
fn both(
    graph: &Graph,
    p: &Preprocess,
    calibration: &[Vec<Tensor>],
    test: &[Vec<Tensor>],
    labels: Option<&[u32]>,
) -> [(Converted, Evaluation); 2] {
    [InputKind::U8, InputKind::I8].map(|input| {
        let mut options = Options { input, preprocess: p.clone(), ..Options::default() };
        options.write.debug = true;
        let c = convert(graph.clone(), calibration, &options, &()).unwrap();
        let e = evaluate(&c.blob, &c.optimized, test, labels, &|_| {}).unwrap();
        println!(
            "{} {input:?}: top-1 {:?}, float {:?}, agreement {:.4}, output {:.2} dB, logits {:?}, arena {}, blob {}",
            graph.name,
            e.top1,
            e.float_top1,
            e.agreement,
            e.sqnr_db,
            e.logit_sqnr_db,
            c.plan.arena_bytes,
            c.blob.len()
        );
        let model = Model::verify(&c.blob, carafe::ops::ALL).unwrap();
        let want = if input == InputKind::U8 { DType::U8 } else { DType::I8 };
        assert_eq!(model.input(0).unwrap().dtype, want);
        assert_eq!(Preprocess { layout: None, ..Preprocess::of_model(&model) }, *p, "it is kept in the blob");
        (c, e)
    })
}

/// Bytes must do no worse than int8 that was calibrated: within what chance makes of the last digits.
fn no_worse(bytes: &Evaluation, int8: &Evaluation) {
    let n = bytes.samples as f64;
    assert!(bytes.agreement >= int8.agreement - 0.01 - 2.0 / n, "{} {}", bytes.agreement, int8.agreement);
    assert!(bytes.sqnr_db >= int8.sqnr_db - 0.5, "{} {}", bytes.sqnr_db, int8.sqnr_db);
}

#[test]
fn resnet8_takes_the_bytes_of_cifar() {
    let Some(dir) = assets("camera bytes of resnet8") else { return };
    let graph = frontend::load(&dir.join("models/resnet8/resnet8.xml")).unwrap();
    let (spec, p) = (spec(&graph, Layout::Nhwc), Preprocess::default());
    let open = |name: &str| Dataset::open(&dir.join(name), &spec, &p).unwrap();
    let calibration = open("data/cifar10/calib_images.npy");
    assert!(calibration.is_bytes());
    let test = open("data/cifar10/test_images.npy").with_labels(&dir.join("data/cifar10/test_labels.npy")).unwrap();
    let [(c, bytes), (_, int8)] = both(&graph, &p, &read(&calibration), &read(&test), Some(&labels(&test)));
    assert_eq!(c.camera.unwrap().folded.len(), 1);
    no_worse(&bytes, &int8);
    assert!(bytes.logit_sqnr_db.unwrap() >= 23.6);
}

#[test]
fn vww_takes_the_bytes_of_resized_images() {
    let Some(dir) = assets("camera bytes of vww") else { return };
    let graph = frontend::load(&dir.join("models/vww/vww.xml")).unwrap();
    let resize = Some(Resize { filter: Filter::Bilinear, to: ResizeTo::Input });
    let (spec, p) = (spec(&graph, Layout::Nhwc), Preprocess { resize, ..preprocess(&[0.0], &[255.0]) });
    let [calibration, test] = ["calib", "test"].map(|s| read(&imagenet(&dir, s, "label_1001", &spec, &p)));
    let [(_, bytes), (_, int8)] = both(&graph, &p, &calibration, &test, None);
    no_worse(&bytes, &int8);
}

#[test]
#[ignore = "takes minutes"]
fn mobilenet_v2_takes_the_bytes_of_images() {
    let Some(dir) = assets("camera bytes of mobilenet_v2") else { return };
    let graph = frontend::load(&dir.join("models/mobilenet_v2/mobilenet_v2.xml")).unwrap();
    let (spec, p) = (spec(&graph, Layout::Nhwc), preprocess(&[127.0], &[127.5]));
    let [calibration, test] = ["calib", "test"].map(|s| imagenet(&dir, s, "label_1001", &spec, &p));
    let [(c, bytes), (_, int8)] = both(&graph, &p, &read(&calibration), &read(&test), Some(&labels(&test)));
    no_worse(&bytes, &int8);
    let (weights, channels) =
        c.quantized.weights.values().fold((0, 0), |(w, n), q| (w + q.data.len(), n + q.scales.len()));
    println!("overhead {}", c.blob.len() - weights - 8 * channels);
}

#[test]
#[ignore = "takes minutes"]
fn efficientnet_lite0_takes_the_bytes_of_images() {
    let Some(dir) = assets("camera bytes of efficientnet_lite0") else { return };
    let graph = frontend::load(&dir.join("models/efficientnet_lite0/efficientnet_lite0_fp16.xml")).unwrap();
    let (spec, p) = (spec(&graph, Layout::Nchw), preprocess(&[127.0], &[128.0]));
    let [calibration, test] = ["calib", "test"].map(|s| imagenet(&dir, s, "label_1000", &spec, &p));
    let [(_, bytes), (_, int8)] = both(&graph, &p, &read(&calibration), &read(&test), Some(&labels(&test)));
    no_worse(&bytes, &int8);
}
