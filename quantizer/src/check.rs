//! Measures the simulated integer graph against the float one.

use carafe_graph::exec::{Hook, run_with};
use carafe_graph::{Graph, GraphError, Op, Tensor, ValueId};

use crate::report::Sqnr;
use crate::simulate::Simulation;

/// Steps that the observed range is divided into for percentiles.
const BINS: usize = 2048;

/// What the checked samples tell about one value.
#[derive(Clone, Default)]
pub(crate) struct Measure {
    /// Against float, all noise before included.
    pub(crate) total: Sqnr,
    /// On exact inputs.
    pub(crate) own: Sqnr,
    /// Grid alone.
    pub(crate) grid: Sqnr,
    /// As `total`, with the mean along the axis of the Softmax that reads the value taken off.
    pub(crate) centred: Sqnr,
    pub(crate) saturated: u64,
    pub(crate) elements: u64,
    /// Largest magnitude per element of the last axis.
    pub(crate) channels: Vec<f32>,
    histogram: Vec<u64>,
}

impl Measure {
    fn merge(&mut self, later: &Self) {
        self.total.merge(later.total);
        self.own.merge(later.own);
        self.grid.merge(later.grid);
        self.centred.merge(later.centred);
        self.saturated += later.saturated;
        self.elements += later.elements;
        merge_by(&mut self.channels, &later.channels, |a, b| a.max(b));
        merge_by(&mut self.histogram, &later.histogram, |a, b| a + b);
    }

    /// Takes in the exact value; `range` is what all samples spanned.
    fn exact(&mut self, tensor: &Tensor, data: &[f32], range: (f32, f32)) {
        self.elements += data.len() as u64;
        let channels = tensor.shape.last().copied().unwrap_or(1).max(1);
        self.channels.resize(channels, 0.0);
        for pixel in data.chunks(channels) {
            self.channels.iter_mut().zip(pixel).for_each(|(m, x)| *m = m.max(x.abs()));
        }
        self.histogram.resize(BINS, 0);
        let per_unit = BINS as f64 / (f64::from(range.1) - f64::from(range.0));
        for x in data {
            // A float-to-int cast saturates, and makes 0 of the NaN that an empty range gives.
            let bin = ((f64::from(*x) - f64::from(range.0)) * per_unit) as usize;
            self.histogram[bin.min(BINS - 1)] += 1;
        }
    }

    /// The interval without the 0.05 % smallest and the 0.05 % largest elements.
    pub(crate) fn central(&self, range: (f32, f32)) -> (f32, f32) {
        let tail = self.elements / 2000;
        let beyond = |bins: &mut dyn Iterator<Item = &u64>| {
            let mut sum = 0;
            bins.take_while(|&&n| {
                sum += n;
                sum <= tail
            })
            .count()
        };
        let (low, high) = (beyond(&mut self.histogram.iter()), beyond(&mut self.histogram.iter().rev()));
        let step = (f64::from(range.1) - f64::from(range.0)) / BINS as f64;
        let low = f64::from(range.0) + step * low as f64;
        let high = f64::from(range.1) - step * high as f64;
        (low as f32, high.max(low) as f32)
    }
}

fn merge_by<T: Copy>(into: &mut Vec<T>, from: &[T], f: impl Fn(T, T) -> T) {
    if into.is_empty() {
        into.extend_from_slice(from);
    } else {
        into.iter_mut().zip(from).for_each(|(a, b)| *a = f(*a, *b));
    }
}

/// Adds up measures of the same values.
pub(crate) fn merge(into: &mut [Measure], later: &[Measure]) {
    into.iter_mut().zip(later).for_each(|(a, b)| a.merge(b));
}

