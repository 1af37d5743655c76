//! The three phases: observe, quantize, check.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use carafe_graph::{Graph, GraphError, Tensor, ValueId};
use rayon::prelude::*;

use crate::auto::{Group, Judge, spread};
use crate::check::{Checker, Measure, merge};
use crate::error::QuantError;
use crate::given;
use crate::hints::hints;
use crate::observe::{TASK, check_samples, constant_ranges, look};
use crate::observer::ObserverKind;
use crate::ranges::{Activations, activation_operands, choose, separate_softmax};
use crate::report::{Decision, LayerReport, OutputReport, Report, Sqnr, WeightReport};
use crate::simulate::Simulation;
use crate::types::QuantGraph;
use crate::weights::{Raised, quantize_weights, weight_users};

/// How to quantize.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// How ranges of activations are chosen. Default: [`ObserverKind::Auto`].
    pub observer: ObserverKind,
    /// Whether the mean errors of layers are taken off their biases. Default: [`BiasCorrection::Auto`].
    pub bias_correction: BiasCorrection,
    /// On how many samples, spread evenly over the calibration samples, the result is checked against float.
    /// More make the report more exact and cost three runs each. Default: 32. With 0, every SQNR reads 200.
    pub check_samples: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { observer: ObserverKind::default(), bias_correction: BiasCorrection::default(), check_samples: 32 }
    }
}

/// Whether the mean error that quantization makes in each output channel of a layer is taken off its bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BiasCorrection {
    /// If the outputs come closer to float with it, as measured on calibration samples.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

/// A phase of [`quantize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Float runs over all calibration samples; counts samples.
    Observe,
    /// Ranges are compared by what they do to the outputs; counts samples. Only with [`ObserverKind::Auto`].
    Choose,
    /// Biases are corrected and the outputs compared; counts samples. Not with [`BiasCorrection::Off`].
    Correct,
    /// Weights; counts weight constants.
    Quantize,
    /// Float against simulation; counts samples.
    Check,
}

impl Phase {
    /// `observe`, `choose`, `correct`, `quantize`, `check`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Observe => "observe",
            Phase::Choose => "choose",
            Phase::Correct => "correct",
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
pub(crate) struct Counter<'a> {
    report: &'a (dyn Fn(Progress) + Sync),
    phase: Phase,
    done: AtomicUsize,
    total: usize,
}

impl<'a> Counter<'a> {
    pub(crate) fn new(report: &'a (dyn Fn(Progress) + Sync), phase: Phase, total: usize) -> Self {
        report(Progress { phase, done: 0, total });
        Self { report, phase, done: AtomicUsize::new(0), total }
    }

    /// Reports nothing.
    pub(crate) fn silent() -> Self {
        Self { report: &|_| {}, phase: Phase::Check, done: AtomicUsize::new(0), total: 0 }
    }

