//! Ops that only move elements.

use super::index::{Walk, strides};
use crate::shape::axes_of;
use crate::{Layout, SpaceToDepth};

pub(super) fn transpose(x: &[f32], x_shape: &[usize], perm: &[usize], out_shape: &[usize]) -> Vec<f32> {
    let own = strides(x_shape);
    let steps: Vec<usize> = perm.iter().map(|&p| own[p]).collect();
    let mut out = Vec::with_capacity(x.len());
    Walk::new(out_shape, [&steps]).rows(|[at], [step], n| {
        if step == 1 {
            out.extend_from_slice(&x[at..at + n]);
        } else {
            out.extend((0..n).map(|i| x[at + i * step]));
        }
    });
    out
}

pub(super) fn pad(x: &[f32], x_shape: &[usize], begin: &[usize], value: f32, out_shape: &[usize]) -> Vec<f32> {
    let mut out = vec![value; out_shape.iter().product()];
    let to = strides(out_shape);
    let base: usize = begin.iter().zip(&to).map(|(b, s)| b * s).sum();
    Walk::new(x_shape, [&strides(x_shape), &to]).rows(|[from, at], [from_step, step], n| {
        for i in 0..n {
            out[base + at + i * step] = x[from + i * from_step];
        }
    });
    out
}

pub(super) fn slice(x: &[f32], x_shape: &[usize], begin: &[usize], out_shape: &[usize]) -> Vec<f32> {
    let own = strides(x_shape);
    let base: usize = begin.iter().zip(&own).map(|(b, s)| b * s).sum();
    let mut out = Vec::with_capacity(out_shape.iter().product());
    Walk::new(out_shape, [&own]).rows(|[at], [step], n| out.extend((0..n).map(|i| x[base + at + i * step])));
    out
}

pub(super) fn space_to_depth(p: &SpaceToDepth, x: &[f32], x_shape: &[usize]) -> Vec<f32> {
    // Rows and columns as two axes each: which block, and where in it.
    let [row, column, _] = axes_of(p.layout);
    let mut split = Vec::new();
    for (axis, &extent) in x_shape.iter().enumerate() {
        match axis == row || axis == column {
            true => split.extend([extent / p.block, p.block]),
            false => split.push(extent),
        }
    }
    let perm = match (p.layout, p.depth_first) {
        (Layout::Nchw, false) => [0, 3, 5, 1, 2, 4],
        (Layout::Nchw, true) => [0, 1, 3, 5, 2, 4],
        (Layout::Nhwc, false) => [0, 1, 3, 2, 4, 5],
        (Layout::Nhwc, true) => [0, 1, 3, 5, 2, 4],
    };
    transpose(x, &split, &perm, &perm.map(|a| split[a]))
}

pub(super) fn upsample(x: &[f32], x_shape: &[usize], factors: &[usize], out_shape: &[usize]) -> Vec<f32> {
    // Each axis of the result as two: which element of the operand, and which of its copies.
    let (mut extents, mut steps) = (Vec::new(), Vec::new());
    for ((&extent, &factor), step) in x_shape.iter().zip(factors).zip(strides(x_shape)) {
        extents.extend([extent, factor]);
        steps.extend([step, 0]);
    }
    let mut out = Vec::with_capacity(out_shape.iter().product());
    Walk::new(&extents, [&steps]).rows(|[at], [step], n| out.extend((0..n).map(|i| x[at + i * step])));
    out
}

/// `past` (zeros, if there is none) and then `x` along an axis.
pub(super) fn history(past: Option<&[f32]>, x: (&[f32], &[usize]), axis: usize, out_shape: &[usize]) -> Vec<f32> {
    let mut shape = out_shape.to_vec();
    shape[axis] -= x.1[axis];
    let zeros = vec![0.0; shape.iter().product()];
    concat(&[(past.unwrap_or(&zeros), &shape), x], axis, out_shape)
}

/// The last `n` entries along an axis.
pub(super) fn tail(x: &[f32], shape: &[usize], axis: usize, n: usize) -> Vec<f32> {
    let inner: usize = shape[axis + 1..].iter().product();
    let chunk = (inner * shape[axis]).max(1);
    x.chunks(chunk).flat_map(|c| &c[c.len().saturating_sub(n * inner)..]).copied().collect()
}

pub(super) fn concat(operands: &[(&[f32], &[usize])], axis: usize, out_shape: &[usize]) -> Vec<f32> {
    let outer: usize = out_shape[..axis].iter().product();
    let mut out = Vec::with_capacity(out_shape.iter().product());
    for i in 0..outer {
        for (x, _) in operands {
            let chunk = x.len() / outer;
            out.extend_from_slice(&x[i * chunk..(i + 1) * chunk]);
        }
    }
    out
}
