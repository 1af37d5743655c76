//! Reductions and softmax.

use super::index::{Walk, strides};
use crate::ReduceOp;

/// Sums are taken in `f64`: the reference should not owe its error to the order of summation.
pub(super) fn reduce(op: ReduceOp, x: &[f32], x_shape: &[usize], axes: &[usize]) -> Vec<f32> {
    let kept: Vec<usize> = x_shape.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
    let mut to = strides(&kept);
    axes.iter().for_each(|&a| to[a] = 0);
    let start = match op {
        ReduceOp::Mean | ReduceOp::Sum => 0.0,
        ReduceOp::Max => f64::NEG_INFINITY,
        ReduceOp::Min => f64::INFINITY,
    };
    let mut out = vec![start; kept.iter().product()];
    let add: fn(f64, f64) -> f64 = match op {
        ReduceOp::Mean | ReduceOp::Sum => |a, b| a + b,
        ReduceOp::Max => f64::max,
        ReduceOp::Min => f64::min,
    };
    Walk::new(x_shape, [&strides(x_shape), &to]).rows(|[from, at], [from_step, step], n| {
        for i in 0..n {
            let o = &mut out[at + i * step];
            *o = add(*o, f64::from(x[from + i * from_step]));
        }
    });
    let count = if op == ReduceOp::Mean { axes.iter().map(|&a| x_shape[a]).product() } else { 1 };
    out.into_iter().map(|v| (v / count as f64) as f32).collect()
}

pub(super) fn softmax(x: &[f32], x_shape: &[usize], axis: usize) -> Vec<f32> {
    let n = x_shape[axis];
    let inner: usize = x_shape[axis + 1..].iter().product();
    let mut out = x.to_vec();
    for block in out.chunks_exact_mut(n * inner) {
        for i in 0..inner {
            let top = (0..n).map(|k| block[k * inner + i]).fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0f64;
            for k in 0..n {
                let v = &mut block[k * inner + i];
                *v = (*v - top).exp();
                sum += f64::from(*v);
            }
            (0..n).for_each(|k| block[k * inner + i] = (f64::from(block[k * inner + i]) / sum) as f32);
        }
    }
    out
}
