//! Convolution: depthwise directly, everything else as a matrix product of gathered windows.

use super::{elementwise::activate, linear};
use crate::{Conv2d, Layout, shape::axes_of};
use linear::Matrix;

/// Gathered windows are made for a few output rows at a time, to stay in the cache: about this many elements.
const GATHERED: usize = 1 << 18;

struct Geometry<'a> {
    p: &'a Conv2d,
    h: usize,
    w: usize,
    /// Input channels, all groups.
    c: usize,
    oh: usize,
    ow: usize,
    /// Output channels, all groups.
    o: usize,
    kh: usize,
    kw: usize,
    /// Input and output channels of one group.
    group: [usize; 2],
}

impl Geometry<'_> {
    /// The input row that output row `y` reads at kernel row `k`, unless that is padding.
    fn row(&self, y: usize, k: usize) -> Option<usize> {
        (y * self.p.strides[0] + k * self.p.dilations[0]).checked_sub(self.p.pads.top).filter(|&i| i < self.h)
    }

    /// As [`Geometry::row`], for columns.
    fn column(&self, x: usize, k: usize) -> Option<usize> {
        (x * self.p.strides[1] + k * self.p.dilations[1]).checked_sub(self.p.pads.left).filter(|&i| i < self.w)
    }

    /// Output columns that read no padding at kernel column `k`.
    fn columns(&self, k: usize) -> std::ops::Range<usize> {
        let (stride, shift) = (self.p.strides[1], k * self.p.dilations[1]);
        let first = self.p.pads.left.saturating_sub(shift).div_ceil(stride);
        let last = (self.w + self.p.pads.left).saturating_sub(shift).div_ceil(stride).min(self.ow);
        first.min(last)..last
    }

    fn pointwise(&self) -> bool {
        self.kh * self.kw == 1 && self.p.strides == [1, 1] && self.p.pads == crate::Pads::default()
    }
}

pub(super) fn conv2d(
    p: &Conv2d,
    (x, x_shape): (&[f32], &[usize]),
    (w, w_shape): (&[f32], &[usize]),
    bias: Option<&[f32]>,
    out_shape: &[usize],
) -> Vec<f32> {
    let [row, column, channel] = axes_of(p.layout);
    let g = Geometry {
        p,
        h: x_shape[row],
        w: x_shape[column],
        c: x_shape[channel],
        oh: out_shape[row],
        ow: out_shape[column],
        o: w_shape[0],
        kh: w_shape[2],
        kw: w_shape[3],
        group: [w_shape[1], w_shape[0] / p.groups],
    };
    let pixels = g.oh * g.ow;
    let mut out = match (bias, p.layout) {
        (None, _) => vec![0.0; out_shape.iter().product()],
        (Some(b), Layout::Nhwc) => b.repeat(out_shape[0] * pixels),
        (Some(b), Layout::Nchw) => {
            let one: Vec<f32> = b.iter().flat_map(|&b| std::iter::repeat_n(b, pixels)).collect();
            one.repeat(out_shape[0])
        }
    };
    let each = match (p.layout, g.group[0]) {
        (Layout::Nhwc, 1) => depthwise_nhwc,
        (Layout::Nchw, 1) => depthwise_nchw,
        (Layout::Nhwc, _) => gathered_nhwc,
        (Layout::Nchw, _) => gathered_nchw,
    };
    for (x, out) in x.chunks_exact(g.h * g.w * g.c).zip(out.chunks_exact_mut(pixels * g.o)) {
        each(&g, x, w, out);
    }
    activate(&mut out, p.activation);
    out
}

fn depthwise_nhwc(g: &Geometry<'_>, x: &[f32], w: &[f32], out: &mut [f32]) {
    let taps = g.kh * g.kw;
    let mut by_tap = vec![0.0; w.len()];
    for (o, w) in w.chunks_exact(taps).enumerate() {
        w.iter().enumerate().for_each(|(t, &w)| by_tap[t * g.o + o] = w);
    }
    let multiplier = g.group[1];
    for (i, out) in out.chunks_exact_mut(g.o).enumerate() {
        let (oy, ox) = (i / g.ow, i % g.ow);
        for ky in 0..g.kh {
            let Some(iy) = g.row(oy, ky) else { continue };
            for kx in 0..g.kw {
                let Some(ix) = g.column(ox, kx) else { continue };
                let x = &x[(iy * g.w + ix) * g.c..][..g.c];
                let w = &by_tap[(ky * g.kw + kx) * g.o..][..g.o];
                if multiplier == 1 {
                    out.iter_mut().zip(x.iter().zip(w)).for_each(|(o, (x, w))| *o += x * w);
                } else {
                    let channels = out.chunks_exact_mut(multiplier).zip(w.chunks_exact(multiplier));
                    for ((out, w), x) in channels.zip(x) {
                        out.iter_mut().zip(w).for_each(|(o, w)| *o += x * w);
                    }
                }
            }
        }
    }
}

