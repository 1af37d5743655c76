//! From the limits of a FakeQuantize to int8 parameters.

use carafe_graph::{Graph, Node, Op, ValueId};

use crate::error::QuantError;
use crate::types::Quant;

/// Steps of int8.
const STEPS: f64 = 255.0;

/// What a FakeQuantize says about the value that it reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameters {
    pub(super) quant: Quant,
    /// The limits, one pair or one per channel.
    pub(super) ranges: Vec<(f32, f32)>,
    /// The lowest limit of all channels.
    pub(super) low: f32,
    /// The highest.
    pub(super) high: f32,
    /// Limits inside the range of int8, which saturation alone would not keep.
    pub(super) clip: Option<(f32, f32)>,
    /// What the report should say.
    pub(super) note: Option<String>,
}

impl Parameters {
    /// True if no channel has a wider range in `other`.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let of = |p: &Self, c: usize| p.ranges[if p.ranges.len() > 1 { c } else { 0 }];
        (0..self.ranges.len().max(other.ranges.len())).all(|c| {
            let (a, b) = (of(self, c), of(other, c));
            a.0 <= b.0 && a.1 >= b.1
        })
    }
}

/// Reads the parameters of a FakeQuantize.
pub(super) fn read(graph: &Graph, node: &Node) -> Result<Parameters, QuantError> {
    let fault = |what: String| QuantError::FakeQuantize { node: node.name.clone(), origin: node.origin.clone(), what };
    let Op::FakeQuantize { levels } = node.op else { return Err(fault("is none".into())) };
    let &[x, limits @ ..] = &node.inputs.as_slice() else { return Err(fault("has no operands".into())) };
    let channels = graph.value(*x).shape.last().copied().unwrap_or(1);
    let lists = limits.iter().map(|v| limit(graph, *v, channels).map_err(fault)).collect::<Result<Vec<_>, _>>()?;
    let [il, ih, ol, oh] = <[Vec<f32>; 4]>::try_from(lists).map_err(|_| fault("needs four limits".into()))?;
    let count = [&il, &ih, &ol, &oh].iter().map(|l| l.len()).max().unwrap_or(1);
    let at = |l: &[f32], c: usize| if l.len() == 1 { l[0] } else { l[c] };
    let mut ranges: Vec<(f32, f32)> = vec![];
    for c in 0..count {
        let (low, high) = (at(&il, c), at(&ih, c));
        if !(low <= high && low.is_finite() && high.is_finite()) {
            return Err(fault(format!("has the limits {low} and {high}; the first must be the lower one")));
        }
        // Limits were often made by other routes of rounding: less than 1/64 of a step apart is the same.
        let tolerance = (high - low) / (64.0 * (levels - 1) as f32);
        if (at(&ol, c) - low).abs() > tolerance || (at(&oh, c) - high).abs() > tolerance {
            return Err(fault(format!(
                "maps {low}..{high} to {}..{}; supported are equal input and output limits, as NNCF writes them",
                at(&ol, c),
                at(&oh, c)
            )));
        }
        ranges.push((low, high));
    }
    ranges.dedup();
    Ok(match ranges[..] {
        [(low, high)] => per_tensor(low, high, levels),
        // Equal neighbours are gone, so that channels have to be counted anew.
        _ => per_channel((0..count).map(|c| (at(&il, c), at(&ih, c))).collect(), levels),
    })
}

/// The elements of a limit: one, or one per channel.
fn limit(graph: &Graph, v: ValueId, channels: usize) -> Result<Vec<f32>, String> {
    let name = &graph.value(v).name;
    let tensor = graph.constant(v).ok_or_else(|| format!("limit `{name}` is computed; it must be constant"))?;
    let data = tensor.as_f32().ok_or_else(|| format!("limit `{name}` holds integers"))?;
    if let Some((&first, rest)) = data.split_first()
        && rest.iter().all(|x| *x == first)
    {
        return Ok(vec![first]);
    }
    if tensor.shape.last() == Some(&channels) && data.len() == channels {
        return Ok(data.to_vec());
    }
    Err(format!("limit `{name}` of shape {:?} varies over other axes than the channels", tensor.shape))
}

/// 0 counted in steps from the low end, and the step.
fn grid(low: f32, high: f32, steps: f64) -> Option<(f64, f64)> {
    let (low, high) = (f64::from(low), f64::from(high));
    let step = (high - low) / steps;
    let zero = -low / step;
    (step >= f64::from(f32::MIN_POSITIVE) && (-0.5..=steps + 0.5).contains(&zero)).then_some((zero, step))
}

fn per_tensor(low: f32, high: f32, levels: u32) -> Parameters {
    let steps = f64::from(levels - 1).min(STEPS);
    let parameters = |quant, clip, note: Option<&str>| {
        let note = note.map(Into::into);
        Parameters { quant, ranges: vec![(low, high)], low, high, clip, note }
    };
    let Some((zero, step)) = grid(low, high, steps) else {
        let note = "the given range excludes 0, which int8 needs: widened to it";
        return parameters(Quant::from_range(low, high), Some((low, high)), Some(note));
    };
    // As OpenVINO does: the step stays, and zero moves to the next integer.
    let quant = Quant::per_tensor(step as f32, (zero.round() as i32 - 128).clamp(-128, 127));
    let clip = (steps < STEPS).then_some((low, high));
    parameters(quant, clip, (levels > 256).then_some("was given more levels than int8 has"))
}

