//! Brings a float graph to int8 after training: observes ranges over calibration samples, chooses scales and zero
//! points, quantizes weights, and reports what that cost, layer by layer.
//!
//! ```no_run
//! # fn load() -> (carafe_graph::Graph, Vec<Vec<carafe_graph::Tensor>>) { unimplemented!() }
//! use carafe_quantizer::{Options, quantize};
//!
//! let (graph, samples) = load(); // NHWC, optimised; one Vec of input tensors per sample
//! let (quantized, report) = quantize(&graph, &samples, &Options::default(), &|_| {})?;
//! for layer in report.worst(5) {
//!     println!("{:30} {:6.1} dB  {}", layer.name, layer.sqnr_db, layer.hints.join("; "));
//! }
//! # let _ = quantized;
//! # Ok::<(), carafe_quantizer::QuantError>(())
//! ```
//!
//! # Phases
//!
//! 1. **Observe.** The float graph runs over every sample, on all cores; an [`Observer`] of each value decides what
//!    range of real numbers int8 has to cover.
//! 2. **Choose** ([`ObserverKind::Auto`]) and **correct** ([`BiasCorrection`]): what helps the outputs, by measurement.
//! 3. **Quantize.** Ranges become scales and zero points, weights become int8.
//! 4. **Check.** On up to [`Options::check_samples`] samples the float graph runs against a [`Simulation`] of the
//!    integer one, and the [`Report`] says how far apart they are after every node, how much of that each node added
//!    by itself, and why.
//!
//! The result depends on the samples and their order alone, never on the number of threads.
//!
//! # Observers
//!
//! One pass over the samples. [`MinMax`] keeps two numbers a value; the others a [`Histogram`] of at most 2048 bins (16
//! KB), whose bins are powers of two wide, so that merging is exact and neither threads nor order matter. Of tensors
//! with more than 16,384 elements a part is counted; the extremes are those of all elements.
//!
//! * **MinMax** covers all that was seen.
//! * **Percentile** leaves half of `100 − P` % of the elements out at either end.
//! * **Mse** takes the range with the least mean squared error of rounding and clipping together, found by moving both
//!   ends towards 0, as in Banner et al., *Post training 4-bit quantization of convolutional networks for rapid-deployment*
//!   (NeurIPS 2019), with the histogram in place of a model of the distribution.
//! * **Entropy** takes the range with the least Kullback-Leibler divergence between the distribution and what int8
//!   leaves of it (Migacz, *8-bit Inference with TensorRT*, GTC 2017), for ranges with a zero point.
//!
//! # The choice
//!
//! The error of a tensor by itself misleads: it is small when few large elements are cut off, and these may be the ones
//! that matter. [`ObserverKind::Auto`] therefore measures at the outputs (at the operand of a final Softmax, its mean
//! taken off, where small differences still show):
//!
//! 1. Each tensor, with those tied to it, may get the ranges of MinMax, Percentile, Mse and Entropy. Those that take less
//!    than 5 % off the tensor's own noise, by the histogram, are dropped, and so are those within 2 % of one that is kept.
//! 2. On 8 to 32 samples each candidate is tried alone: only this tensor is brought to its grid, everything behind it is
//!    computed again in float, and the outputs are compared. The best one is taken if its noise is at least 1 % and one
//!    standard error (over the samples, in pairs) below MinMax's. Trials start with the tensors that promise most and
//!    end with a fixed budget of arithmetic, so that the result does not depend on the speed of the machine.
//! 3. All choices together are compared with MinMax on other samples, 16 to 64, everything quantized. If they are not
//!    better by the same measure, the stronger half of them is tried, and so on; MinMax remains if nothing helps.
//!
//! Outputs themselves keep all of their range: the largest number decides a class, and two that are cut off are equal.
//! [`LayerReport::choice`] has candidates, measurements and the reason, [`Report::ranges`] the comparison as a whole. A
//! model that brought ranges along is not searched.
//!
//! # Bias correction
//!
//! Rounded weights and clipped inputs make errors whose mean over pixels and samples is not 0. This mean is measured for
//! each output channel, before the clamp, on 16 to 64 samples, with the layer's exact inputs brought to their grid, and
//! taken off the bias: Nagel et al., *Data-Free Quantization Through Weight Equalization and Bias Correction* (ICCV
//! 2019), section 4.2, the empirical variant. Of the mean, the part that chance has in it is left out (by the standard
//! error over the samples), since a layer without pixels has few numbers to average. By default, corrected biases are
//! kept if that brings the outputs closer to float on samples other than those; [`Report::bias_correction`] says so.
//! They are constants of [`QuantGraph::graph`].
//!
//! # Activations
//!
//! One scale and one zero point for a tensor, `real = scale · (q − zero_point)`, q in −128..=127. The range is
//! widened to include 0, so that zero padding is exact; then `scale = (max − min) / 255` and
//! `zero_point = round(−128 − min / scale)`, which shifts the range by at most half a step. This is the affine
//! scheme of Jacob et al., *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
//! Inference* (CVPR 2018), with the choices of the TensorFlow Lite 8-bit quantization specification and of ONNX
//! Runtime's MinMax calibration (QInt8 activations).
//!
//! * A **fused clamp** (ReLU) needs no rule of its own: what is observed is the output, after the clamp.
//! * **Fixed** parameters, since the range is known: Softmax and Sigmoid 1/256 and −128, Tanh 1/128 and 0.
//! * **Tied** values share parameters, because the op between them only moves bytes: input and output of MaxPool,
//!   ReduceMax, ReduceMin, Reshape, Transpose and Pad, all inputs and the output of Concat. A tied group has the union
//!   of its members' ranges (the fill value of a Pad is in its output, so it counts). Sigmoid and Tanh give their
//!   fixed parameters up when tied to something wider: they are tables, for which one scale is as good as another.
//!   Softmax never does: where it meets other values in a Concat, a `Clamp(0, 1)` is put between, which changes
//!   no number but the scale. [`QuantGraph::graph`] may therefore have nodes that the graph passed in has not.
//! * A value that was **never anything but 0** gets the parameters of the range 0..1. If a convolution or dense layer
//!   made it, the scale is at least the largest unit of that layer's accumulators, so that the multiplier stays ≤ 1.
//! * **Constants read like activations** (an operand of an addition, an input of a Concat) are treated as
//!   activations whose range is known.
//!
//! # What the model brings along
//!
//! FakeQuantize nodes (NNCF, quantization-aware training) are removed, and the value that each reads keeps *its*
//! parameters, whatever was observed ([`RangeSource::Given`]): the step of the node, and zero moved to the nearest
//! integer, as OpenVINO does. Fewer than 256 levels are kept by a clamp. Ranges per channel, which NNCF gives to the
//! inputs of depthwise convolutions, become a scale per channel and one zero point; channels whose zero points differ
//! are widened to one. A `requantize` node (a `Clamp`, which changes the scale and no number) is put
//!
//! * between a value with a scale per channel and an op other than a depthwise convolution or MaxPool, and between such
//!   a value and an op that cannot make it (all but Conv2d and Dense; there, also if a fused clamp would need another
//!   integer in every channel);
//! * between tied values that were given different parameters;
//! * for each FakeQuantize but the widest where several different ones read one value, and where one that cuts off
//!   all negative numbers reads a value that others read whole.
//!
//! Values without a FakeQuantize are observed like any other. Without samples, their ranges follow from those of the
//! operands ([`RangeSource::Derived`]): exactly for functions of one element, by interval arithmetic for sums and
//! products of two, and for convolutions and dense layers by the largest sum of products, or five standard deviations
//! for operands that vary independently, whichever is less. One such layer may follow another only with a given range
//! between them. Ranges are not chosen by measurement then, and biases not corrected: the model's go with its ranges.
//!
//! Weights that were integers in the model ([`carafe_graph::Value::steps`]) stay the same integers with the same
//! scales, −128 included, as long as the integer arithmetic can hold them ([`WeightReport::given_channels`]).
//!
//! # Weights and biases
//!
//! Conv2d and Dense weights: one scale per output channel (axis 0), symmetric, `scale = max|w| / 127`, q in
//! −127..=127. Biases are int32 with scale `s_in · s_w` and zero point 0: [`QuantGraph::bias`]. A channel's scale is
//! raised above `max|w| / 127` where the integer arithmetic would suffer otherwise:
//!
//! * the multiplier `s_in · s_w / s_out` is kept at 2⁻¹⁶ or more. This touches channels whose weights are zero or so
//!   small that the channel makes nothing but its bias; they would need multipliers without significant bits. A channel
//!   of zeros has just this scale, in which its bias is exact to 2⁻¹⁷ output steps;
//! * the bias stays within ±2³⁰ units;
//! * `256 · Σ|w_q| + |bias_q| < 2³¹`, so no accumulator overflows, with the input zero point folded into the bias
//!   (|x_q| ≤ 128 and |zero_point| ≤ 128) or subtracted from the input (|x_q − zero_point| ≤ 255), in whatever order
//!   the products are added.
//!
//! How many channels were raised is in the report ([`WeightReport`]).
//!
//! # Rounding
//!
//! To nearest, halves away from zero (`f32::round`, C's `roundf`), everywhere: `q = round(x / scale) + zero_point`,
//! saturated, with a division in f32 for activations and weights, and in f64 for biases.
#![forbid(unsafe_code)]

mod auto;
mod check;
mod error;
mod given;
mod hints;
mod histogram;
mod observe;
mod observer;
mod quantize;
mod ranges;
mod report;
mod search;
mod simulate;
mod types;
mod weights;

pub use error::QuantError;
pub use histogram::Histogram;
pub use observer::{Distribution, MinMax, Observer, ObserverKind, ObserverNameError};
pub use quantize::{BiasCorrection, Options, Phase, Progress, quantize};
pub use report::{Candidate, Choice, Decision, LayerReport, OutputReport, RangeSource, Report, WeightReport};
pub use simulate::Simulation;
pub use types::{Quant, QuantGraph, QuantWeights, quantize_bias};
