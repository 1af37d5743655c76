//! The three phases: observe, quantize, check.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use carafe_graph::exec::{Hook, run_with};
use carafe_graph::{Graph, GraphError, Tensor, ValueId};
use rayon::prelude::*;

use crate::check::{Checker, Measure, merge};
use crate::error::QuantError;
use crate::hints::hints;
use crate::observer::{MinMax, Observer, ObserverKind};
use crate::ranges::{Activations, activation_operands, choose, separate_softmax};
use crate::report::{LayerReport, OutputReport, Report, Sqnr, WeightReport};
use crate::simulate::Simulation;
use crate::types::QuantGraph;
use crate::weights::{Raised, quantize_weights, weight_users};

/// Samples that one task runs in sequence. Fixed, so that sums do not depend on the number of threads.
const TASK: usize = 4;

/// How to quantize.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// How ranges of activations are chosen. Default: [`ObserverKind::MinMax`].
    pub observer: ObserverKind,
    /// On how many samples, spread evenly over the calibration samples, the result is checked against float.
    /// More make the report more exact and cost three runs each. Default: 32. With 0, every SQNR reads 200.
    pub check_samples: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { observer: ObserverKind::default(), check_samples: 32 }
    }
}

/// A phase of [`quantize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Float runs over all calibration samples; counts samples.
    Observe,
    /// Weights; counts weight constants.
    Quantize,
    /// Float against simulation; counts samples.
    Check,
}

impl Phase {
    /// `observe`, `quantize`, `check`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Observe => "observe",
            Phase::Quantize => "quantize",
            Phase::Check => "check",
        }
    }
}

/// How far [`quantize`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How much of it is done. Tasks on several threads may report out of order.
    pub done: usize,
    /// How much there is.
    pub total: usize,
}

/// Counts towards a total from several threads.
struct Counter<'a> {
    report: &'a (dyn Fn(Progress) + Sync),
    phase: Phase,
    done: AtomicUsize,
    total: usize,
}

impl<'a> Counter<'a> {
    fn new(report: &'a (dyn Fn(Progress) + Sync), phase: Phase, total: usize) -> Self {
        report(Progress { phase, done: 0, total });
        Self { report, phase, done: AtomicUsize::new(0), total }
    }

    fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.report)(Progress { phase: self.phase, done, total: self.total });
    }
}

/// Quantizes a graph to int8.
///
/// `graph`: NHWC, optimised (convolutions and dense layers with bias and clamp fused). `samples`: typical inputs,
/// each with one f32 tensor per graph input, in the graph's shape (batch 1). `progress` is called from worker threads.
///
/// Returns the quantized graph, with the nodes of `graph` and perhaps some more (see the crate's documentation on
/// Softmax), and the report on it. The same samples give the same result on any number of threads.
///
/// # Errors
/// No samples; samples of the wrong shape or with NaN or infinities; NaN or infinities in constants or made by a node;
/// weights that are no constants; a graph that [`Graph::check`] refuses.
pub fn quantize(
    graph: &Graph,
    samples: &[Vec<Tensor>],
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(QuantGraph, Report), QuantError> {
    graph.check()?;
    check_samples(graph, samples)?;
    let graph = separate_softmax(graph);
    let constants = constant_ranges(&graph)?;
    let seen = match options.observer {
        ObserverKind::MinMax => observe::<MinMax>(&graph, samples, MinMax::default, progress)?,
    };
    let wanted = |i: usize| seen[i].as_ref().and_then(Observer::range).or(constants[i]);
    let ranges: Vec<_> = (0..graph.values.len()).map(wanted).collect();
    let extremes: Vec<_> = seen.iter().map(|o| o.as_ref().and_then(Observer::extremes)).collect();
    let activations = choose(&graph, &ranges);
    let (weights, raised) = all_weights(&graph, &activations, progress)?;
    let quants = activations.iter().map(|a| a.as_ref().map(|(q, _)| q.clone())).collect();
    let quantized = QuantGraph { graph, activations: quants, weights };
    let checked = spread(samples, options.check_samples);
    let measures = check(&quantized, &checked, &extremes, progress)?;
    let mut report = Report {
        model: quantized.graph.name.clone(),
        observer: options.observer.name(),
        samples: samples.len(),
        checked_samples: checked.len(),
        layers: vec![],
        outputs: vec![],
    };
    fill(&mut report, &quantized, &activations, &raised, &extremes, &measures);
    Ok((quantized, report))
}

/// Refuses samples that do not fit the graph's inputs.
fn check_samples(graph: &Graph, samples: &[Vec<Tensor>]) -> Result<(), QuantError> {
    if samples.is_empty() {
        return Err(QuantError::NoSamples { model: graph.name.clone() });
    }
    for (sample, tensors) in samples.iter().enumerate() {
        if tensors.len() != graph.inputs.len() {
            let names: Vec<_> = graph.inputs.iter().map(|i| format!("`{}`", graph.value(*i).name)).collect();
            return Err(QuantError::SampleInputs {
                sample,
                model: graph.name.clone(),
                expected: graph.inputs.len(),
                got: tensors.len(),
                inputs: names.join(", "),
            });
        }
        for (tensor, value) in tensors.iter().zip(graph.inputs.iter().map(|i| graph.value(*i))) {
            let input = value.name.clone();
            if tensor.shape != value.shape {
                let (expected, got) = (value.shape.clone(), tensor.shape.clone());
                return Err(QuantError::SampleShape { sample, input, expected, got });
            }
            let Some(data) = tensor.as_f32() else { return Err(QuantError::SampleType { sample, input }) };
            if let Some((element, value)) = not_finite(data) {
                return Err(QuantError::SampleNotFinite { sample, input, element, value });
            }
        }
    }
    Ok(())
}

fn not_finite(data: &[f32]) -> Option<(usize, f32)> {
    data.iter().copied().enumerate().find(|(_, x)| !x.is_finite())
}

/// Refuses constants with NaN or infinities; returns the ranges of those that are read as activations, by value index.
fn constant_ranges(graph: &Graph) -> Result<Vec<Option<(f32, f32)>>, QuantError> {
    let mut ranges = vec![None; graph.values.len()];
    for node in &graph.nodes {
        for v in &node.inputs {
            let Some(data) = graph.constant(*v).and_then(Tensor::as_f32) else { continue };
            if let Some((element, value)) = not_finite(data) {
                let (tensor, node, kind) = (graph.value(*v).name.clone(), node.name.clone(), node.op.kind());
                return Err(QuantError::ConstantNotFinite { tensor, kind, node, element, value });
            }
        }
        for v in activation_operands(node) {
            let Some(data) = graph.constant(*v).and_then(Tensor::as_f32) else { continue };
            let mut seen = MinMax::default();
            seen.observe(data);
            ranges[v.0] = seen.range();
        }
    }
    Ok(ranges)
}

/// Feeds observers and stops looking at the first value that is not finite.
struct Watch<'a, O> {
    observers: &'a mut [Option<O>],
    bad: Option<(ValueId, usize, f32)>,
}

