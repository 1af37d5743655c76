//! The models, their data, and what they are converted to.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use carafe::{DType, Model};
use carafe_converter::dataset::{Dataset, Filter, InputSpec, Preprocess, Resize, ResizeTo, Table};
use carafe_converter::{InputKind, Options, convert, evaluate, frontend};
use carafe_graph::{Layout, Tensor};
use carafe_hil::SuiteModel;
use carafe_quantizer::{BiasCorrection, ObserverKind};

/// Inputs of a small model.
const MANY: usize = 100;
/// Inputs of the other files of the same network: with weights of half precision, and quantized by NNCF.
const TWIN: usize = 10;
/// Inputs of a model that takes seconds for one on an emulated board.
const FEW: usize = 2;

/// A network: one file or several, with the same data.
struct Source {
    /// Its files, without the extension, and how many inputs each is run on.
    files: Vec<(PathBuf, usize)>,
    /// Samples to calibrate with; none for a file that is quantized already.
    calibration: Option<Data>,
    /// Converted in haste: with few samples, and without a search for the best ranges. Bits matter here, not accuracy.
    hasty: bool,
    test: Data,
    preprocess: Preprocess,
    layout: Layout,
    input: InputKind,
    fast_bytes: Option<u32>,
    tflm_arena_bytes: Option<usize>,
}

/// Where samples are.
enum Data {
    /// A file that the data set reads.
    File(PathBuf),
    /// Rows of the table of images, by their column `split`.
    Images(PathBuf, &'static str),
    /// A spectrogram without a header: samples are windows of five frames of 128 bands.
    Spectrogram(PathBuf),
}

/// A model, ready to be run.
pub struct Prepared {
    /// The blob and its inputs.
    pub suite: SuiteModel,
    /// Bytes of arena in its plan.
    pub arena_bytes: usize,
    /// Bytes of memory that it takes beside the arena, on a board.
    pub beside: usize,
    /// What TensorFlow Lite Micro takes for the same network.
    pub tflm_arena_bytes: Option<usize>,
    /// int8 weights.
    pub weights: usize,
    /// Output channels of the ops that have weights.
    pub channels: usize,
    /// Ops.
    pub ops: usize,
}

/// All models, each converted once, whichever test asks first. Says what `test` has to do without.
pub fn prepared(test: &str) -> &'static [Prepared] {
    static MODELS: OnceLock<Vec<Prepared>> = OnceLock::new();
    if assets().is_none() {
        println!("skipped: {test} of all but the bundled models: no assets (set CARAFE_ASSETS)");
    }
    MODELS.get_or_init(|| {
        let mut sources = bundled();
        sources.extend(assets().iter().flat_map(|dir| shared(dir)));
        sources
            .iter()
            .flat_map(|source| source.files.iter().map(|(file, cases)| prepare(source, file, *cases)))
            .collect()
    })
}

fn assets() -> Option<PathBuf> {
    let dir = std::env::var_os("CARAFE_ASSETS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    dir.join("models").is_dir().then_some(dir)
}

fn bundled() -> Vec<Source> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (digits, nncf) = (here.join("../examples/digits"), here.join("golden/nncf"));
    let (state, unet) = (here.join("golden/state"), here.join("golden/unet"));
    vec![
        Source {
            files: vec![(digits.join("digits"), MANY)],
            calibration: Some(Data::File(digits.join("calib.npz"))),
            ..Source::of(Data::File(digits.join("test.npz")))
        },
        // Every form of quantization that NNCF writes.
        Source { files: vec![(nncf.join("tiny"), 16)], ..Source::of(Data::File(nncf.join("tiny.npz"))) },
        // Enlarging, crops, skips, split branches.
        Source {
            files: vec![(unet.join("model"), 12)],
            calibration: Some(Data::File(unet.join("io.npz"))),
            layout: Layout::Nchw,
            ..Source::of(Data::File(unet.join("io.npz")))
        },
        // A state that goes on from case to case, and fast memory beside the arena.
        Source {
            files: vec![(state.join("model"), 24)],
            calibration: Some(Data::File(state.join("io.npz"))),
            fast_bytes: Some(100),
            ..Source::of(Data::File(state.join("io.npz")))
        },
    ]
}