fn depthwise_nchw(g: &Geometry<'_>, x: &[f32], w: &[f32], out: &mut [f32]) {
    let stride = g.p.strides[1];
    for (o, out) in out.chunks_exact_mut(g.oh * g.ow).enumerate() {
        let x = &x[o / g.group[1] * g.h * g.w..][..g.h * g.w];
        for ky in 0..g.kh {
            for kx in 0..g.kw {
                let w = w[(o * g.kh + ky) * g.kw + kx];
                let columns = g.columns(kx);
                if columns.is_empty() {
                    continue;
                }
                let first = columns.start * stride + kx * g.p.dilations[1] - g.p.pads.left;
                for (oy, out) in out.chunks_exact_mut(g.ow).enumerate() {
                    let Some(iy) = g.row(oy, ky) else { continue };
                    let x = x[iy * g.w + first..(iy + 1) * g.w].iter().step_by(stride);
                    out[columns.clone()].iter_mut().zip(x).for_each(|(o, x)| *o += x * w);
                }
            }
        }
    }
}

fn gathered_nhwc(g: &Geometry<'_>, x: &[f32], w: &[f32], out: &mut [f32]) {
    let [cg, og] = g.group;
    let (taps, depth) = (g.kh * g.kw, cg * g.kh * g.kw);
    let band = (GATHERED / (depth * g.ow)).clamp(1, g.oh);
    let mut windows = if g.pointwise() { vec![] } else { vec![0.0; band * g.ow * depth] };
    for group in 0..g.p.groups {
        // From [o][i][tap] to [o][tap][i], the order in which windows hold their elements.
        let own = &w[group * og * depth..][..og * depth];
        let reordered;
        let own = if taps == 1 {
            own
        } else {
            let mut r = vec![0.0; own.len()];
            for (from, to) in own.chunks_exact(depth).zip(r.chunks_exact_mut(depth)) {
                for (i, from) in from.chunks_exact(taps).enumerate() {
                    from.iter().enumerate().for_each(|(t, &w)| to[t * cg + i] = w);
                }
            }
            reordered = r;
            &reordered
        };
        let weights = Matrix::dense(own, og, depth).transposed();
        if g.pointwise() {
            let x =
                Matrix { data: &x[group * cg..], rows: g.oh * g.ow, columns: cg, row_stride: g.c, column_stride: 1 };
            linear::multiply_add(x, weights, &mut out[group * og..], g.o);
            continue;
        }
        for y0 in (0..g.oh).step_by(band) {
            let rows = band.min(g.oh - y0);
            let windows = &mut windows[..rows * g.ow * depth];
            for (i, window) in windows.chunks_exact_mut(depth).enumerate() {
                let (oy, ox) = (y0 + i / g.ow, i % g.ow);
                for (tap, to) in window.chunks_exact_mut(cg).enumerate() {
                    match (g.row(oy, tap / g.kw), g.column(ox, tap % g.kw)) {
                        (Some(iy), Some(ix)) => to.copy_from_slice(&x[(iy * g.w + ix) * g.c + group * cg..][..cg]),
                        _ => to.fill(0.0),
                    }
                }
            }
            let windows = Matrix::dense(windows, rows * g.ow, depth);
            linear::multiply_add(windows, weights, &mut out[y0 * g.ow * g.o + group * og..], g.o);
        }
    }
}

fn gathered_nchw(g: &Geometry<'_>, x: &[f32], w: &[f32], out: &mut [f32]) {
    let [cg, og] = g.group;
    let (depth, pixels) = (cg * g.kh * g.kw, g.oh * g.ow);
    let band = (GATHERED / (depth * g.ow)).clamp(1, g.oh);
    let mut windows = if g.pointwise() { vec![] } else { vec![0.0; band * g.ow * depth] };
    for group in 0..g.p.groups {
        let weights = Matrix::dense(&w[group * og * depth..][..og * depth], og, depth);
        let x = &x[group * cg * g.h * g.w..][..cg * g.h * g.w];
        let out = &mut out[group * og * pixels..][..og * pixels];
        if g.pointwise() {
            linear::multiply_add(weights, Matrix::dense(x, cg, pixels), out, pixels);
            continue;
        }
        for y0 in (0..g.oh).step_by(band) {
            let rows = band.min(g.oh - y0);
            let windows = &mut windows[..rows * g.ow * depth];
            for (k, line) in windows.chunks_exact_mut(rows * g.ow).enumerate() {
                let (i, ky, kx) = (k / (g.kh * g.kw), k / g.kw % g.kh, k % g.kw);
                let columns = g.columns(kx);
                for (r, line) in line.chunks_exact_mut(g.ow).enumerate() {
                    line.fill(0.0);
                    let Some(iy) = g.row(y0 + r, ky) else { continue };
                    let x = &x[(i * g.h + iy) * g.w..][..g.w];
                    for ox in columns.clone() {
                        line[ox] = x[ox * g.p.strides[1] + kx * g.p.dilations[1] - g.p.pads.left];
                    }
                }
            }
            let windows = Matrix::dense(windows, depth, rows * g.ow);
            linear::multiply_add(weights, windows, &mut out[y0 * g.ow..], pixels);
        }
    }
}
