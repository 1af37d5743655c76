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
//! # Three phases
//!
//! 1. **Observe.** The float graph runs over every sample, on all cores; an [`Observer`] of each value decides what
//!    range of real numbers int8 has to cover. [`MinMax`] covers everything seen.
//! 2. **Quantize.** Ranges become scales and zero points, weights become int8.
//! 3. **Check.** On up to [`Options::check_samples`] samples the float graph runs against a [`Simulation`] of the
//!    integer one, and the [`Report`] says how far apart they are after every node, how much of that each node added
//!    by itself, and why.
//!
//! The result depends on the samples and their order alone, never on the number of threads.
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

mod check;
mod error;
mod hints;
mod observer;
mod quantize;
mod ranges;
mod report;
mod simulate;
mod types;
mod weights;

pub use error::QuantError;
pub use observer::{MinMax, Observer, ObserverKind};
pub use quantize::{Options, Phase, Progress, quantize};
pub use report::{LayerReport, OutputReport, RangeSource, Report, WeightReport};
pub use simulate::Simulation;
pub use types::{Quant, QuantGraph, QuantWeights, quantize_bias};