/// Large ones first: their runs take longest.
///
/// The arenas to beat are those of TensorFlow Lite Micro with CMSIS-NN, measured on an emulated Cortex-M4 (QEMU's
/// mps2-an386) in November 2026: `arena_used_bytes()` of release 2026-08-20 with the int8 TFLite files of MLPerf Tiny
/// and of MobileNetV2. For EfficientNet-Lite0 there is no figure.
fn shared(dir: &Path) -> Vec<Source> {
    let file = |path: &str| Data::File(dir.join("data").join(path));
    let images = |split| Data::Images(dir.join("data/imagenet"), split);
    // The file itself is run on `cases` inputs; its twins, where they exist, on few.
    let files = |name: &str, cases: usize| -> Vec<(PathBuf, usize)> {
        let path = |suffix: &str| dir.join("models").join(name).join(format!("{name}{suffix}"));
        let all = [("", cases), ("_fp16", cases.min(TWIN)), ("_nncf_int8", cases.min(TWIN))].map(|(s, n)| (path(s), n));
        let there: Vec<_> = all.into_iter().filter(|(path, _)| path.with_extension("xml").exists()).collect();
        assert!(!there.is_empty(), "there is no IR of {name}");
        there
    };
    let number = |mean: f32, scale: f32| Preprocess { mean: vec![mean], scale: vec![scale], ..Preprocess::default() };
    let network = |name, cases, calibration, test, tflm_arena_bytes| Source {
        files: files(name, cases),
        calibration: Some(calibration),
        tflm_arena_bytes,
        ..Source::of(test)
    };
    let spectrogram = || Data::Spectrogram(dir.join("data/ad/normal_id_01_00000000_hist_librosa.bin"));
    let resize = Some(Resize { filter: Filter::Bilinear, to: ResizeTo::Input });
    vec![
        Source {
            preprocess: number(127.0, 128.0),
            layout: Layout::Nchw,
            input: InputKind::U8,
            hasty: true,
            ..network("efficientnet_lite0", FEW, images("calib"), images("test"), None)
        },
        Source {
            preprocess: number(127.0, 1.0 / 0.007_843_138),
            input: InputKind::U8,
            hasty: true,
            ..network("mobilenet_v2", FEW, images("calib"), images("test"), Some(1_660_116))
        },
        Source {
            preprocess: Preprocess { resize, ..number(0.0, 255.0) },
            input: InputKind::U8,
            ..network("vww", MANY, images("calib"), images("test"), Some(100_708))
        },
        network("resnet8", MANY, file("cifar10/calib_images.npy"), file("cifar10/test_images.npy"), Some(54_996)),
        Source {
            preprocess: number(83.0, 1.0 / 0.584_702_9),
            ..network("dscnn_kws", MANY, file("kws01/calib_int8.npy"), file("kws01/test_int8.npy"), Some(22_820))
        },
        network("str_ww", MANY, file("str_ww/samples.npy"), file("str_ww/samples.npy"), Some(16_596)),
        network("ad", MANY, spectrogram(), spectrogram(), Some(2_580)),
    ]
}

impl Source {
    /// int8 inputs, numbers as they are stored, no calibration.
    fn of(test: Data) -> Self {
        Self {
            files: Vec::new(),
            calibration: None,
            hasty: false,
            test,
            preprocess: Preprocess::default(),
            layout: Layout::Nhwc,
            input: InputKind::I8,
            fast_bytes: None,
            tflm_arena_bytes: None,
        }
    }
}

