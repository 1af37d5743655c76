//! int8 weights per output channel.

use std::collections::BTreeMap;

use carafe_graph::{Graph, Node, Op, ValueId};

use crate::error::QuantError;
use crate::ranges::Activations;
use crate::types::{Quant, QuantWeights, quantize_bias};

/// The smallest multiplier `s_in · s_w / s_out`: at 2⁻¹⁶ a 32-bit fixed-point multiplier still has 16 significant
/// bits, and a weight of one unit makes less than 2⁻⁸ output steps.
const MIN_MULTIPLIER: f64 = 1.0 / 65536.0;
/// Bias units that leave half of the accumulator's range to the products.
const MAX_BIAS: f64 = (1u64 << 30) as f64;
/// What `256 · Σ|w_q| + |bias_q|` must stay below.
const MAX_ACCUMULATOR: i64 = 1 << 31;

/// Why scales are larger than `max|w| / 127`: numbers of channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raised {
    /// Integers and scale are those of the model.
    pub(crate) given: usize,
    /// All weights are 0.
    pub(crate) zero: usize,
    /// The multiplier would be below 2⁻¹⁶ (zero channels included).
    pub(crate) for_multiplier: usize,
    /// The bias or an accumulator would be too large.
    pub(crate) for_accumulator: usize,
}

/// One Conv2d or Dense that uses a weight constant.
struct User<'a> {
    input: Quant,
    output: Quant,
    bias: Option<&'a [f32]>,
    channels: usize,
}

impl User<'_> {
    fn bias(&self, channel: usize) -> f32 {
        self.bias.and_then(|b| b.get(channel)).copied().unwrap_or(0.0)
    }

    fn input_scale(&self, channel: usize) -> f32 {
        self.input.scale_under(channel, self.channels)
    }

    /// The smallest scale of a channel with a multiplier of enough bits.
    fn floor(&self, channel: usize) -> f64 {
        MIN_MULTIPLIER * f64::from(self.output.scale_of(channel)) / f64::from(self.input_scale(channel))
    }

    /// The smallest scale of a channel that its bias allows.
    fn for_bias(&self, channel: usize) -> f64 {
        f64::from(self.bias(channel).abs()) / (f64::from(self.input_scale(channel)) * MAX_BIAS)
    }
}

/// Weight constants with the nodes that use them as weights.
pub(crate) fn weight_users(graph: &Graph) -> BTreeMap<ValueId, Vec<&Node>> {
    let mut users: BTreeMap<ValueId, Vec<&Node>> = BTreeMap::new();
    for node in &graph.nodes {
        if let (Op::Conv2d(_) | Op::Dense { .. }, Some(w)) = (&node.op, node.inputs.get(1)) {
            users.entry(*w).or_default().push(node);
        }
    }
    users
}

/// Quantizes one weight constant for all nodes that use it.
pub(crate) fn quantize_weights(
    graph: &Graph,
    weights: ValueId,
    users: &[&Node],
    activations: &Activations,
) -> Result<(QuantWeights, Raised), QuantError> {
    let not_constant = |v: ValueId, n: &Node| QuantError::NotConstant {
        kind: n.op.kind(),
        node: n.name.clone(),
        tensor: graph.value(v).name.clone(),
    };
    let floats = |v: ValueId, n: &Node| graph.constant(v).and_then(|t| t.as_f32()).ok_or_else(|| not_constant(v, n));
    let quant = |v: Option<&ValueId>| {
        v.and_then(|v| activations[v.0].as_ref()).map_or_else(|| Quant::per_tensor(1.0, 0), |(q, _)| q.clone())
    };
    let channels = graph.value(weights).shape.first().copied().unwrap_or(1);
    let (mut data, mut layers) = (&[][..], vec![]);
    for node in users {
        data = floats(weights, node)?;
        let bias = node.inputs.get(2).map(|b| floats(*b, node)).transpose()?;
        layers.push(User { input: quant(node.inputs.first()), output: quant(node.outputs.first()), bias, channels });
    }
    let per_channel = data.len().checked_div(channels).unwrap_or(0);
    let (mut raised, mut scales, mut quantized) = (Raised::default(), vec![], Vec::with_capacity(data.len()));
    for channel in 0..channels {
        let at = channel * per_channel..(channel + 1) * per_channel;
        let row = data.get(at.clone()).unwrap_or_default();
        let steps = graph.steps(weights).and_then(|t| t.as_f32()?.get(at));
        let scale = match steps.and_then(|steps| given_channel(row, steps, channel, &layers)) {
            Some((scale, integers)) => {
                raised.given += 1;
                quantized.extend(integers);
                scale
            }
            None => channel_scale(row, channel, &layers, &mut raised, &mut quantized),
        };
        scales.push(scale);
    }
    Ok((QuantWeights { data: quantized, scales }, raised))
}