impl<O: Observer> Hook for Watch<'_, O> {
    fn value(&mut self, _: &Graph, value: ValueId, tensor: &mut Tensor) {
        let (Some(data), None) = (tensor.as_f32(), self.bad) else { return };
        // The magnitude bits of finite numbers are below those of infinity. Unlike a search, a maximum vectorizes.
        if data.iter().fold(0, |max, x| x.to_bits().wrapping_shl(1).max(max)) >= f32::INFINITY.to_bits() << 1
            && let Some((element, x)) = not_finite(data)
        {
            self.bad = Some((value, element, x));
        } else if let Some(Some(observer)) = self.observers.get_mut(value.0) {
            observer.observe(data);
        }
    }
}

/// Runs the float graph over all samples; one observer for each value that is no constant.
fn observe<O: Observer>(
    graph: &Graph,
    samples: &[Vec<Tensor>],
    make: impl Fn() -> O + Sync,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Option<O>>, QuantError> {
    let counter = Counter::new(progress, Phase::Observe, samples.len());
    let fresh = || graph.values.iter().map(|v| v.constant.is_none().then(&make)).collect::<Vec<_>>();
    let task = |(first, chunk): (usize, &[Vec<Tensor>])| {
        let mut observers = fresh();
        for (sample, inputs) in chunk.iter().enumerate().map(|(i, s)| (first * TASK + i, s)) {
            let mut watch = Watch { observers: &mut observers, bad: None };
            run_with(graph, inputs, &mut watch).map_err(|source| QuantError::Run { sample, source })?;
            if let Some(bad) = watch.bad {
                return Err(activation_not_finite(graph, sample, bad));
            }
            counter.one_more();
        }
        Ok(observers)
    };
    let parts: Vec<_> = samples.par_chunks(TASK).enumerate().map(task).collect();
    let mut all = fresh();
    for part in parts {
        for (a, b) in all.iter_mut().zip(part?) {
            if let (Some(a), Some(b)) = (a, b) {
                a.merge(b);
            }
        }
    }
    Ok(all)
}

fn activation_not_finite(graph: &Graph, sample: usize, bad: (ValueId, usize, f32)) -> QuantError {
    let (id, element, value) = bad;
    match graph.producers()[id.0].map(|n| &graph.nodes[n.0]) {
        Some(node) => QuantError::ActivationNotFinite {
            kind: node.op.kind(),
            node: node.name.clone(),
            origin: node.origin.clone(),
            sample,
            element,
            value,
        },
        None => QuantError::SampleNotFinite { sample, input: graph.value(id).name.clone(), element, value },
    }
}

type Weights = (BTreeMap<ValueId, crate::types::QuantWeights>, BTreeMap<ValueId, Raised>);

fn all_weights(
    graph: &Graph,
    activations: &Activations,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Weights, QuantError> {
    let users = weight_users(graph);
    let counter = Counter::new(progress, Phase::Quantize, users.len());
    let (mut weights, mut raised) = Weights::default();
    for (id, nodes) in users {
        let (w, r) = quantize_weights(graph, id, &nodes, activations)?;
        weights.insert(id, w);
        raised.insert(id, r);
        counter.one_more();
    }
    Ok((weights, raised))
}

/// At most `n` samples with their indices, evenly spread.
fn spread(samples: &[Vec<Tensor>], n: usize) -> Vec<(usize, &[Tensor])> {
    let n = n.min(samples.len());
    (0..n).map(|i| i * samples.len() / n).map(|i| (i, samples[i].as_slice())).collect()
}

fn check(
    quantized: &QuantGraph,
    samples: &[(usize, &[Tensor])],
    ranges: &[Option<(f32, f32)>],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Measure>, QuantError> {
    let counter = Counter::new(progress, Phase::Check, samples.len());
    let checker = Checker::new(&quantized.graph, Simulation::new(quantized), ranges);
    let fresh = || vec![Measure::default(); quantized.graph.values.len()];
    let task = |chunk: &[(usize, &[Tensor])]| {
        let mut measures = fresh();
        for &(sample, inputs) in chunk {
            let run = |source: GraphError| QuantError::Run { sample, source };
            checker.sample(inputs, &mut measures).map_err(run)?;
            counter.one_more();
        }
        Ok::<_, QuantError>(measures)
    };
    let parts: Vec<_> = samples.par_chunks(TASK).map(task).collect();
    let mut all = fresh();
    for part in parts {
        merge(&mut all, &part?);
    }
    Ok(all)
}

/// Fills in layers and outputs.
fn fill(
    report: &mut Report,
    quantized: &QuantGraph,
    activations: &Activations,
    raised: &BTreeMap<ValueId, Raised>,
    extremes: &[Option<(f32, f32)>],
    measures: &[Measure],
) {
    let graph = &quantized.graph;
    let inputs = graph.inputs.iter().map(|v| (*v, None));
    let made = graph.nodes.iter().flat_map(|n| n.outputs.iter().map(move |v| (*v, Some(n))));
    for (id, node) in inputs.chain(made) {
        let (Some((quant, source)), Some(range)) = (&activations[id.0], extremes[id.0]) else { continue };
        let measure = &measures[id.0];
        let weights = node.and_then(|n| n.inputs.get(1)).filter(|w| quantized.weights.contains_key(w));
        let mut layer = LayerReport {
            value: id.0,
            name: node.map_or(&graph.value(id).name, |n| &n.name).clone(),
            kind: node.map_or("Input", |n| n.op.kind()),
            min: range.0,
            max: range.1,
            central: measure.central(range),
            scale: quant.scale(),
            zero_point: quant.zero_point,
            source: *source,
            saturated: measure.saturated as f64 / measure.elements.max(1) as f64,
            sqnr_db: measure.total.db(),
            own_sqnr_db: measure.own.db(),
            grid_sqnr_db: measure.grid.db(),
            weights: weights.map(|w| weight_report(quantized, *w, raised)),
            hints: vec![],
        };
        let operands = node.map(activation_operands).unwrap_or_default().iter();
        let input_db = operands.filter(|v| extremes[v.0].is_some()).map(|v| measures[v.0].total.db());
        layer.hints = hints(&layer, measure, input_db.reduce(f64::min));
        report.layers.push(layer);
    }
    let producers = graph.producers();
    report.outputs.extend(graph.outputs.iter().map(|id| {
        OutputReport {
            name: graph.value(*id).name.clone(),
            sqnr_db: measures[id.0].total.db(),
            logit_sqnr_db: producers[id.0]
                .map(|n| &graph.nodes[n.0])
                .filter(|n| matches!(n.op, carafe_graph::Op::Softmax { .. }))
                .and_then(|n| n.inputs.first())
                .map(|x| measures[x.0].centred.db()),
        }
    }));
}

fn weight_report(quantized: &QuantGraph, id: ValueId, raised: &BTreeMap<ValueId, Raised>) -> WeightReport {
    let weights = &quantized.weights[&id];
    let mut sqnr = Sqnr::default();
    let float = quantized.graph.constant(id).and_then(Tensor::as_f32).unwrap_or_default();
    sqnr.add_all(float, &weights.dequantize());
    let raised = raised.get(&id).copied().unwrap_or_default();
    WeightReport {
        channels: weights.scales.len(),
        scale_min: weights.scales.iter().copied().reduce(f32::min).unwrap_or(0.0),
        scale_max: weights.scales.iter().copied().reduce(f32::max).unwrap_or(0.0),
        sqnr_db: sqnr.db(),
        zero_channels: raised.zero,
        raised_for_multiplier: raised.for_multiplier,
        raised_for_accumulator: raised.for_accumulator,
    }
}
