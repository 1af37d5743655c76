//! `Interpolate`, where it repeats elements.

use carafe_graph::Op;

use super::super::{
    attributes::{self, word},
    build::{Cx, Operand},
    fault::Fault,
};

/// No axis of a map has more elements on the device.
const MOST: usize = 65_535;

/// Operands of opset4: x, sizes, scales and optionally axes; of opset11: x, sizes or scales, and optionally axes.
pub(super) fn interpolate(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let layer = cx.layer;
    if cx.revision < 4 {
        return Err(Fault::unsupported(
            "Interpolate of opset1 is not supported, that of opset4 and opset11 is: convert the model again with `ovc`",
        ));
    }
    let shape = cx.shape(0)?;
    let by_sizes = match word(layer, "shape_calculation_mode", "").as_str() {
        "sizes" => true,
        "scales" => false,
        other => {
            return Err(Fault::invalid(format!("`shape_calculation_mode` is `{other}`, neither sizes nor scales")));
        }
    };
    let has_both = cx.revision < 11;
    let axes_at = if has_both { 3 } else { 2 };
    let axes: Vec<usize> = if cx.inputs.len() > axes_at {
        let listed = cx.integers(axes_at, "the list of axes")?;
        listed.iter().map(|&a| attributes::axis(a, shape.len())).collect::<Result<_, _>>()?
    } else {
        (0..shape.len()).collect()
    };
    for name in ["pads_begin", "pads_end"] {
        if word(layer, name, "").split(',').any(|p| !matches!(p.trim(), "" | "0")) {
            return Err(Fault::unsupported(format!(
                "`{name}` of Interpolate is not supported: pad in a layer before it"
            )));
        }
    }
    let mut factors = vec![1; shape.len()];
    let listed: Vec<Option<usize>> = if by_sizes {
        let sizes = cx.integers(1, "the list of sizes")?;
        // One for each axis, or `zip` below would drop some.
        let whole = |(&size, &a): (&i64, &usize)| {
            usize::try_from(size).ok().filter(|s| *s > 0 && s.is_multiple_of(shape[a])).map(|s| s / shape[a])
        };
        same_number(sizes.len(), axes.len())?;
        sizes.iter().zip(&axes).map(whole).collect()
    } else {
        let scales = cx.floats(if has_both { 2 } else { 1 }, "the list of scales")?;
        same_number(scales.len(), axes.len())?;
        let whole = |&s: &f32| (s.fract() == 0.0 && (1.0..=65535.0).contains(&s)).then_some(s as usize);
        scales.iter().map(whole).collect()
    };
    for (factor, &a) in listed.iter().zip(&axes) {
        factors[a] = factor.ok_or_else(|| {
            Fault::unsupported(format!(
                "axis {a} of shape {shape:?} is not enlarged by a whole number: export the model for a size of input at \
                 which it is, or with a strided pool where a map becomes smaller"
            ))
        })?;
    }
    if let Some((n, f)) = shape.iter().zip(&factors).find(|(n, f)| **f > 1 && n.saturating_mul(**f) > MOST) {
        return Err(Fault::unsupported(format!("{n} elements enlarged by {f} are more than {MOST}")));
    }
    let x = cx.value(0)?;
    if factors.iter().all(|&f| f == 1) {
        return Ok(Operand::value(x));
    }
    let enlarged = || shape.iter().zip(&factors).filter(|(_, f)| **f > 1).map(|(&n, &f)| (n, f));
    match word(layer, "mode", "").as_str() {
        "nearest" => {
            let coordinates = Coordinates::parse(&word(layer, "coordinate_transformation_mode", "half_pixel"))?;
            let rounding = Rounding::parse(&word(layer, "nearest_mode", "round_prefer_floor"))?;
            if !enlarged().all(|(n, f)| repeats(coordinates, rounding, n, f)) {
                return Err(Fault::unsupported(format!(
                    "the nearest element by `{}` and `{}` is not always the one that an output lies in: export the model with \
                     asymmetric coordinates that are rounded down, or with half_pixel ones that are rounded",
                    word(layer, "coordinate_transformation_mode", "half_pixel"),
                    word(layer, "nearest_mode", "round_prefer_floor"),
                )));
            }
        }
        // Between equal neighbours nothing is to be interpolated.
        "linear" | "linear_onnx" if enlarged().all(|(n, _)| n == 1) => {}
        other => {
            return Err(Fault::unsupported(format!(
                "interpolation of mode `{other}` is not supported, nearest is: export the model with nearest-neighbour \
                 upsampling (a convolution behind it can learn to smooth)"
            )));
        }
    }
    cx.emit(Op::Upsample { factors }, vec![x])
}

