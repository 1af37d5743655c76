//! Attributes of a layer's `<data>`.

use super::{fault::Fault, xml::Layer};

/// Strides, kernels and pads above this are refused: no map is that large, and sums below stay far from overflow.
const LARGEST: usize = 1 << 20;

fn required<'a>(layer: &Layer<'a>, name: &str) -> Result<&'a str, Fault> {
    layer.attribute(name).ok_or_else(|| Fault::invalid(format!("attribute `{name}` is missing")))
}

/// A string, in lower case.
pub(super) fn word(layer: &Layer<'_>, name: &str, default: &str) -> String {
    layer.attribute(name).unwrap_or(default).trim().to_ascii_lowercase()
}

/// `true`, `false`, `1` or `0`.
pub(super) fn flag(layer: &Layer<'_>, name: &str, default: bool) -> Result<bool, Fault> {
    match layer.attribute(name).map(|t| t.trim().to_ascii_lowercase()).as_deref() {
        None => Ok(default),
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(text) => Err(Fault::invalid(format!("attribute `{name}=\"{text}\"` is neither true nor false"))),
    }
}

/// A number. Infinities become the largest finite number of their sign.
pub(super) fn float(layer: &Layer<'_>, name: &str) -> Result<f32, Fault> {
    let text = required(layer, name)?;
    match text.trim().parse::<f32>() {
        Ok(x) if !x.is_nan() => Ok(x.clamp(f32::MIN, f32::MAX)),
        _ => Err(Fault::invalid(format!("attribute `{name}=\"{text}\"` is not a number"))),
    }
}

/// An integer.
pub(super) fn integer(layer: &Layer<'_>, name: &str, default: Option<i64>) -> Result<i64, Fault> {
    match (layer.attribute(name), default) {
        (Some(text), _) => {
            text.trim().parse().map_err(|_| Fault::invalid(format!("attribute `{name}=\"{text}\"` is not an integer")))
        }
        (None, Some(default)) => Ok(default),
        (None, None) => Err(Fault::invalid(format!("attribute `{name}` is missing"))),
    }
}

/// `n` extents, each at least `least`. A missing list is `default` throughout, if there is one.
pub(super) fn extents(
    layer: &Layer<'_>,
    name: &str,
    n: usize,
    least: usize,
    default: Option<usize>,
) -> Result<Vec<usize>, Fault> {
    // OpenVINO writes a list that was left at its default as an empty one.
    let text = match (layer.attribute(name).filter(|t| default.is_none() || !t.trim().is_empty()), default) {
        (Some(text), _) => text,
        (None, Some(default)) => return Ok(vec![default; n]),
        (None, None) => return Err(Fault::invalid(format!("attribute `{name}` is missing"))),
    };
    let wrong =
        || Fault::invalid(format!("attribute `{name}=\"{text}\"`: {n} numbers from {least} to {LARGEST} expected"));
    let mut list = vec![];
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let x: i64 = part.parse().map_err(|_| wrong())?;
        if x < 0 && name.starts_with("pads") {
            return Err(Fault::unsupported(format!(
                "`{name}=\"{text}\"`: negative padding (cropping) is not supported"
            )));
        }
        let x = usize::try_from(x).map_err(|_| wrong())?;
        if x < least || x > LARGEST || list.len() == n {
            return Err(wrong());
        }
        list.push(x);
    }
    if list.len() == n { Ok(list) } else { Err(wrong()) }
}

/// An axis, counted from the end where it is negative.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let counted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    match counted.and_then(|a| usize::try_from(a).ok()) {
        Some(a) if a < rank => Ok(a),
        _ => Err(Fault::invalid(format!("axis {axis} does not exist in a tensor of rank {rank}"))),
    }
}

/// Axes as by [`axis`], ascending.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let mut out = list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    out.sort_unstable();
    if out.windows(2).any(|w| w[0] == w[1]) {
        return Err(Fault::invalid(format!("axes {list:?} name one axis twice")));
    }
    Ok(out)
}
