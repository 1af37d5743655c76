//! Convolutions.

use carafe_graph::{Activation, Conv2d, Layout, Op, Tensor, ValueId};

use super::super::{
    attributes::extents,
    build::{Cx, Operand, ones},
    fault::Fault,
};
use super::window::{self, Auto, Plane};

/// Operands: x `[N, C, H, W]`, weights `[O, C, KH, KW]`.
pub(super) fn plain(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let weights = cx.shape(1)?;
    convolution(cx, 1, &weights)
}

/// Operands: x `[N, C, H, W]`, weights `[G, O/G, C/G, KH, KW]`.
pub(super) fn grouped(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let weights = cx.shape(1)?;
    let [groups, outputs, rest @ ..] = weights.as_slice() else {
        return Err(Fault::invalid(format!("weights of shape {weights:?} have too few axes")));
    };
    let all = groups.checked_mul(*outputs).ok_or_else(|| Fault::invalid("too many output channels"))?;
    let merged: Vec<usize> = std::iter::once(all).chain(rest.iter().copied()).collect();
    convolution(cx, *groups, &merged)
}

/// `weights` is the shape `[O, C/groups, ..]` to bring the second operand to.
fn convolution(cx: &mut Cx<'_, '_>, groups: usize, weights: &[usize]) -> Result<Operand, Fault> {
    let [outputs, inputs, kernel @ ..] = weights else {
        return Err(Fault::invalid(format!("weights of shape {weights:?} have too few axes")));
    };
    let n = kernel.len();
    let Plane(kernel) = Plane::of(kernel, 1)?;
    let layer = cx.layer;
    let Plane(strides) = Plane::of(&extents(layer, "strides", n, 1, None)?, 1)?;
    let Plane(dilations) = Plane::of(&extents(layer, "dilations", n, 1, Some(1))?, 1)?;
    let Plane(begin) = Plane::of(&extents(layer, "pads_begin", n, 0, Some(0))?, 0)?;
    let Plane(end) = Plane::of(&extents(layer, "pads_end", n, 0, Some(0))?, 0)?;
    let auto = Auto::parse(cx)?;

    let x = cx.value(0)?;
    let (x, axes) = window::widen(cx, x)?;
    if axes != n {
        return Err(Fault::invalid(format!("data with {axes} spatial axes, weights with {n}")));
    }
    let [_, channels, h, w] = *cx.extents(x) else { return Err(Fault::invalid("data must have four axes")) };
    if groups == 0 || inputs.checked_mul(groups) != Some(channels) || kernel.contains(&0) {
        return Err(Fault::invalid(format!(
            "weights of shape {:?} do not fit data with {channels} channels",
            cx.shape(1)?
        )));
    }
    let along = |axis: usize, extent: usize| {
        let window = (kernel[axis] - 1) * dilations[axis] + 1;
        let (before, after) = window::pads(&auto, (begin[axis], end[axis]), extent, window, strides[axis]);
        if window > extent + before + after {
            return Err(Fault::invalid(format!(
                "a kernel that spans {window} is larger than the padded map ({extent})"
            )));
        }
        Ok((before, after))
    };
    let pads = window::both(along(0, h)?, along(1, w)?);
    let weights = reshaped(cx, vec![*outputs, *inputs, kernel[0], kernel[1]])?;
    let conv = Conv2d { strides, dilations, pads, groups, layout: Layout::Nchw, activation: Activation::None };
    if axes == 2 {
        return cx.emit(Op::Conv2d(conv), vec![x, weights]);
    }
    let y = cx.step("rows", Op::Conv2d(conv), vec![x, weights])?;
    let back = window::narrow(cx, y)?;
    cx.emit(back, vec![y])
}

/// The second operand with another shape of as many elements.
fn reshaped(cx: &mut Cx<'_, '_>, shape: Vec<usize>) -> Result<ValueId, Fault> {
    if cx.shape(1)? == shape {
        return cx.value(1);
    }
    if let Operand::Constant(c) = cx.input(1)?.clone()
        && c.tensor.as_f32().is_some()
    {
        let tensor = Tensor { shape, data: c.tensor.data.clone() };
        let steps = c.integers.then(|| ones(&tensor));
        return Ok(cx.add_stepped("weights", tensor, steps));
    }
    let weights = cx.value(1)?;
    cx.step("weights", Op::Reshape { shape }, vec![weights])
}
