//! What quantization makes: parameters of activations, int8 weights, and the graph they belong to.

use std::collections::BTreeMap;

use carafe_graph::{Graph, NodeId, Op, ValueId};

/// How an int8 activation stands for real numbers: `real = scale · (q − zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quant {
    /// One scale for the tensor, or one per element of the last axis (channel, NHWC). Never empty, all positive.
    pub scales: Vec<f32>,
    /// −128..=127, one for the tensor.
    pub zero_point: i32,
}

/// Symmetric int8 weights, per output channel (axis 0): `real = scales[o] · q`, q in −127..=127
/// (down to −128 where the model brought them along).
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
    /// NHWC, optimised; its constants stay float (biases, corrected if that helps, are quantized by the lowering, with the
    /// scales of activation and weights: [`QuantGraph::bias`]).
    pub graph: Graph,
    /// By value index. `Some` for inputs, for what nodes make, and for float constants that a node reads like an
    /// activation (an operand of a Binary, an input of a Concat); `None` for weights, biases and values that no
    /// node reads or makes.
    pub activations: Vec<Option<Quant>>,
    /// The weight constants of Conv2d and Dense.
    pub weights: BTreeMap<ValueId, QuantWeights>,
}

impl Quant {
    /// 1/256 and −128: the range 0..1, without its upper end. What Softmax and Sigmoid have.
    pub const UNIT_SCALE: f32 = 1.0 / 256.0;
    /// 1/128 and 0: the range −1..1, without its upper end. What Tanh has.
    pub const TANH_SCALE: f32 = 1.0 / 128.0;

    /// One scale, one zero point.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self { scales: vec![scale], zero_point }
    }

    /// The parameters that cover `min..=max` and 0.
    ///
    /// A range of zero width, or one so narrow that its scale would be no normal f32, is taken as 0..1. The ends
    /// must be finite: NaN counts as 0, infinities as the largest f32.
    pub fn from_range(min: f32, max: f32) -> Self {
        // `f32::min` and `max` drop a NaN operand.
        let (min, max) = (min.min(0.0), max.max(0.0));
        let (min, max) = (f64::from(min.max(f32::MIN)), f64::from(max.min(f32::MAX)));
        let scale = (max - min) / 255.0;
        if scale < f64::from(f32::MIN_POSITIVE) {
            return Self::per_tensor(1.0 / 255.0, -128);
        }
        let zero_point = (-128.0 - min / scale).round().clamp(-128.0, 127.0);
        Self::per_tensor(scale as f32, zero_point as i32)
    }

    /// The scale of the tensor (of its first channel, if it has several).
    pub fn scale(&self) -> f32 {
        self.scale_of(0)
    }

    /// The scale of channel `channel` of the last axis.
    pub fn scale_of(&self, channel: usize) -> f32 {
        let i = if self.scales.len() > 1 { channel } else { 0 };
        self.scales.get(i).copied().unwrap_or(1.0)
    }

    /// The scale of the input channel that output channel `channel` of `channels` of a depthwise convolution reads. With
    /// one scale, that.
    pub fn scale_under(&self, channel: usize, channels: usize) -> f32 {
        let multiplier = channels.checked_div(self.scales.len()).unwrap_or(1).max(1);
        self.scale_of(channel / multiplier)
    }

    /// The int8 that stands for `x`: `round(x / scale) + zero_point`, halves away from zero, saturated to
    /// −128..=127. NaN becomes the zero point.
    pub fn quantize(&self, x: f32) -> i8 {
        self.unclamped(x, 0).clamp(-128, 127) as i8
    }

    /// The real number that `q` stands for.
    pub fn dequantize(&self, q: i8) -> f32 {
        self.scale() * (i32::from(q) - self.zero_point) as f32
    }

    /// The smallest and the largest real number that can be represented.
    pub fn range(&self) -> (f32, f32) {
        let scale = self.scales.iter().copied().fold(0.0, f32::max);
        (scale * (-128 - self.zero_point) as f32, scale * (127 - self.zero_point) as f32)
    }

    /// As [`Quant::quantize`] for a channel, before saturation to int8.
    pub(crate) fn unclamped(&self, x: f32, channel: usize) -> i32 {
        ((x / self.scale_of(channel)).round() as i32).saturating_add(self.zero_point)
    }

    /// Quantizes and dequantizes every element in place; returns how many saturated.
    pub(crate) fn fake(&self, data: &mut [f32]) -> u64 {
        let ends = (-128 - self.zero_point, 127 - self.zero_point);
        let mut saturated = 0;
        if let [scale] = self.scales[..] {
            // Counted in 32 bits a piece, for the vectorizer's sake.
            for piece in data.chunks_mut(4096) {
                saturated += u64::from(piece.iter_mut().map(|x| fake_one(x, scale, ends)).sum::<u32>());
            }
            return saturated;
        }
        for pixel in data.chunks_mut(self.scales.len().max(1)) {
            saturated += u64::from(pixel.iter_mut().zip(&self.scales).map(|(x, s)| fake_one(x, *s, ends)).sum::<u32>());
        }
        saturated
    }
}

