//! What a quantization did, for people and for scripts (`serde::Serialize`).

use serde::Serialize;

/// Where the parameters of a value come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RangeSource {
    /// Its own observed range.
    Observed,
    /// The union of the ranges of all values that share them.
    Tied,
    /// The op: Softmax, Sigmoid, Tanh, and what only moves their results.
    Fixed,
    /// A default: the value was 0 on all samples.
    Dead,
    /// The model: a FakeQuantize on the value, or on one that shares its parameters.
    Given,
    /// The ranges of the operands, for want of samples.
    Derived,
}

/// What a quantization did and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Model name.
    pub model: String,
    /// The observer, as on command lines ([`crate::ObserverKind`]'s `Display`).
    pub observer: String,
    /// Calibration samples that ranges were observed on.
    pub samples: usize,
    /// Of these, spread evenly, the ones that SQNR, saturation and percentiles were measured on.
    pub checked_samples: usize,
    /// Whether ranges other than MinMax's were chosen, with observer `auto`. How it came for each tensor is in
    /// [`LayerReport::choice`].
    pub ranges: Option<Decision>,
    /// Whether biases were corrected.
    pub bias_correction: Decision,
    /// The graph inputs, then what each node makes, in order of execution.
    pub layers: Vec<LayerReport>,
    /// The graph outputs, in order.
    pub outputs: Vec<OutputReport>,
}

/// A graph input or what a node makes.
///
/// All SQNR are signal to quantization noise ratios in dB, `10·log10(Σ ref² / Σ (ref − x)²)` over all elements and
/// checked samples, within ±200; 200 also stands for no noise at all.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerReport {
    /// Index of the value in the quantized graph.
    pub value: usize,
    /// Name of the node, or of the input. A node with several outputs stands several times.
    pub name: String,
    /// Kind of the node ([`carafe_graph::Op::kind`]), or `Input`.
    pub kind: &'static str,
    /// Smallest element over all calibration samples.
    pub min: f32,
    /// Largest element over all calibration samples.
    pub max: f32,
    /// The interval that holds 99.9 % of the elements: 0.05 % are below and above it (of the checked samples, to
    /// 1/2048 of the observed range).
    pub central: (f32, f32),
    /// Chosen scale.
    pub scale: f32,
    /// Chosen zero point.
    pub zero_point: i32,
    /// Where scale and zero point come from.
    pub source: RangeSource,
    /// Fraction of the elements, 0..1, that int8 cuts off (of the checked samples).
    pub saturated: f64,
    /// How far the value is from float, all noise of the layers before included.
    pub sqnr_db: f64,
    /// The noise that this node adds by itself: its quantized weights on exact inputs, then its own int8 grid.
    pub own_sqnr_db: f64,
    /// The noise of the int8 grid alone, on exact values.
    pub grid_sqnr_db: f64,
    /// How its range was chosen, with observer `auto`. Tied values have the same choice. `None` where there is none: fixed
    /// and given ranges.
    pub choice: Option<Choice>,
    /// Conv2d and Dense.
    pub weights: Option<WeightReport>,
    /// Plain words on what limits this layer; empty where nothing stands out.
    pub hints: Vec<String>,
}

/// A choice for the whole model, by measurement. The measure is the SQNR of the graph outputs (of the operand of the
/// Softmax that makes them, if one does), on calibration samples; of several outputs the noises are added, each relative
/// to its signal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Decision {
    /// Is it in the quantized graph?
    pub applied: bool,
    /// How much it concerns: tied sets of values whose range is not MinMax's; layers with another bias.
    pub changed: usize,
    /// On how many samples it was measured.
    pub samples: usize,
    /// SQNR of the outputs without it, in dB. `None` if nothing was measured.
    pub without_db: Option<f64>,
    /// SQNR of the outputs with it, in dB.
    pub with_db: Option<f64>,
    /// In words.
    pub why: String,
}

impl Decision {
    /// Nothing was done or measured.
    pub(crate) fn not(why: &str) -> Self {
        Self { applied: false, changed: 0, samples: 0, without_db: None, with_db: None, why: why.into() }
    }
}

