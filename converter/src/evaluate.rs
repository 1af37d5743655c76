//! How close a blob stays to the float model it was made of: the device's twin against the float executor, sample by
//! sample, on all cores.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use carafe::blob::StringKind;
use carafe::{BlobError, DType, Memory, Model, NodeId, OpCode, Probe, Rows, RunError, Session};
use carafe_graph::{Graph, GraphError, Op, Tensor, ValueId, exec};
use rayon::prelude::*;
use serde::Serialize;

use crate::dataset::DatasetError;
use crate::passes::Optimized;
use crate::twin;

/// Samples that are read when they are wanted, so that they need not fit the memory. `get` is called from several
/// threads.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    /// Number of samples.
    pub len: usize,
    /// Sample `i`: one tensor per input.
    pub get: &'s (dyn Fn(usize) -> Result<Vec<Tensor>, DatasetError> + Sync),
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Samples evaluated.
    pub samples: usize,
    /// Fraction of samples whose label the blob finds, if there are labels.
    pub top1: Option<f64>,
    /// The same of the float model.
    pub float_top1: Option<f64>,
    /// Fraction of samples where both find the same class.
    pub agreement: f64,
    /// How often a class was taken for a class; empty without labels.
    pub confusion: Vec<Confusion>,
    /// Signal to quantization noise of the first output, in dB.
    pub sqnr_db: f64,
    /// The same of the input of the softmax that makes the first output, the mean over classes removed (softmax does
    /// not see it); needs a blob with debug information. Of a classifier that ends without a softmax (it has labels):
    /// of its output, without the mean.
    pub logit_sqnr_db: Option<f64>,
    /// Every layer whose float counterpart is known. Needs a blob with debug information.
    pub layers: Vec<Layer>,
}

/// How often a class was given an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// The right class.
    pub truth: usize,
    /// The answer.
    pub answer: usize,
    /// How many samples.
    pub count: u32,
}

/// One layer of an [`Evaluation`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// Name of the node.
    pub name: String,
    /// Signal to quantization noise of its result, in dB.
    pub sqnr_db: f64,
    /// Fraction of its elements at the ends of int8.
    pub saturated: f64,
}

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The blob is malformed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The blob does not run, or its input differs from the float model's.
    #[error("sample {index}: {source}; is the blob made of this model?")]
    Run {
        /// Index of the sample.
        index: usize,
        /// What the device's crate says.
        source: RunError,
    },
    /// The float model does not take a sample.
    #[error("sample {index}: {source}")]
    Float {
        /// Index of the sample.
        index: usize,
        /// What the float executor says.
        source: GraphError,
    },
    /// A sample can't be read.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// A label that is no class of the first output.
    #[error(
        "sample {index} has label {label}, but output 0 has {classes} classes; are these the labels of this model?"
    )]
    Label {
        /// Index of the sample.
        index: usize,
        /// Its label.
        label: u32,
        /// Elements of the first output.
        classes: usize,
    },
    /// Nothing to evaluate, or labels of another number.
    #[error("{samples} samples and {labels} labels")]
    Count {
        /// Number of samples.
        samples: usize,
        /// Number of labels.
        labels: usize,
    },
}

/// The bytes that input `i` of a blob takes for numbers of the model's input, channels last. Of an image, these are the
/// bytes that the camera delivered: mean and scale are undone.
pub fn input_bytes(model: &Model<'_>, i: usize, real: &[f32]) -> Option<Vec<u8>> {
    let io = model.input(i)?;
    if io.dtype != DType::U8 {
        return Some(real.iter().map(|&x| quantize(x, io.scale.unwrap_or(1.0), io.zero_point)).collect());
    }
    let channels = io.shape().last().map_or(1, |&c| usize::from(c)).max(1);
    let stored = model.preprocess().filter(|_| i == 0);
    let normalization: Vec<(f32, f32)> =
        (0..channels).map(|c| stored.map_or((0.0, 1.0), |s| s.normalization(c))).collect();
    Some(real.iter().enumerate().map(|(k, &x)| crate::passes::byte(x, normalization[k % channels])).collect())
}