/// The integers that a channel's weights are in the model, and their scale, if it has one scale and the integer
/// arithmetic can hold them.
fn given_channel(row: &[f32], steps: &[f32], channel: usize, users: &[User<'_>]) -> Option<(f32, Vec<i8>)> {
    let (&scale, rest) = steps.split_first()?;
    let integers: Option<Vec<i8>> = row
        .iter()
        .map(|w| w / scale)
        .map(|q| (-128.5..127.5).contains(&q).then(|| q.round().clamp(-128.0, 127.0) as i8))
        .collect();
    let integers = integers.filter(|_| scale.is_normal() && rest.iter().all(|s| *s == scale))?;
    let least = users.iter().map(|u| u.floor(channel).max(u.for_bias(channel))).fold(0.0, f64::max);
    let fits = f64::from(scale) >= least && accumulator(&integers, scale, channel, users) < MAX_ACCUMULATOR;
    fits.then_some((scale, integers))
}

/// The largest magnitude of a sum on the way to an accumulator.
fn accumulator(integers: &[i8], scale: f32, channel: usize, users: &[User<'_>]) -> i64 {
    let sum: i64 = integers.iter().map(|q| i64::from(q.unsigned_abs())).sum();
    let bias = |u: &User<'_>| i64::from(quantize_bias(u.bias(channel), u.input_scale(channel), scale).unsigned_abs());
    256 * sum + users.iter().map(bias).max().unwrap_or(0)
}

/// Chooses the scale of one channel and appends its quantized weights.
fn channel_scale(row: &[f32], channel: usize, users: &[User<'_>], raised: &mut Raised, out: &mut Vec<i8>) -> f32 {
    let normal = |s: f64| s.clamp(f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)) as f32;
    let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
    let own = f64::from(largest) / 127.0;
    let max_of = |f: &dyn Fn(&User<'_>) -> f64| users.iter().map(f).fold(0.0, f64::max);
    let floor = max_of(&|u| u.floor(channel));
    let for_bias = max_of(&|u| u.for_bias(channel));
    let start = out.len();
    let mut scale = normal(own.max(floor).max(for_bias));
    let mut for_accumulator = for_bias > own.max(floor);
    loop {
        out.truncate(start);
        out.extend(row.iter().map(|w| (w / scale).round().clamp(-127.0, 127.0) as i8));
        let total = accumulator(&out[start..], scale, channel, users);
        if total < MAX_ACCUMULATOR || scale == f32::MAX {
            break;
        }
        // Rounding may keep the sum a little above the bound: overshoot by 0.1 %.
        scale = normal(f64::from(scale) * (total as f64 / MAX_ACCUMULATOR as f64) * 1.001);
        for_accumulator = true;
    }
    raised.zero += usize::from(largest == 0.0);
    raised.for_multiplier += usize::from(floor > own && !for_accumulator);
    raised.for_accumulator += usize::from(for_accumulator);
    scale
}

#[cfg(test)]
mod tests {
    use carafe_graph::{Activation, Tensor};
    use proptest::prelude::*;

    use super::*;
    use crate::report::RangeSource;
    use crate::types::Quant;

    fn dense(weights: Tensor, bias: Option<Vec<f32>>, s_in: f32, s_out: f32) -> (QuantWeights, Raised) {
        let mut g = Graph::default();
        let (n, k) = (weights.shape[0], weights.shape[1]);
        let x = g.add_value("x", [1, k]);
        let w = g.add_constant("w", weights);
        let mut inputs = vec![x, w];
        inputs.extend(bias.map(|b| g.add_constant("b", Tensor::f32([n], b))));
        let y = g.add_value("y", [1, n]);
        let op = Op::Dense { activation: Activation::None };
        g.nodes.push(Node { name: "dense".into(), origin: "test".into(), op, inputs, outputs: vec![y] });
        let mut act: Activations = vec![None; g.values.len()];
        act[x.0] = Some((Quant::per_tensor(s_in, 0), RangeSource::Observed));
        act[y.0] = Some((Quant::per_tensor(s_out, 0), RangeSource::Observed));
        quantize_weights(&g, w, &weight_users(&g)[&w], &act).unwrap()
    }

    #[test]
    fn channels_have_their_own_scales() {
        let (q, raised) = dense(Tensor::f32([2, 2], vec![1.27, -0.5, 0.0, -12.7]), None, 0.1, 0.1);
        assert_eq!(q.data, [127, -50, 0, -127]);
        assert!((q.scales[0] - 0.01).abs() < 1e-8 && (q.scales[1] - 0.1).abs() < 1e-7);
        assert_eq!(raised, Raised::default());
    }

    #[test]
    fn a_zero_channel_represents_its_bias() {
        let (q, raised) = dense(Tensor::f32([1, 2], vec![0.0, 0.0]), Some(vec![3.2]), 0.5, 0.1);
        assert_eq!(q.scales, [0.1 / 0.5 / 65536.0]);
        assert_eq!(quantize_bias(3.2, 0.5, q.scales[0]), 32 * 65536);
        assert_eq!(raised, Raised { zero: 1, for_multiplier: 1, ..Raised::default() });
    }

    #[test]
    fn a_large_bias_raises_the_scale() {
        let (q, raised) = dense(Tensor::f32([1, 1], vec![1e-3]), Some(vec![1e6]), 1e-6, 1e-3);
        let bias = quantize_bias(1e6, 1e-6, q.scales[0]);
        assert!((i64::from(bias) - (1 << 30)).abs() < 128, "{bias}");
        assert_eq!(raised.for_accumulator, 1);
    }

    #[test]
    fn a_long_sum_raises_the_scale() {
        let n = 100_000;
        let (q, raised) = dense(Tensor::f32([1, n], vec![1.0; n]), Some(vec![5.0]), 0.1, 10.0);
        let sum: i64 = q.data.iter().map(|q| i64::from(q.unsigned_abs())).sum();
        assert!(256 * sum < 1 << 31 && q.data[0] > 60, "{}", q.data[0]);
        assert_eq!(raised.for_accumulator, 1);
    }

    proptest! {
        #[test]
        fn accumulators_never_overflow(
            row in proptest::collection::vec(-10f32..10.0, 1..50), bias in -1e9f32..1e9, s_in in 1e-9f32..1e3, s_out in 1e-9f32..1e3,
        ) {
            let k = row.len();
            let (q, _) = dense(Tensor::f32([1, k], row), Some(vec![bias]), s_in, s_out);
            let sum: i64 = q.data.iter().map(|q| i64::from(q.unsigned_abs())).sum();
            let bias = i64::from(quantize_bias(bias, s_in, q.scales[0])).abs();
            prop_assert!(256 * sum + bias < 1 << 31);
            let multiplier = f64::from(s_in) * f64::from(q.scales[0]) / f64::from(s_out);
            prop_assert!(multiplier > MIN_MULTIPLIER * 0.999);
            prop_assert!(q.data.iter().all(|&q| q >= -127));
        }

        #[test]
        fn weights_round_to_half_a_step(row in proptest::collection::vec(-10f32..10.0, 1..50)) {
            let k = row.len();
            let (q, raised) = dense(Tensor::f32([1, k], row.clone()), None, 1.0, 1e-3);
            prop_assert_eq!(raised.for_accumulator, 0);
            for (w, back) in row.iter().zip(q.dequantize()) {
                prop_assert!((w - back).abs() <= q.scales[0] * 0.50001);
            }
        }
    }
}
