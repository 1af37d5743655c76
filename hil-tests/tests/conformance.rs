//! Models × targets: real models, converted here, give the same bits on the host and on emulated boards, over real
//! inputs. The bundled model is always there; the others need the shared assets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use carafe_converter::dataset::{Dataset, InputSpec, Preprocess};
use carafe_converter::evaluate::quantize;
use carafe_converter::{Options, convert, frontend};
use carafe_graph::{Layout, Tensor};
use carafe_hil::{Entry, Host, Qemu, QemuOptions, Suite, SuiteModel, Target};

/// Inputs per model.
const CASES: usize = 100;

struct Source {
    name: &'static str,
    model: PathBuf,
    calibration: PathBuf,
    test: PathBuf,
    mean: Option<f32>,
    scale: Option<f32>,
}

fn assets() -> Option<PathBuf> {
    let dir = std::env::var_os("CARAFE_ASSETS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    dir.join("models").is_dir().then_some(dir)
}

fn sources() -> Vec<Source> {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits");
    let mut all = vec![Source {
        name: "digits",
        model: digits.join("digits.xml"),
        calibration: digits.join("calib.npz"),
        test: digits.join("test.npz"),
        mean: None,
        scale: None,
    }];
    let Some(dir) = assets() else {
        println!("skipped: conformance of resnet8, dscnn_kws and ad: no assets (set CARAFE_ASSETS)");
        return all;
    };
    let shared = |name, model, calibration, test, mean, scale| Source {
        name,
        model: dir.join("models").join(model),
        calibration: dir.join("data").join(calibration),
        test: dir.join("data").join(test),
        mean,
        scale,
    };
    let cifar = ("cifar10/calib_images.npy", "cifar10/test_images.npy");
    all.push(shared("resnet8", "resnet8/resnet8.xml", cifar.0, cifar.1, None, None));
    let kws = ("kws01/calib_int8.npy", "kws01/test_int8.npy");
    let (mean, scale) = (Some(83.0), Some(1.0 / 0.584_702_9));
    all.push(shared("dscnn_kws", "dscnn_kws/dscnn_kws.xml", kws.0, kws.1, mean, scale));
    let ad = "ad/normal_id_01_00000000_hist_librosa.bin";
    all.push(shared("ad", "ad/ad.xml", ad, ad, None, None));
    all
}

/// Samples of a source. The spectrogram of ad has no header: windows of five frames of 128 bands.
fn samples(path: &Path, spec: &InputSpec, source: &Source, most: usize) -> Vec<Vec<Tensor>> {
    if path.extension().is_some_and(|e| e == "bin") {
        let bytes = std::fs::read(path).unwrap();
        let frames: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let window = |k: usize| vec![Tensor::f32(vec![1, 640], frames[k * 128..k * 128 + 640].to_vec())];
        return (0..196.min(most)).map(window).collect();
    }
    let (mean, scale) = (source.mean.into_iter().collect(), source.scale.into_iter().collect());
    let data = Dataset::open(path, spec, &Preprocess { mean, scale, ..Preprocess::default() }).unwrap();
    (0..data.len().min(most)).map(|i| vec![data.get(i).unwrap()]).collect()
}

fn prepare(source: &Source) -> SuiteModel {
    let graph = frontend::load(&source.model).unwrap();
    let input = graph.value(graph.inputs[0]);
    let spec = InputSpec { name: input.name.clone(), shape: input.shape.clone(), layout: Layout::Nhwc };
    let calibration = samples(&source.calibration, &spec, source, usize::MAX);
    let converted = convert(graph, &calibration, &Options::default(), &()).unwrap();
    let model = carafe::Model::verify(&converted.blob, carafe::ops::ALL).unwrap();
    let io = model.input(0).unwrap();
    let cases = samples(&source.test, &spec, source, CASES)
        .iter()
        .map(|sample| {
            let tensors = converted.optimized.samples(sample).unwrap();
            let floats = tensors[0].as_f32().unwrap();
            vec![floats.iter().map(|&x| quantize(x, io.scale.unwrap(), io.zero_point)).collect()]
        })
        .collect();
    SuiteModel { name: source.name.into(), blob: converted.blob, cases, expected: Vec::new() }
}

#[test]
fn the_same_bits_everywhere() {
    let models: Vec<SuiteModel> = sources().iter().map(prepare).collect();
    assert!(models.iter().all(|m| m.cases.len() == CASES));
    let suite = Suite { name: "models".into(), models, limit: Duration::from_secs(60) };
    let board = "qemu-mps2-an386";
    let qemu = Qemu::start(board, QemuOptions::default()).map(|q| Box::new(q) as Box<dyn Target>);
    let mut entries = [Entry::new("host", Ok(Box::new(Host::new()))), Entry::new(board, qemu)];
    let report = suite.run(&mut entries);
    for cell in report.skipped() {
        println!("skipped: conformance of {} on {}: {}", cell.model, cell.target, cell.verdict);
    }
    println!("{report}");
    assert!(report.is_good());
}
