//! Ops that work element by element.

use super::index::{Walk, broadcast_strides};
use crate::{Activation, BinaryOp, UnaryOp};

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + eˣ) without overflow for large x.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub(super) fn unary(op: UnaryOp, x: &[f32]) -> Vec<f32> {
    let map = |f: &dyn Fn(f32) -> f32| x.iter().map(|&v| f(v)).collect();
    match op {
        UnaryOp::Relu => x.iter().map(|v| v.max(0.0)).collect(),
        UnaryOp::Clamp(lo, hi) => x.iter().map(|v| v.max(lo).min(hi)).collect(),
        UnaryOp::Sigmoid => map(&sigmoid),
        UnaryOp::Tanh => map(&f32::tanh),
        UnaryOp::HardSwish => map(&|v| v * (v + 3.0).clamp(0.0, 6.0) / 6.0),
        UnaryOp::HardSigmoid { alpha, beta } => map(&|v| (alpha * v + beta).clamp(0.0, 1.0)),
        UnaryOp::LeakyRelu(slope) => map(&|v| if v >= 0.0 { v } else { slope * v }),
        UnaryOp::Elu(alpha) => map(&|v| if v >= 0.0 { v } else { alpha * v.exp_m1() }),
        UnaryOp::Swish(beta) => map(&|v| v * sigmoid(beta * v)),
        UnaryOp::Gelu { tanh: false } => map(&|v| 0.5 * v * (1.0 + libm::erff(v * std::f32::consts::FRAC_1_SQRT_2))),
        UnaryOp::Gelu { tanh: true } => {
            let c = (2.0 / std::f32::consts::PI).sqrt();
            map(&|v| 0.5 * v * (1.0 + (c * (v + 0.044715 * v * v * v)).tanh()))
        }
        UnaryOp::Mish => map(&|v| v * softplus(v).tanh()),
        UnaryOp::SoftPlus => map(&softplus),
        UnaryOp::Exp => map(&f32::exp),
        UnaryOp::Log => map(&f32::ln),
        UnaryOp::Sqrt => map(&f32::sqrt),
        UnaryOp::Abs => map(&f32::abs),
        UnaryOp::Neg => map(&|v| -v),
        UnaryOp::Floor => map(&f32::floor),
        UnaryOp::Ceil => map(&f32::ceil),
    }
}

pub(super) fn binary(
    op: BinaryOp,
    activation: Activation,
    (a, a_shape): (&[f32], &[usize]),
    (b, b_shape): (&[f32], &[usize]),
    out_shape: &[usize],
) -> Vec<f32> {
    let mut out = Vec::with_capacity(out_shape.iter().product());
    let walk = Walk::new(out_shape, [&broadcast_strides(a_shape, out_shape), &broadcast_strides(b_shape, out_shape)]);
    macro_rules! run {
        ($f:expr) => {
            walk.rows(|[ia, ib], [sa, sb], n| zip_row(&mut out, &a[ia..], sa, &b[ib..], sb, n, $f))
        };
    }
    match op {
        BinaryOp::Add => run!(|x, y| x + y),
        BinaryOp::Sub => run!(|x, y| x - y),
        BinaryOp::Mul => run!(|x, y| x * y),
        BinaryOp::Div => run!(|x, y| x / y),
        BinaryOp::Max => run!(f32::max),
        BinaryOp::Min => run!(f32::min),
        BinaryOp::Pow => run!(f32::powf),
        BinaryOp::SquaredDifference => run!(|x, y| (x - y) * (x - y)),
    }
    activate(&mut out, activation);
    out
}

/// One innermost loop. Strides are 0 or 1, except where a stretched axis was merged away.
fn zip_row(out: &mut Vec<f32>, a: &[f32], sa: usize, b: &[f32], sb: usize, n: usize, f: impl Fn(f32, f32) -> f32) {
    match (sa, sb) {
        (1, 1) => out.extend(a[..n].iter().zip(&b[..n]).map(|(&x, &y)| f(x, y))),
        (1, 0) => {
            let y = b[0];
            out.extend(a[..n].iter().map(|&x| f(x, y)));
        }
        (0, 1) => {
            let x = a[0];
            out.extend(b[..n].iter().map(|&y| f(x, y)));
        }
        _ => out.extend((0..n).map(|i| f(a[i * sa], b[i * sb]))),
    }
}

/// Operands: x, input_low, input_high, output_low, output_high.
pub(super) fn fake_quantize(levels: u32, operands: [(&[f32], &[usize]); 5]) -> Vec<f32> {
    let [(x, shape), limits @ ..] = operands;
    let mut out = Vec::with_capacity(x.len());
    let steps = (levels - 1) as f32;
    let strides = operands.map(|(_, s)| broadcast_strides(s, shape));
    let walk = Walk::new(shape, strides.each_ref().map(Vec::as_slice));
    walk.rows(|at, stride, n| {
        for i in 0..n {
            let v = x[at[0] + i * stride[0]];
            let limit = |k: usize| limits[k].0[at[k + 1] + i * stride[k + 1]];
            let [il, ih, ol, oh] = [limit(0), limit(1), limit(2), limit(3)];
            out.push(if v <= il.min(ih) {
                ol
            } else if v > il.max(ih) {
                oh
            } else {
                ((v - il) / (ih - il) * steps).round_ties_even() / steps * (oh - ol) + ol
            });
        }
    });
    out
}

pub(super) fn activate(out: &mut [f32], activation: Activation) {
    match activation {
        Activation::None => {}
        Activation::Relu => out.iter_mut().for_each(|v| *v = v.max(0.0)),
        Activation::Clamp(lo, hi) => out.iter_mut().for_each(|v| *v = v.max(lo).min(hi)),
    }
}