/// The int8 that stands for `x`: as the quantizer rounds.
pub fn quantize(x: f32, scale: f32, zero_point: i8) -> u8 {
    let q = (x / scale).round() as i32;
    q.saturating_add(i32::from(zero_point)).clamp(-128, 127) as i8 as u8
}

/// The real number that an int8 stands for.
pub fn dequantize(q: u8, scale: f32, zero_point: i8) -> f32 {
    scale * (i32::from(q as i8) - i32::from(zero_point)) as f32
}

/// Index of the greatest element; the first of equals.
pub fn argmax<T: PartialOrd>(x: &[T]) -> usize {
    let mut best = 0;
    for (i, v) in x.iter().enumerate() {
        if *v > x[best] {
            best = i;
        }
    }
    best
}

/// Evaluates a blob against the float graph it was made of. `samples` are in the model's own layout. `progress` is
/// told the number of samples done.
///
/// # Errors
/// Where the blob does not verify or run, or samples and labels do not fit the model.
pub fn evaluate(
    blob: &[u8],
    optimized: &Optimized,
    samples: &[Vec<Tensor>],
    labels: Option<&[u32]>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Evaluation, EvaluateError> {
    let get = |i: usize| Ok(samples[i].clone());
    evaluate_source(blob, optimized, Source { len: samples.len(), get: &get }, labels, progress)
}

/// As [`evaluate`], of samples that are read when they are wanted.
///
/// # Errors
/// As [`evaluate`], and what the source gives.
pub fn evaluate_source(
    blob: &[u8],
    optimized: &Optimized,
    source: Source<'_>,
    labels: Option<&[u32]>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Evaluation, EvaluateError> {
    let model = Model::verify(blob, carafe::ops::ALL)?;
    check(&model, source, labels)?;
    let layers = counterparts(&model, &optimized.graph);
    let logits = match logits(&optimized.graph) {
        Some(values) => layers.iter().position(|l| values.contains(&l.value)).map(Logits::Layer),
        None => labels.map(|_| Logits::Output),
    };
    let results: Vec<Sample> =
        all(&model, source, progress, |lane, index, sample| one(lane, optimized, &layers, logits, index, sample))?;

    let n = source.len as f64;
    let answers: Vec<usize> = results.iter().map(|s| s.class).collect();
    let float_answers: Vec<usize> = results.iter().map(|s| s.float_class).collect();
    Ok(Evaluation {
        samples: source.len,
        top1: labels.map(|l| right(l, &answers)),
        float_top1: labels.map(|l| right(l, &float_answers)),
        agreement: results.iter().filter(|s| s.class == s.float_class).count() as f64 / n,
        confusion: labels.map_or_else(Vec::new, |l| confusion(l, &answers)),
        sqnr_db: results.iter().map(|s| s.output).sum::<Error>().db(),
        logit_sqnr_db: results.iter().map(|s| s.logits).sum::<Option<Error>>().map(|e| e.db()),
        layers: layers
            .iter()
            .enumerate()
            .map(|(k, l)| {
                let e: Error = results.iter().map(|s| s.layers[k].0).sum();
                let saturated: u64 = results.iter().map(|s| s.layers[k].1).sum();
                let name = optimized.graph.nodes[l.node].name.clone();
                Layer { name, sqnr_db: e.db(), saturated: saturated as f64 / (n * l.elements as f64) }
            })
            .collect(),
    })
}

/// What a blob answers, where its float model is not at hand: the class of each sample. Samples are in the blob's
/// layout, channels last.
///
/// # Errors
/// Where the blob does not verify or run, or a sample can't be read.
pub fn classify(
    blob: &[u8],
    source: Source<'_>,
    labels: Option<&[u32]>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<usize>, EvaluateError> {
    let model = Model::verify(blob, carafe::ops::ALL)?;
    check(&model, source, labels)?;
    all(&model, source, progress, |lane, index, sample| {
        let run = |source| EvaluateError::Run { index, source };
        let inputs = quantized(&model, &sample).map_err(run)?;
        let outputs = lane.answer(&inputs, ()).map_err(run)?;
        // Scales are positive: the order of the bytes is that of the numbers.
        let first: Vec<i8> = outputs.first().map_or_else(Vec::new, |o| o.iter().map(|&b| b as i8).collect());
        Ok(argmax(&first))
    })
}

/// Fraction of answers that are right.
pub fn right(labels: &[u32], answers: &[usize]) -> f64 {
    let hits = labels.iter().zip(answers).filter(|(l, a)| **l as usize == **a).count();
    hits as f64 / labels.len().min(answers.len()).max(1) as f64
}

/// How often each class was given each answer, right ones included: what occurred, by class, then by answer. A matrix
/// would be mostly zeros where there are many classes.
pub fn confusion(labels: &[u32], answers: &[usize]) -> Vec<Confusion> {
    let mut counts = BTreeMap::new();
    for (&label, &answer) in labels.iter().zip(answers) {
        *counts.entry((label as usize, answer)).or_insert(0) += 1;
    }
    counts.into_iter().map(|((truth, answer), count)| Confusion { truth, answer, count }).collect()
}

/// Whether samples and labels fit the model.
fn check(model: &Model<'_>, source: Source<'_>, labels: Option<&[u32]>) -> Result<(), EvaluateError> {
    let classes = model.output(0).map_or(0, |o| o.bytes);
    let labels = labels.unwrap_or(&[]);
    if source.len == 0 || (!labels.is_empty() && labels.len() != source.len) {
        return Err(EvaluateError::Count { samples: source.len, labels: labels.len() });
    }
    match labels.iter().position(|&l| l as usize >= classes) {
        Some(index) => Err(EvaluateError::Label { index, label: labels[index], classes }),
        None => Ok(()),
    }
}

/// What runs a model, and its float counterpart, over samples.
struct Lane<'m> {
    session: Session<'m>,
    arena: Vec<u8>,
    fast: Vec<u8>,
    float: exec::State,
}

impl<'m> Lane<'m> {
    /// At the beginning of a sequence.
    fn new(model: &Model<'m>, state: &'m mut [u8]) -> Result<Self, RunError> {
        let (arena, fast) = (vec![0; model.arena_bytes()], vec![0; model.fast_bytes()]);
        Ok(Self { session: Session::with_state(*model, state)?, arena, fast, float: exec::State::default() })
    }

    fn answer<P: Probe>(&mut self, inputs: &[Vec<u8>], probe: P) -> Result<Vec<Vec<u8>>, RunError> {
        let memory = Memory { main: &mut self.arena, fast: &mut self.fast };
        twin::run_in(&mut self.session, memory, inputs, probe)
    }
}

/// Does something with every sample, on all cores; results in the samples' order. Samples of a model with state are steps
/// of one sequence, one after the other.
fn all<R: Send>(
    model: &Model<'_>,
    source: Source<'_>,
    progress: &(dyn Fn(usize) + Sync),
    work: impl Fn(&mut Lane<'_>, usize, Vec<Tensor>) -> Result<R, EvaluateError> + Sync,
) -> Result<Vec<R>, EvaluateError> {
    let done = AtomicUsize::new(0);
    if model.state_bytes() > 0 {
        let mut state = vec![0; model.state_bytes()];
        let mut lane = Lane::new(model, &mut state).map_err(|source| EvaluateError::Run { index: 0, source })?;
        let one = |index| {
            let result = work(&mut lane, index, (source.get)(index)?)?;
            progress(index + 1);
            Ok(result)
        };
        return (0..source.len).map(one).collect();
    }
    // Each thread keeps its session and memory from sample to sample.
    let lane = || Lane::new(model, &mut []);
    (0..source.len)
        .into_par_iter()
        .map_init(lane, |lane, index| {
            let lane = lane.as_mut().map_err(|&mut source| EvaluateError::Run { index, source })?;
            let result = work(lane, index, (source.get)(index)?)?;
            progress(1 + done.fetch_add(1, Ordering::Relaxed));
            Ok(result)
        })
        .collect()
}

/// A sample, channels last, as the blob's inputs take it.
fn quantized(model: &Model<'_>, inputs: &[Tensor]) -> Result<Vec<Vec<u8>>, RunError> {
    let bytes = |(i, t): (usize, &Tensor)| input_bytes(model, i, t.as_f32().unwrap_or(&[])).ok_or(RunError::Input);
    inputs.iter().enumerate().map(bytes).collect()
}

/// A node of the blob with its float counterpart.
struct Counterpart {
    blob_node: u16,
    node: usize,
    value: ValueId,
    scale: f32,
    zero_point: i8,
    elements: usize,
}

/// Nodes of the blob whose name, scale and shape say what they stand for.
fn counterparts(model: &Model<'_>, graph: &Graph) -> Vec<Counterpart> {
    let by_name: HashMap<&str, usize> = graph.nodes.iter().enumerate().map(|(i, n)| (n.name.as_str(), i)).collect();
    let named = model.strings().filter(|(kind, _, _)| *kind == StringKind::Node);
    named
        .filter_map(|(_, blob_node, name)| {
            let node = *by_name.get(name)?;
            let value = *graph.nodes[node].outputs.first()?;
            let t = model.tensor(blob_node)?;
            let elements: usize = graph.value(value).shape.iter().product();
            // 0 stands for a scale per channel, which a blob does not hold.
            let scale = model.scale(blob_node).filter(|s| *s > 0.0)?;
            let zero_point = t.zero_point;
            (t.bytes() == elements).then_some(Counterpart { blob_node, node, value, scale, zero_point, elements })
        })
        .collect()
}

/// Where logits are compared.
#[derive(Clone, Copy, Debug)]
enum Logits {
    /// In what makes this layer.
    Layer(usize),
    /// In the first output.
    Output,
}

/// What the softmax reads that makes the first output: its operand and, where that is only another shape of something,
/// what it is a shape of. The blob need not have both.
fn logits(graph: &Graph) -> Option<Vec<ValueId>> {
    let producers = graph.producers();
    let made_by = |value: ValueId| producers[value.0].map(|n| &graph.nodes[n.0]);
    let mut values = vec![];
    let mut next = graph.outputs.first().copied();
    while let Some(node) = next.and_then(made_by) {
        let operand = node.inputs.first().copied();
        match node.op {
            Op::Softmax { .. } if values.is_empty() => values.extend(operand),
            Op::Reshape { .. } if !values.is_empty() => values.extend(operand),
            Op::Reshape { .. } => {}
            _ => break,
        }
        next = operand;
    }
    (!values.is_empty()).then_some(values)
}

/// Squared signal and squared error.
#[derive(Clone, Copy, Debug, Default)]
struct Error {
    signal: f64,
    noise: f64,
}

impl Error {
    fn of(reference: &[f32], got: impl Iterator<Item = f32>, centre: bool) -> Self {
        let got: Vec<f32> = got.collect();
        let mean = |x: &[f32]| {
            if centre { x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len().max(1) as f64 } else { 0.0 }
        };
        let (mr, mg) = (mean(reference), mean(&got));
        let mut e = Self::default();
        for (&r, &g) in reference.iter().zip(&got) {
            let (r, g) = (f64::from(r) - mr, f64::from(g) - mg);
            e.signal += r * r;
            e.noise += (r - g) * (r - g);
        }
        e
    }

    /// 10·log₁₀(signal / noise), cut to ±200.
    fn db(self) -> f64 {
        if self.noise == 0.0 { 200.0 } else { (10.0 * (self.signal / self.noise).log10()).clamp(-200.0, 200.0) }
    }
}

impl std::iter::Sum for Error {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self { signal: a.signal + b.signal, noise: a.noise + b.noise })
    }
}

struct Sample {
    class: usize,
    float_class: usize,
    output: Error,
    logits: Option<Error>,
    layers: Vec<(Error, u64)>,
}

fn one(
    lane: &mut Lane<'_>,
    optimized: &Optimized,
    layers: &[Counterpart],
    logits: Option<Logits>,
    index: usize,
    sample: Vec<Tensor>,
) -> Result<Sample, EvaluateError> {
    let model = *lane.session.model();
    let model = &model;
    let float = |source| EvaluateError::Float { index, source };
    let inputs = optimized.samples(&sample).map_err(float)?;
    let wanted: HashMap<ValueId, usize> = layers.iter().enumerate().map(|(k, l)| (l.value, k)).collect();
    let mut keep = Keep { wanted, values: vec![Vec::new(); layers.len()] };
    let reference = exec::run_stateful(&optimized.graph, &inputs, &mut lane.float, &mut keep).map_err(float)?;

    let bytes = quantized(model, &inputs).map_err(|source| EvaluateError::Run { index, source })?;
    let slots = layers.iter().enumerate().map(|(k, l)| (l.blob_node, k)).collect();
    let mut collect = Collect { slots, data: vec![Vec::new(); layers.len()] };
    let outputs = lane.answer(&bytes, &mut collect).map_err(|source| EvaluateError::Run { index, source })?;

    let reals = |bytes: &[u8], scale: f32, zero_point: i8| -> Vec<f32> {
        bytes.iter().map(|&q| dequantize(q, scale, zero_point)).collect()
    };
    let first = reference.first().and_then(Tensor::as_f32).unwrap_or(&[]);
    let io = model.output(0).ok_or(EvaluateError::Run { index, source: RunError::Input })?;
    let got = reals(outputs.first().map_or(&[], Vec::as_slice), io.scale.unwrap_or(1.0), io.zero_point);
    let error_of = |k: usize, centre: bool| {
        let l = &layers[k];
        Error::of(&keep.values[k], collect.data[k].iter().map(|&q| dequantize(q, l.scale, l.zero_point)), centre)
    };
    Ok(Sample {
        class: argmax(&got),
        float_class: argmax(first),
        output: Error::of(first, got.iter().copied(), false),
        logits: logits.map(|l| match l {
            Logits::Layer(k) => error_of(k, true),
            Logits::Output => Error::of(first, got.iter().copied(), true),
        }),
        layers: (0..layers.len())
            .map(|k| {
                let ends = collect.data[k].iter().filter(|&&q| q == 127 || q == 128).count();
                (error_of(k, false), ends as u64)
            })
            .collect(),
    })
}

/// Keeps the float values of the layers.
struct Keep {
    wanted: HashMap<ValueId, usize>,
    values: Vec<Vec<f32>>,
}

impl exec::Hook for Keep {
    fn value(&mut self, _: &Graph, value: ValueId, tensor: &mut Tensor) {
        if let (Some(&k), Some(data)) = (self.wanted.get(&value), tensor.as_f32()) {
            self.values[k] = data.to_vec();
        }
    }
}

/// Keeps the rows of the layers as the device makes them.
struct Collect {
    slots: HashMap<u16, usize>,
    data: Vec<Vec<u8>>,
}

impl Probe for Collect {
    fn begin(&mut self, _: NodeId, _: OpCode) {}

    fn rows(&mut self, node: NodeId, y: Range<u16>, rows: &Rows<'_>) {
        if let Some(&k) = self.slots.get(&node.0) {
            for pixel in y.flat_map(|y| rows.pixels(y)) {
                self.data[k].extend_from_slice(pixel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted() {
        let (labels, answers) = ([0, 0, 1, 2, 2], [0, 1, 1, 2, 0]);
        assert_eq!(right(&labels, &answers), 0.6);
        let found = confusion(&labels, &answers);
        let cells: Vec<_> = found.iter().map(|c| (c.truth, c.answer, c.count)).collect();
        assert_eq!(cells, [(0, 0, 1), (0, 1, 1), (1, 1, 1), (2, 0, 1), (2, 2, 1)]);
        assert_eq!(right(&[], &[]), 0.0);
    }

    #[test]
    fn errors_are_decibels() {
        let e = Error::of(&[3.0, 4.0], [3.0, 4.5].into_iter(), false);
        assert!((e.db() - 20.0).abs() < 1e-9);
        assert_eq!(Error::of(&[1.0], [1.0].into_iter(), false).db(), 200.0);
        // Without the mean these are the same.
        assert_eq!(Error::of(&[1.0, 2.0], [11.0, 12.0].into_iter(), true).db(), 200.0);
    }
}
