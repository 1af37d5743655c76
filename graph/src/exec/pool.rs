//! Pooling.

use crate::{Layout, Pool2d, PoolKind, shape::axes_of};

/// The part of a window along one axis that lies in the input, and its length with padding.
fn window(at: usize, stride: usize, kernel: usize, before: usize, input: usize) -> std::ops::Range<usize> {
    let start = at * stride;
    start.saturating_sub(before)..(start + kernel).saturating_sub(before).min(input)
}

pub(super) fn pool2d(p: &Pool2d, x: &[f32], x_shape: &[usize], out_shape: &[usize]) -> Vec<f32> {
    let [row, column, channel] = axes_of(p.layout);
    let (h, w, c) = (x_shape[row], x_shape[column], x_shape[channel]);
    let (oh, ow) = (out_shape[row], out_shape[column]);
    let mut out = Vec::with_capacity(out_shape.iter().product());
    // Planes of single channels in NCHW; whole pixels in NHWC.
    let lanes = if p.layout == Layout::Nhwc { c } else { 1 };
    let mut sums = vec![0.0f32; lanes];
    for x in x.chunks_exact(h * w * lanes) {
        for oy in 0..oh {
            let rows = window(oy, p.strides[0], p.kernel[0], p.pads.top, h);
            for ox in 0..ow {
                let columns = window(ox, p.strides[1], p.kernel[1], p.pads.left, w);
                sums.fill(if p.kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 });
                for iy in rows.clone() {
                    for ix in columns.clone() {
                        let x = &x[(iy * w + ix) * lanes..][..lanes];
                        if p.kind == PoolKind::Max {
                            sums.iter_mut().zip(x).for_each(|(s, x)| *s = s.max(*x));
                        } else {
                            sums.iter_mut().zip(x).for_each(|(s, x)| *s += x);
                        }
                    }
                }
                let count = match p.kind {
                    PoolKind::Max => 1,
                    PoolKind::AverageExcludePad => rows.len() * columns.len(),
                    PoolKind::AverageIncludePad => p.kernel[0] * p.kernel[1],
                };
                out.extend(sums.iter().map(|s| s / count as f32));
            }
        }
    }
    out
}
