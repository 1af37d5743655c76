//! Plain words on what limits the accuracy of a layer. Every hint states what was measured.

use crate::check::Measure;
use crate::report::{LayerReport, RangeSource};

/// A layer below this, in dB, deserves an explanation.
const GOOD_DB: f64 = 40.0;
/// How much worse, in dB, one cause must be than another to be named.
const CLEAR_DB: f64 = 6.0;

/// The hints for a layer whose other fields are filled in. `worst_input_db` is the lowest SQNR among its inputs, if it
/// has any.
pub(crate) fn hints(layer: &LayerReport, measure: &Measure, worst_input_db: Option<f64>) -> Vec<String> {
    let mut hints = vec![];
    if layer.source == RangeSource::Dead {
        hints.push("was 0 on all samples: calibration data may not be typical, or the layer is dead".into());
    }
    if layer.source != RangeSource::Fixed && layer.saturated > 0.001 {
        hints.push(format!("{:.2} % of the elements saturate", 100.0 * layer.saturated));
    }
    if let Some(w) = &layer.weights {
        if w.raised_for_accumulator > 0 {
            hints.push(format!(
                "{} of {} channels have coarser weights so that bias and accumulator fit 32 bits",
                w.raised_for_accumulator, w.channels
            ));
        }
        let coarse = w.raised_for_multiplier.saturating_sub(w.zero_channels);
        if coarse > 0 {
            hints.push(format!(
                "{coarse} of {} channels have weights too small to matter beside the output's range",
                w.channels
            ));
        }
    }
    if layer.sqnr_db >= GOOD_DB {
        return hints;
    }
    if let Some(input) = worst_input_db
        && layer.own_sqnr_db > layer.sqnr_db + CLEAR_DB
    {
        hints.push(format!(
            "mostly inherited: {:.1} dB by itself, its worst input has {input:.1} dB",
            layer.own_sqnr_db
        ));
        return hints;
    }
    if layer.weights.is_some() && layer.own_sqnr_db < layer.grid_sqnr_db - CLEAR_DB {
        hints.push(format!(
            "int8 weights limit it: {:.1} dB with them, {:.1} dB with exact weights",
            layer.own_sqnr_db, layer.grid_sqnr_db
        ));
        return hints;
    }
    hints.extend(grid_hints(layer, measure));
    hints
}

/// Why the int8 grid of the output is coarse.
fn grid_hints(layer: &LayerReport, measure: &Measure) -> Vec<String> {
    let mut hints = vec![];
    let covered = f64::from(layer.scale) * 255.0;
    let own = f64::from(layer.max.max(0.0)) - f64::from(layer.min.min(0.0));
    if layer.source != RangeSource::Dead && own > 0.0 && covered > 2.0 * own {
        let why = if layer.source == RangeSource::Tied { "shares its scale with a wider value" } else { "fixed range" };
        hints.push(format!("{why}: uses {:.0} % of the int8 steps", 100.0 * own / covered));
    }
    let central = f64::from(layer.central.1.max(0.0)) - f64::from(layer.central.0.min(0.0));
    if central > 0.0 && own > 2.0 * central {
        hints.push(format!(
            "outliers: 99.9 % of the elements lie in {:.3}..{:.3}, the range is {:.3}..{:.3}, {:.1} times as wide",
            layer.central.0,
            layer.central.1,
            layer.min,
            layer.max,
            own / central
        ));
    }
    let mut channels: Vec<f32> = measure.channels.iter().copied().filter(|&m| m > 0.0).collect();
    channels.sort_by(f32::total_cmp);
    if let (Some(&median), Some(&largest)) = (channels.get(channels.len() / 2), channels.last())
        && channels.len() >= 4
        && largest > 8.0 * median
    {
        hints.push(format!(
            "channels differ: the largest reaches {largest:.3}, the median one {median:.3}, and all share one scale"
        ));
    }
    hints
}