/// How the range of a tensor was chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// The observer whose range was taken.
    pub observer: String,
    /// In words.
    pub why: String,
    /// What there was to choose from; MinMax comes first.
    pub candidates: Vec<Candidate>,
}

/// A range that a tensor may get.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The observer.
    pub observer: String,
    /// Lower end, before it is widened to include 0.
    pub min: f32,
    /// Upper end.
    pub max: f32,
    /// SQNR of the tensor itself on this grid, in dB, by its histogram over all calibration samples.
    pub tensor_sqnr_db: f64,
    /// SQNR of the outputs, in dB, when this tensor (with those tied to it) is brought to the grid and nothing else is.
    /// `None` if it was not measured: it promised too little.
    pub output_sqnr_db: Option<f64>,
}

/// The weights of a Conv2d or Dense.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WeightReport {
    /// Output channels.
    pub channels: usize,
    /// Smallest scale.
    pub scale_min: f32,
    /// Largest scale.
    pub scale_max: f32,
    /// SQNR of the weights themselves, in dB, as for activations.
    pub sqnr_db: f64,
    /// Channels whose integers and scale are those of the model.
    pub given_channels: usize,
    /// Channels whose weights are all 0.
    pub zero_channels: usize,
    /// Channels whose scale is above `max|w| / 127` because their multiplier would have too few bits, zero channels
    /// included.
    pub raised_for_multiplier: usize,
    /// Channels whose scale is above `max|w| / 127` because a bias or an accumulator would not fit.
    pub raised_for_accumulator: usize,
}

/// A graph output.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OutputReport {
    /// Name of the value.
    pub name: String,
    /// As [`LayerReport::sqnr_db`].
    pub sqnr_db: f64,
    /// If a Softmax makes the output: the SQNR of what goes into it, the mean over classes taken off each vector first
    /// (Softmax does not see it).
    pub logit_sqnr_db: Option<f64>,
}

impl Report {
    /// The `n` layers that are farthest from float, worst first. For where the noise comes from, sort
    /// [`Report::layers`] by [`LayerReport::own_sqnr_db`].
    pub fn worst(&self, n: usize) -> Vec<&LayerReport> {
        let mut layers: Vec<&LayerReport> = self.layers.iter().collect();
        layers.sort_by(|a, b| a.sqnr_db.total_cmp(&b.sqnr_db));
        layers.truncate(n);
        layers
    }
}

/// Energy of signal and noise, and their ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sqnr {
    signal: f64,
    noise: f64,
}

impl Sqnr {
    pub(crate) fn add(&mut self, reference: f64, x: f64) {
        self.signal += reference * reference;
        self.noise += (reference - x) * (reference - x);
    }

    pub(crate) fn add_all(&mut self, reference: &[f32], x: &[f32]) {
        // Sums of their own for every eighth element: without them each addition would wait for the one before.
        let mut sums = [Self::default(); 8];
        let ((r8, r_rest), (x8, x_rest)) = (reference.as_chunks::<8>(), x.as_chunks::<8>());
        for (r, x) in r8.iter().zip(x8) {
            for (sum, (r, x)) in sums.iter_mut().zip(r.iter().zip(x)) {
                sum.add((*r).into(), (*x).into());
            }
        }
        r_rest.iter().zip(x_rest).for_each(|(&r, &x)| self.add(r.into(), x.into()));
        sums.into_iter().for_each(|s| self.merge(s));
    }

    pub(crate) fn signal(self) -> f64 {
        self.signal
    }

    pub(crate) fn noise(self) -> f64 {
        self.noise
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.signal += other.signal;
        self.noise += other.noise;
    }

    pub(crate) fn db(self) -> f64 {
        if self.noise == 0.0 {
            return 200.0;
        }
        (10.0 * (self.signal / self.noise).log10()).clamp(-200.0, 200.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqnr_of_known_signals() {
        let mut s = Sqnr::default();
        s.add_all(&[1.0, -1.0], &[0.9, -1.1]);
        assert!((s.db() - 20.0).abs() < 1e-5, "{}", s.db());
        assert_eq!(Sqnr::default().db(), 200.0);
        assert_eq!(Sqnr { signal: 0.0, noise: 1.0 }.db(), -200.0);
    }
}
