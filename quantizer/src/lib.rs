//! Brings a float graph to int8: observes ranges over calibration samples, chooses scales and zero points,
//! quantizes weights, and reports what it did.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use carafe_graph::{Graph, ValueId};

/// How an int8 activation stands for real numbers: `real = scale · (q − zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quant {
    /// One scale for the tensor, or one per element of the last axis (channel, NHWC).
    pub scales: Vec<f32>,
    /// −128..=127, one for the tensor.
    pub zero_point: i32,
}

/// Symmetric int8 weights, per output channel (axis 0): `real = scales[o] · q`, q in −127..=127.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantWeights {
    /// In the order of the float constant (`[O, I, KH, KW]` or `[N, K]`).
    pub data: Vec<i8>,
    /// One per output channel.
    pub scales: Vec<f32>,
}

/// A float graph together with what makes it an integer one.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantGraph {
    /// NHWC, optimised; its constants stay float (biases are quantized by the lowering, with the scales of
    /// activation and weights).
    pub graph: Graph,
    /// By value index; `None` for constants.
    pub activations: Vec<Option<Quant>>,
    /// The weight constants of Conv2d and Dense.
    pub weights: BTreeMap<ValueId, QuantWeights>,
}