/// Compares float and simulation on samples.
pub(crate) struct Checker<'a> {
    graph: &'a Graph,
    simulation: Simulation<'a>,
    /// By value index.
    ranges: &'a [Option<(f32, f32)>],
    /// By value index: the axis of the Softmax that reads it.
    softmax_axes: Vec<Option<usize>>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(graph: &'a Graph, simulation: Simulation<'a>, ranges: &'a [Option<(f32, f32)>]) -> Self {
        let mut softmax_axes = vec![None; graph.values.len()];
        for node in &graph.nodes {
            if let (Op::Softmax { axis }, Some(x)) = (&node.op, node.inputs.first()) {
                softmax_axes[x.0] = Some(*axis);
            }
        }
        Self { graph, simulation, ranges, softmax_axes }
    }

    /// Adds one sample to `measures` (by value index). Runs three times: float, simulated, and every node of the
    /// simulation alone on exact inputs.
    pub(crate) fn sample(&self, inputs: &[Tensor], measures: &mut [Measure]) -> Result<(), GraphError> {
        let mut exact = Keep(vec![None; self.graph.values.len()]);
        run_with(self.graph, inputs, &mut exact)?;
        let exact = exact.0;
        for (i, tensor) in exact.iter().enumerate() {
            let (Some(tensor), Some(range)) = (tensor, self.ranges[i]) else { continue };
            let Some(data) = tensor.as_f32() else { continue };
            measures[i].exact(tensor, data, range);
            let mut grid = tensor.clone();
            measures[i].saturated += self.simulation.fake(ValueId(i), &mut grid);
            measures[i].grid.add_all(data, grid.as_f32().unwrap_or_default());
        }
        let reference = |id: ValueId| exact.get(id.0).and_then(Option::as_ref);
        self.simulation.run_with(inputs, |id, got| {
            let (Some(want), Some(got)) = (reference(id), got.as_f32()) else { return };
            let Some(data) = want.as_f32() else { return };
            measures[id.0].total.add_all(data, got);
            if let Some(axis) = self.softmax_axes[id.0] {
                add_centred(&mut measures[id.0].centred, &want.shape, axis, data, got);
            }
        })?;
        self.simulation.run_inner(inputs, &mut |id, tensor| {
            let Some(want) = reference(id) else { return };
            self.simulation.fake(id, tensor);
            let (data, got) = (want.as_f32().unwrap_or_default(), tensor.as_f32().unwrap_or_default());
            measures[id.0].own.add_all(data, got);
            *tensor = want.clone();
        })?;
        Ok(())
    }
}

/// Keeps every value of a run.
pub(crate) struct Keep(pub(crate) Vec<Option<Tensor>>);

impl Hook for Keep {
    fn value(&mut self, _: &Graph, value: ValueId, tensor: &mut Tensor) {
        self.0[value.0] = Some(tensor.clone());
    }
}

/// Adds to `sqnr` after taking the mean along `axis` off both.
pub(crate) fn add_centred(sqnr: &mut Sqnr, shape: &[usize], axis: usize, want: &[f32], got: &[f32]) {
    let classes = shape.get(axis).copied().unwrap_or(1);
    let inner: usize = shape.iter().skip(axis + 1).product();
    if classes * inner == 0 {
        return;
    }
    for (want, got) in want.chunks(classes * inner).zip(got.chunks(classes * inner)) {
        for i in 0..inner {
            let lane = |d: &[f32]| d.iter().skip(i).step_by(inner).map(|&x| f64::from(x)).collect::<Vec<_>>();
            let (want, got) = (lane(want), lane(got));
            let mean = |d: &[f64]| d.iter().sum::<f64>() / classes as f64;
            let (want_mean, got_mean) = (mean(&want), mean(&got));
            want.iter().zip(&got).for_each(|(w, g)| sqnr.add(w - want_mean, g - got_mean));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn central_leaves_out_the_tails() {
        let mut m = Measure::default();
        let mut data: Vec<f32> = (0..100_000).map(|i| i as f32 / 100_000.0).collect();
        data.push(1000.0);
        let tensor = Tensor::f32([data.len()], data.clone());
        m.exact(&tensor, &data, (0.0, 1000.0));
        let (low, high) = m.central((0.0, 1000.0));
        assert_eq!(low, 0.0);
        assert!((1.0..2.0).contains(&high), "{high}");
        let mut even = Measure::default();
        even.exact(&tensor, &data[..100_000], (0.0, 1.0));
        let (low, high) = even.central((0.0, 1.0));
        assert!((low - 0.0005).abs() < 0.001 && (high - 0.9995).abs() < 0.001, "{low} {high}");
    }

    #[test]
    fn dead_values_have_an_empty_interval() {
        let mut m = Measure::default();
        m.exact(&Tensor::f32([3], vec![0.0; 3]), &[0.0; 3], (0.0, 0.0));
        assert_eq!(m.central((0.0, 0.0)), (0.0, 0.0));
    }

    #[test]
    fn centred_sqnr_ignores_a_common_offset() {
        let mut s = Sqnr::default();
        add_centred(&mut s, &[1, 2, 2], 1, &[1.0, 2.0, 3.0, 4.0], &[11.0, 7.0, 13.0, 9.0]);
        assert_eq!(s.db(), 200.0);
        let mut s = Sqnr::default();
        add_centred(&mut s, &[1, 2], 1, &[1.0, -1.0], &[1.1, -1.1]);
        assert!((s.db() - 20.0).abs() < 1e-4);
    }
}