impl Data {
    /// The first samples, at most `most`.
    fn samples(&self, spec: &InputSpec, preprocess: &Preprocess, most: usize) -> Vec<Vec<Tensor>> {
        let data = match self {
            Data::File(path) => Dataset::open(path, spec, preprocess).unwrap(),
            Data::Images(dir, split) => {
                let table = Table { label: Some("label_1001".into()), split: Some((*split).into()) };
                let images = Dataset::open(&dir.join("images"), spec, preprocess).unwrap();
                images.with_table(&dir.join("labels.csv"), &table).unwrap()
            }
            Data::Spectrogram(path) => {
                let bytes = std::fs::read(path).unwrap();
                let all: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
                let windows = all.windows(640).step_by(128).take(most);
                return windows.map(|window| vec![Tensor::f32(vec![1, 640], window.to_vec())]).collect();
            }
        };
        (0..data.len().min(most)).map(|i| vec![data.get(i).unwrap()]).collect()
    }

    /// As many test inputs: where there are fewer samples, means of two of them follow, which no sample is.
    fn inputs(&self, spec: &InputSpec, preprocess: &Preprocess, count: usize) -> Vec<Vec<Tensor>> {
        let mut all = self.samples(spec, preprocess, count);
        let real = all.len();
        let mean = |i: usize| {
            let [a, b] = [i % real, (i + 1 + i / real) % real].map(|i| all[i][0].as_f32().unwrap());
            let mean: Vec<f32> = a.iter().zip(b).map(|(a, b)| (a + b) / 2.0).collect();
            vec![Tensor::f32(spec.shape.clone(), mean)]
        };
        let more: Vec<_> = (real..count).map(mean).collect();
        all.extend(more);
        all
    }
}

fn prepare(source: &Source, file: &Path, cases: usize) -> Prepared {
    let name = file.file_name().unwrap().to_str().unwrap();
    let graph = frontend::load(&file.with_extension("xml")).unwrap();
    let input = graph.value(graph.inputs[0]);
    let spec = InputSpec { name: input.name.clone(), shape: input.shape.clone(), layout: source.layout };
    let calibration = source
        .calibration
        .as_ref()
        .map(|data| data.samples(&spec, &source.preprocess, if source.hasty { 8 } else { 64 }));
    let mut options = Options { input: source.input, preprocess: source.preprocess.clone(), ..Options::default() };
    options.plan.fast_bytes = source.fast_bytes;
    if source.hasty {
        options.quantizer.observer = ObserverKind::MinMax;
        options.quantizer.bias_correction = BiasCorrection::Off;
        options.quantizer.check_samples = 1;
    }
    let converted = convert(graph, &calibration.unwrap_or_default(), &options, &())
        .unwrap_or_else(|e| panic!("{name}: can't be converted: {e}"));
    let model = Model::verify(&converted.blob, carafe::ops::ALL).unwrap();
    let bytes = model.input(0).unwrap().dtype == DType::U8;
    assert_eq!(bytes, source.input == InputKind::U8, "{name}");
    let case = |sample: &Vec<Tensor>| {
        let tensors = converted.optimized.samples(sample).unwrap();
        vec![evaluate::input_bytes(&model, 0, tensors[0].as_f32().unwrap()).unwrap()]
    };
    let inputs: Vec<_> = source.test.inputs(&spec, &source.preprocess, cases).iter().map(case).collect();
    assert_eq!(inputs.len(), cases, "{name}");
    assert!(inputs.windows(2).all(|pair| pair[0] != pair[1]), "{name}: inputs differ");
    let weights = converted.quantized.weights.values();
    let (weights, channels) = weights.fold((0, 0), |(w, c), q| (w + q.data.len(), c + q.scales.len()));
    Prepared {
        arena_bytes: model.arena_bytes(),
        beside: model.fast_bytes() + model.state_bytes(),
        tflm_arena_bytes: source.tflm_arena_bytes,
        weights,
        channels,
        ops: model.nodes().into(),
        suite: SuiteModel { name: name.to_owned(), blob: converted.blob, cases: inputs, expected: Vec::new() },
    }
}
