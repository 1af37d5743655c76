//! Pools.

use carafe_graph::{Layout, Op, Pool2d, PoolKind};

use super::super::{
    attributes::{extents, flag, word},
    build::{Cx, Operand},
    fault::Fault,
};
use super::window::{self, Auto, Plane};

/// `MaxPool`; since opset8 it has dilations and a second output, the indices.
pub(super) fn max(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    pool(cx, PoolKind::Max)
}

/// `AvgPool`.
pub(super) fn average(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let name = if cx.layer.attribute("exclude-pad").is_some() { "exclude-pad" } else { "exclude_pad" };
    pool(cx, if flag(cx.layer, name, false)? { PoolKind::AverageExcludePad } else { PoolKind::AverageIncludePad })
}

#[derive(Clone, Copy, PartialEq)]
enum Rounding {
    Floor,
    Ceil,
    /// As `Ceil`, but without a last window that would start in the padding.
    CeilTorch,
}

fn pool(cx: &mut Cx<'_, '_>, mut kind: PoolKind) -> Result<Operand, Fault> {
    let layer = cx.layer;
    let x = cx.value(0)?;
    let (x, n) = window::widen(cx, x)?;
    let Plane(kernel) = Plane::of(&extents(layer, "kernel", n, 1, None)?, 1)?;
    let Plane(strides) = Plane::of(&extents(layer, "strides", n, 1, None)?, 1)?;
    let Plane(dilations) = Plane::of(&extents(layer, "dilations", n, 1, Some(1))?, 1)?;
    let Plane(begin) = Plane::of(&extents(layer, "pads_begin", n, 0, Some(0))?, 0)?;
    let Plane(end) = Plane::of(&extents(layer, "pads_end", n, 0, Some(0))?, 0)?;
    if dilations != [1, 1] {
        return Err(Fault::unsupported("a pool with dilations is not supported"));
    }
    let rounding = match word(layer, "rounding_type", "floor").as_str() {
        "floor" => Rounding::Floor,
        "ceil" => Rounding::Ceil,
        "ceil_torch" => Rounding::CeilTorch,
        other => return Err(Fault::invalid(format!("`rounding_type` is {other}, none of floor, ceil, ceil_torch"))),
    };
    let auto = Auto::parse(cx)?;
    let [_, _, h, w] = *cx.extents(x) else { return Err(Fault::invalid("data must have four axes")) };

    let mut widened = false;
    let mut along = |axis: usize, extent: usize| {
        let (window, stride) = (kernel[axis], strides[axis]);
        let (before, after) = window::pads(&auto, (begin[axis], end[axis]), extent, window, stride);
        let Some(room) = (extent + before + after).checked_sub(window) else {
            return Err(Fault::invalid(format!("a window of {window} is larger than the padded map ({extent})")));
        };
        let mut last = if rounding == Rounding::Floor { room / stride } else { room.div_ceil(stride) };
        if rounding == Rounding::CeilTorch && last * stride >= extent + before {
            last -= 1;
        }
        if before >= window || last * stride >= extent + before {
            return Err(Fault::unsupported("a pool with a window that lies in the padding alone is not supported"));
        }
        let needed = (last * stride + window).saturating_sub(extent + before);
        widened |= needed > after;
        // No more than windows reach, so that what is left over does not look like a window of padding alone.
        Ok((before, needed))
    };
    let (rows, columns) = (along(0, h)?, along(1, w)?);
    if kind == PoolKind::AverageIncludePad {
        let padded = matches!(auto, Auto::Explicit) && begin.iter().chain(&end).any(|&p| p > 0)
            || matches!(auto, Auto::SameUpper | Auto::SameLower) && (rows, columns) != ((0, 0), (0, 0));
        // The mean of a window that ceil lets hang over counts the padding, but not what lies beyond it.
        match (padded, widened) {
            (true, true) => {
                return Err(Fault::unsupported(
                    "an average pool that counts padding and rounds up is not supported: export it with `exclude-pad`",
                ));
            }
            (true, false) => {}
            (false, _) => kind = PoolKind::AverageExcludePad,
        }
    }
    let op = Op::Pool2d(Pool2d { kind, kernel, strides, pads: window::both(rows, columns), layout: Layout::Nchw });
    if n == 2 {
        return cx.emit(op, vec![x]);
    }
    let y = cx.step("rows", op, vec![x])?;
    let back = window::narrow(cx, y)?;
    cx.emit(back, vec![y])
}
