//! Runs the float graph over the samples and watches what comes by.

use carafe_graph::exec::{Hook, run_with};
use carafe_graph::{Graph, Tensor, ValueId};
use rayon::prelude::*;

use crate::error::QuantError;
use crate::given::Given;
use crate::histogram::Histogram;
use crate::observer::{Distribution, MinMax, Observer, ObserverKind};
use crate::quantize::{Counter, Phase, Progress};
use crate::ranges::activation_operands;
use crate::simulate::fake;

/// Samples that one task runs in sequence. Fixed, so that sums do not depend on the number of threads.
pub(crate) const TASK: usize = 4;
/// The most tasks that observe.
const TASKS: usize = 64;

/// What was observed, by value index.
pub(crate) struct Seen {
    pub(crate) extremes: Vec<Option<(f32, f32)>>,
    pub(crate) ranges: Vec<Option<(f32, f32)>>,
    /// Only with [`ObserverKind::Auto`].
    pub(crate) histograms: Vec<Option<Histogram>>,
}

/// Observes with the observer of a kind.
pub(crate) fn look(
    graph: &Graph,
    given: &Given,
    samples: &[Vec<Tensor>],
    kind: ObserverKind,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Seen, QuantError> {
    fn ends<O>(seen: &[Option<O>], f: impl Fn(&O) -> Option<(f32, f32)> + Sync) -> Vec<Option<(f32, f32)>>
    where
        O: Observer + Sync,
    {
        seen.par_iter().map(|o| o.as_ref().and_then(&f)).collect()
    }
    if kind == ObserverKind::MinMax {
        let seen = observe(graph, given, samples, MinMax::default, progress)?;
        return Ok(Seen {
            extremes: ends(&seen, MinMax::extremes),
            ranges: ends(&seen, MinMax::range),
            histograms: vec![],
        });
    }
    let seen = observe(graph, given, samples, || Distribution::new(kind), progress)?;
    let (extremes, ranges) = (ends(&seen, Distribution::extremes), ends(&seen, Distribution::range));
    let histograms = seen.into_iter().map(|o| o.map(Distribution::into_histogram)).collect();
    Ok(Seen { extremes, ranges, histograms })
}

/// Refuses samples that do not fit the graph's inputs.
pub(crate) fn check_samples(graph: &Graph, samples: &[Vec<Tensor>], has_ranges: bool) -> Result<(), QuantError> {
    if samples.is_empty() && !has_ranges {
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
pub(crate) fn constant_ranges(graph: &Graph) -> Result<Vec<Option<(f32, f32)>>, QuantError> {
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
    given: &'a Given,
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
        // What comes after is observed as it will be: a network that was trained or calibrated with these ranges may
        // count on their cutting off.
        if let Some(quant) = self.given.quant(value) {
            fake(quant, tensor);
        }
    }
}

/// Runs the float graph over all samples; one observer for each value that is no constant.
fn observe<O: Observer>(
    graph: &Graph,
    given: &Given,
    samples: &[Vec<Tensor>],
    make: impl Fn() -> O + Sync,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Option<O>>, QuantError> {
    let counter = Counter::new(progress, Phase::Observe, samples.len());
    let fresh = || graph.values.iter().map(|v| v.constant.is_none().then(&make)).collect::<Vec<_>>();
    // Observers of all tasks wait to be merged: a number of tasks that is bounded, and depends on the samples alone.
    let length = samples.len().div_ceil(TASKS).max(TASK);
    let task = |(index, chunk): (usize, &[Vec<Tensor>])| {
        let first = index * length;
        let mut observers = fresh();
        for (sample, inputs) in chunk.iter().enumerate().map(|(i, s)| (first + i, s)) {
            let mut watch = Watch { given, observers: &mut observers, bad: None };
            run_with(graph, inputs, &mut watch).map_err(|source| QuantError::Run { sample, source })?;
            if let Some(bad) = watch.bad {
                return Err(activation_not_finite(graph, sample, bad));
            }
            counter.one_more();
        }
        Ok(observers)
    };
    let parts: Vec<_> = samples.par_chunks(length).enumerate().map(task).collect();
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