/// Brings `x` to the grid of a scale whose steps are `ends.0..=ends.1`; returns 1 if it saturated.
#[inline(always)]
fn fake_one(x: &mut f32, scale: f32, (low, high): (i32, i32)) -> u32 {
    /// The largest f32 below 0.5. Adding it and truncating is `f32::round`, without a call.
    const HALF: f32 = 0.5 - f32::EPSILON / 4.0;
    // No end is beyond 256, so that nothing changes for what is beyond 1024. NaN stays and becomes 0.
    let steps = (*x / scale).clamp(-1024.0, 1024.0);
    let q = (steps + HALF.copysign(steps)) as i32;
    let clamped = q.clamp(low, high);
    *x = scale * clamped as f32;
    u32::from(q != clamped)
}

/// The int32 that stands for a bias: `round(bias / (input_scale · weight_scale))` in f64, halves away from zero,
/// saturated.
pub fn quantize_bias(bias: f32, input_scale: f32, weight_scale: f32) -> i32 {
    (f64::from(bias) / (f64::from(input_scale) * f64::from(weight_scale))).round() as i32
}

impl QuantWeights {
    /// The float weights that the integers stand for, in the order of `data`.
    pub fn dequantize(&self) -> Vec<f32> {
        let per_channel = self.data.len() / self.scales.len().max(1);
        let scale = |i: usize| self.scales.get(i / per_channel.max(1)).copied().unwrap_or(0.0);
        self.data.iter().enumerate().map(|(i, &q)| scale(i) * f32::from(q)).collect()
    }
}

impl QuantGraph {
    /// The parameters of a value: an input, what a node makes, or a constant that is read like an activation.
    /// `None` for weights, biases, unused values and ids out of range.
    pub fn activation(&self, id: ValueId) -> Option<&Quant> {
        self.activations.get(id.0)?.as_ref()
    }