fn same_number(given: usize, axes: usize) -> Result<(), Fault> {
    if given == axes { Ok(()) } else { Err(Fault::invalid(format!("{given} sizes or scales for {axes} axes"))) }
}

/// Where an output lies among the operand's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coordinates {
    HalfPixel,
    Asymmetric,
    TfHalfPixelForNn,
    AlignCorners,
}

impl Coordinates {
    fn parse(text: &str) -> Result<Self, Fault> {
        Ok(match text {
            // They differ where the result has one element, which is then the operand's only one.
            "half_pixel" | "pytorch_half_pixel" => Self::HalfPixel,
            "asymmetric" => Self::Asymmetric,
            "tf_half_pixel_for_nn" => Self::TfHalfPixelForNn,
            "align_corners" => Self::AlignCorners,
            other => return Err(Fault::invalid(format!("`coordinate_transformation_mode` {other} is not known"))),
        })
    }

    /// The place of output `o`, as numerator and denominator, if `n` elements become `n·f`.
    fn place(self, o: i64, n: i64, f: i64) -> (i64, i64) {
        match self {
            Self::HalfPixel => (2 * o + 1 - f, 2 * f),
            Self::Asymmetric => (o, f),
            Self::TfHalfPixelForNn => (2 * o + 1, 2 * f),
            Self::AlignCorners => (o * (n - 1), (n * f - 1).max(1)),
        }
    }
}

/// Which of its neighbours an output takes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    /// Towards zero, where something is enlarged.
    Simple,
}

impl Rounding {
    fn parse(text: &str) -> Result<Self, Fault> {
        Ok(match text {
            "round_prefer_floor" => Self::PreferFloor,
            "round_prefer_ceil" => Self::PreferCeil,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            "simple" => Self::Simple,
            other => return Err(Fault::invalid(format!("`nearest_mode` {other} is not known"))),
        })
    }

    fn round(self, (a, b): (i64, i64)) -> i64 {
        let ceil = |a: i64, b: i64| -(-a).div_euclid(b);
        match self {
            Self::PreferFloor => ceil(2 * a - b, 2 * b),
            Self::PreferCeil => (2 * a + b).div_euclid(2 * b),
            Self::Floor => a.div_euclid(b),
            Self::Ceil => ceil(a, b),
            Self::Simple => a / b,
        }
    }
}

/// True if every output is the element that it lies in, so that elements are repeated. There are at most [`MOST`].
fn repeats(coordinates: Coordinates, rounding: Rounding, n: usize, f: usize) -> bool {
    let (n, f) = (n as i64, f as i64);
    (0..n * f).all(|o| rounding.round(coordinates.place(o, n, f)).clamp(0, n - 1) == o / f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats() {
        use Coordinates::*;
        use Rounding::*;
        let all = |c, r| (2..9).all(|f| (1..20).all(|n| repeats(c, r, n, f)));
        for (c, r) in [
            (Asymmetric, Floor),
            (Asymmetric, Simple),
            (TfHalfPixelForNn, Floor),
            (TfHalfPixelForNn, Simple),
            (HalfPixel, PreferFloor),
            (HalfPixel, PreferCeil),
        ] {
            assert!(all(c, r), "{c:?} {r:?}");
        }
        // Every other pair is off somewhere.
        assert!(!repeats(Asymmetric, PreferFloor, 4, 3) && !repeats(Asymmetric, Ceil, 4, 2));
        assert!(!repeats(HalfPixel, Floor, 4, 2) && !repeats(TfHalfPixelForNn, PreferCeil, 4, 2));
        assert!(!repeats(AlignCorners, Floor, 4, 2));
        // By two, halves are rounded down to the element; and of one element there is only that.
        assert!(repeats(Asymmetric, PreferFloor, 4, 2) && !repeats(Asymmetric, PreferCeil, 4, 2));
        assert!(repeats(AlignCorners, Ceil, 1, 7));
    }
}