/// With one zero point for all channels. Fewer than 255 levels get the steps of 256: a finer grid over the same range.
fn per_channel(ranges: Vec<(f32, f32)>, levels: u32) -> Parameters {
    let steps = if levels == 255 { 254.0 } else { STEPS };
    let low = ranges.iter().fold(f32::INFINITY, |m, r| m.min(r.0));
    let high = ranges.iter().fold(f32::NEG_INFINITY, |m, r| m.max(r.1));
    let parameters = |scales, zero_point, note| Parameters {
        quant: Quant { scales, zero_point },
        ranges: ranges.clone(),
        low,
        high,
        clip: None,
        note,
    };
    let live: Vec<(f32, f32)> = ranges.iter().copied().filter(|r| grid(r.0, r.1, steps).is_some()).collect();
    let zeros: Vec<f64> = live.iter().filter_map(|r| grid(r.0, r.1, steps)).map(|g| g.0.round()).collect();
    if let Some((&first, rest)) = zeros.split_first()
        && rest.iter().all(|z| *z == first)
        && ranges.iter().all(|r| r.0 <= 0.0 && r.1 >= 0.0)
    {
        let scales: Vec<Option<f32>> = ranges.iter().map(|r| grid(r.0, r.1, steps).map(|g| g.1 as f32)).collect();
        return parameters(filled(&scales), (first as i32 - 128).clamp(-128, 127), None);
    }
    // Zero points differ. The one for all makes the steps of the channels grow least, as a product.
    let step = |(low, high): (f32, f32), zero_point: i32| {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        let below = if low < 0.0 { -low / f64::from(zero_point + 128) } else { 0.0 };
        let above = if high > 0.0 { high / f64::from(127 - zero_point) } else { 0.0 };
        below.max(above)
    };
    let alive = |r: &(f32, f32)| r.0 < 0.0 || r.1 > 0.0;
    let cost = |z: i32| ranges.iter().filter(|r| alive(r)).map(|r| step(*r, z).ln()).sum::<f64>();
    let zero_point = (-128..=127).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(0);
    let scales: Vec<Option<f32>> =
        ranges.iter().map(|r| Some(step(*r, zero_point) as f32).filter(|s| s.is_normal())).collect();
    let scales = filled(&scales);
    let widest = ranges
        .iter()
        .zip(&scales)
        .filter(|(r, _)| alive(r))
        .map(|(r, s)| 255.0 * s / (r.1 - r.0).max(f32::MIN_POSITIVE));
    let note = format!(
        "given ranges of channels have different zero points: widened to one, by up to {:.2} times",
        widest.fold(1.0, f32::max)
    );
    parameters(scales, zero_point, Some(note))
}

/// Channels of zero width get the largest scale of the others: it cannot overflow anything.
fn filled(scales: &[Option<f32>]) -> Vec<f32> {
    let largest = scales.iter().flatten().copied().fold(0.0, f32::max);
    let largest = if largest > 0.0 { largest } else { 1.0 / 255.0 };
    scales.iter().map(|s| s.unwrap_or(largest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ranges() {
        let p = per_tensor(-39.569008, 39.259876, 256);
        assert_eq!((p.quant.zero_point, p.clip), (0, None));
        assert!((p.quant.scale() - 0.30913287).abs() < 1e-6);
        assert_eq!(per_tensor(0.0, 255.0, 256).quant, Quant::per_tensor(1.0, -128));
        let p = per_tensor(-1.27, 1.27, 255);
        assert_eq!((p.quant.zero_point, p.clip), (-1, Some((-1.27, 1.27))));
        let p = per_tensor(0.0, 1.5, 16);
        assert_eq!((p.quant.clone(), p.clip), (Quant::per_tensor(0.1, -128), Some((0.0, 1.5))));
        assert_eq!(p.quant.quantize(1.5), -128 + 15);
    }

    #[test]
    fn ranges_that_int8_cannot_keep() {
        let p = per_tensor(1.0, 2.0, 256);
        assert_eq!((p.quant, p.clip), (Quant::from_range(0.0, 2.0), Some((1.0, 2.0))));
        assert!(p.note.is_some());
        let p = per_tensor(0.0, 0.0, 256);
        assert_eq!(p.quant, Quant::from_range(0.0, 0.0));
        assert!(per_tensor(0.0, 1.0, 65536).note.is_some());
    }

    #[test]
    fn channels_with_one_zero_point_keep_their_scales() {
        let p = per_channel(vec![(0.0, 2.55), (0.0, 25.5)], 256);
        assert_eq!(p.quant.zero_point, -128);
        assert!((p.quant.scales[0] - 0.01).abs() < 1e-8 && (p.quant.scales[1] - 0.1).abs() < 1e-7);
        assert_eq!((p.low, p.high, p.note), (0.0, 25.5, None));
        let p = per_channel(vec![(-1.28, 1.27), (-12.8, 12.7)], 256);
        assert_eq!(p.quant.zero_point, 0);
    }

    #[test]
    fn channels_with_several_zero_points_are_widened_to_one() {
        let ranges = vec![(0.0, 2.0), (-1.0, 1.0), (-0.5, 3.0), (0.0, 0.0)];
        let p = per_channel(ranges.clone(), 256);
        for (r, s) in ranges.iter().zip(&p.quant.scales) {
            let q = Quant::per_tensor(*s, p.quant.zero_point);
            let (low, high) = q.range();
            assert!(low <= r.0 + 1e-6 && high >= r.1 - 1e-6, "{r:?} {low} {high}");
            assert!(s.is_normal());
        }
        assert!(p.note.is_some());
    }
}