    /// What goes beyond the total is not reported.
    pub(crate) fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done <= self.total {
            (self.report)(Progress { phase: self.phase, done, total: self.total });
        }
    }

    /// Reports that all is done, if it took less than the total.
    pub(crate) fn finish(&self) {
        if self.done.swap(self.total, Ordering::Relaxed) < self.total {
            (self.report)(Progress { phase: self.phase, done: self.total, total: self.total });
        }
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
/// weights that are no constants; a FakeQuantize that has no int8 form; a graph that [`Graph::check`] refuses. A graph
/// with FakeQuantize nodes needs no samples unless there are values whose range does not follow from those nodes.
pub fn quantize(
    graph: &Graph,
    samples: &[Vec<Tensor>],
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(QuantGraph, Report), QuantError> {
    graph.check()?;
    let (graph, mut given) = given::take(graph)?;
    check_samples(&graph, samples, given.covers_model())?;
    let graph = separate_softmax(&graph);
    let constants = constant_ranges(&graph)?;
    let seen = look(&graph, &given, samples, options.observer, progress)?;
    let wanted = |i: usize| seen.ranges[i].or(constants[i]);
    let mut ranges: Vec<_> = (0..graph.values.len()).map(wanted).collect();
    given.fill(&graph, &mut ranges)?;
    let mut activations = choose(&graph, &ranges);
    given.apply(&graph, &mut activations);

    let build = |graph: Graph, activations: Activations| Built::new(graph, activations, &Counter::silent());
    let mut built = build(graph.clone(), activations)?;
    let mut judge = Judge::new(&graph, samples, progress);
    let (mut groups, mut decision) = (vec![], None);
    if options.observer == ObserverKind::Auto {
        (built, groups, decision) = if !given.covers_model() {
            let again = |mut activations| {
                given.apply(&graph, &mut activations);
                build(graph.clone(), activations)
            };
            let (built, groups, decision) = judge.choose_ranges(&seen.histograms, &ranges, built, &again)?;
            (built, groups, Some(decision))
        } else {
            (built, vec![], Some(Decision::not("the model brought ranges along")))
        };
    }
    let correction = match options.bias_correction {
        BiasCorrection::Off => Decision::not("switched off"),
        _ if given.covers_model() => Decision::not("the model brought ranges along, and biases that go with them"),
        how => {
            let activations = built.activations.clone();
            let again = |graph| build(graph, activations.clone());
            let (corrected, decision) = judge.correct_biases(how == BiasCorrection::On, built, &again)?;
            built = corrected;
            decision
        }
    };

    let counter = Counter::new(progress, Phase::Quantize, weight_users(&built.quantized.graph).len());
    let Built { quantized, activations, raised } = Built::new(built.quantized.graph, built.activations, &counter)?;
    let checked = spread(samples, options.check_samples, false);
    let measures = check(&graph, &quantized, &checked, &seen.extremes, progress)?;
    let mut report = Report {
        model: quantized.graph.name.clone(),
        observer: options.observer.to_string(),
        samples: samples.len(),
        checked_samples: checked.len(),
        ranges: decision,
        bias_correction: correction,
        layers: vec![],
        outputs: vec![],
    };
    fill(&mut report, &quantized, &activations, &raised, &seen.extremes, &measures);
    for layer in &mut report.layers {
        layer.hints.extend(given.note(layer.value).cloned());
        layer.choice = groups.iter().find(|g| g.members.contains(&layer.value)).map(Group::report);
    }
    Ok((quantized, report))
}

/// A quantized graph, and where it comes from.
pub(crate) struct Built {
    pub(crate) quantized: QuantGraph,
    pub(crate) activations: Activations,
    raised: BTreeMap<ValueId, Raised>,
}

impl Built {
    fn new(graph: Graph, mut activations: Activations, counter: &Counter<'_>) -> Result<Self, QuantError> {
        // Corrected biases are values that the choice of ranges did not know.
        activations.resize(graph.values.len(), None);
        let (weights, raised) = all_weights(&graph, &activations, counter)?;
        let quants = activations.iter().map(|a| a.as_ref().map(|(q, _)| q.clone())).collect();
        Ok(Self { quantized: QuantGraph { graph, activations: quants, weights }, activations, raised })
    }
}

type Weights = (BTreeMap<ValueId, crate::types::QuantWeights>, BTreeMap<ValueId, Raised>);

fn all_weights(graph: &Graph, activations: &Activations, counter: &Counter<'_>) -> Result<Weights, QuantError> {
    let (mut weights, mut raised) = Weights::default();
    for (id, nodes) in weight_users(graph) {
        let (w, r) = quantize_weights(graph, id, &nodes, activations)?;
        weights.insert(id, w);
        raised.insert(id, r);
        counter.one_more();
    }
    Ok((weights, raised))
}

fn check(
    graph: &Graph,
    quantized: &QuantGraph,
    samples: &[(usize, &[Tensor])],
    ranges: &[Option<(f32, f32)>],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Measure>, QuantError> {
    let counter = Counter::new(progress, Phase::Check, samples.len());
    let checker = Checker::new(graph, Simulation::new(quantized), ranges);
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
        let Some((quant, source)) = &activations[id.0] else { continue };
        // Without samples, a value has but the range that it was given.
        let range = extremes[id.0].unwrap_or(quant.range());
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
            choice: None,
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
        given_channels: raised.given,
        zero_channels: raised.zero,
        raised_for_multiplier: raised.for_multiplier,
        raised_for_accumulator: raised.for_accumulator,
    }
}