    /// The int32 biases of a Conv2d or Dense, one per output channel, zeros if it has no bias operand.
    /// `None` if `node` is no such node of this graph.
    pub fn bias(&self, node: NodeId) -> Option<Vec<i32>> {
        let node = self.graph.nodes.get(node.0)?;
        if !matches!(node.op, Op::Conv2d(_) | Op::Dense { .. }) {
            return None;
        }
        let input = self.activation(*node.inputs.first()?)?;
        let scales = &self.weights.get(node.inputs.get(1)?)?.scales;
        let Some(bias) = node.inputs.get(2) else { return Some(vec![0; scales.len()]) };
        let bias = self.graph.constant(*bias)?.as_f32()?;
        let input_scale = |channel| input.scale_under(channel, scales.len());
        Some(bias.iter().zip(scales).enumerate().map(|(c, (&b, &s))| quantize_bias(b, input_scale(c), s)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn range_examples() {
        assert_eq!(Quant::from_range(0.0, 255.0), Quant::per_tensor(1.0, -128));
        assert_eq!(Quant::from_range(2.0, 25.5), Quant::per_tensor(0.1, -128), "0 is always included");
        assert_eq!(Quant::from_range(-127.5, 127.5).zero_point, -1, "-0.5 rounds away from zero");
        assert_eq!(Quant::from_range(-51.0, -5.0), Quant::per_tensor(0.2, 127));
        assert_eq!(Quant::from_range(0.0, 0.0), Quant::per_tensor(1.0 / 255.0, -128));
        assert_eq!(Quant::from_range(0.0, 1e-40), Quant::from_range(0.0, 1.0));
        assert!(Quant::from_range(f32::MIN, f32::MAX).scale().is_finite());
    }

    #[test]
    fn halves_round_away_from_zero_and_ends_saturate() {
        let q = Quant::per_tensor(1.0, 0);
        assert_eq!([0.5, 1.5, -0.5, -1.5, 0.49].map(|x| q.quantize(x)), [1, 2, -1, -2, 0]);
        assert_eq!([1e30, -1e30, f32::INFINITY, f32::NAN].map(|x| q.quantize(x)), [127, -128, 127, 0]);
        assert_eq!(q.range(), (-128.0, 127.0));
        let mut data = [0.4, 200.0, -300.0];
        assert_eq!(q.fake(&mut data), 2);
        assert_eq!(data, [0.0, 127.0, -128.0]);
    }

    #[test]
    fn per_channel_scales_follow_the_last_axis() {
        let q = Quant { scales: vec![1.0, 0.5], zero_point: 0 };
        let mut data = [0.6, 0.6, 10.3, 10.3];
        q.fake(&mut data);
        assert_eq!(data, [1.0, 0.5, 10.0, 10.5]);
    }

    #[test]
    fn bias_rounds_and_saturates() {
        assert_eq!(quantize_bias(1.0, 0.5, 0.5), 4);
        assert_eq!(quantize_bias(-0.125, 0.5, 0.5), -1);
        assert_eq!(quantize_bias(1e30, 1e-10, 1e-10), i32::MAX);
    }

    fn ends() -> impl Strategy<Value = (f32, f32)> {
        (-30f32..30.0, -1f32..1.0, -1f32..1.0).prop_map(|(e, a, b)| {
            let m = e.exp2();
            (m * a.min(b), m * a.max(b))
        })
    }

    proptest! {
        #[test]
        fn round_trip_is_within_half_a_step((min, max) in ends(), t in 0f32..=1.0) {
            let q = Quant::from_range(min, max);
            let x = (min + t * (max - min)).clamp(min, max);
            let error = (f64::from(q.dequantize(q.quantize(x))) - f64::from(x)).abs();
            prop_assert!(error <= f64::from(q.scale()) * 0.50002, "{x}: error {error}, scale {}", q.scale());
        }

        #[test]
        fn zero_is_exact_and_the_zero_point_is_an_int8((min, max) in ends()) {
            let q = Quant::from_range(min, max);
            prop_assert!((-128..=127).contains(&q.zero_point));
            prop_assert_eq!(q.dequantize(q.quantize(0.0)), 0.0);
            let (low, high) = q.range();
            prop_assert!(low <= 0.0 && 0.0 <= high);
        }

        #[test]
        fn fake_is_quantize_and_back((min, max) in ends(), x in any::<f32>(), t in -0.5f32..1.5, steps in -600i32..600) {
            let q = Quant::from_range(min, max);
            // Anything, what is near the range, and halves of steps with their neighbours.
            let half = q.scale() * (steps as f32 / 2.0);
            for x in [x, min + t * (max - min), half, half.next_up(), half.next_down()] {
                let mut made = [x];
                let saturated = q.fake(&mut made);
                let int = ((x / q.scale()).round() as i32).saturating_add(q.zero_point);
                prop_assert_eq!(made[0], q.dequantize(q.quantize(x)), "{}", x);
                prop_assert_eq!(saturated, u64::from(int != int.clamp(-128, 127)));
            }
        }

        #[test]
        fn any_range_gives_usable_parameters(min in any::<f32>(), max in any::<f32>()) {
            let q = Quant::from_range(min, max);
            prop_assert!(q.scale().is_normal() && q.scale() > 0.0);
            prop_assert!((-128..=127).contains(&q.zero_point));
        }

        #[test]
        fn every_int8_survives_the_way_back((min, max) in ends(), i in any::<i8>()) {
            let q = Quant::from_range(min, max);
            prop_assert_eq!(q.quantize(q.dequantize(i)), i);
        }
    }
}
