//! What TFLite computes when it prepares an operator, and what it tabulates.

use carafe::arithmetic::{Arithmetic, Tflite};

use crate::case::{Case, Tensor};

/// A positive real number as q / 2³¹ · 2^shift with q in 2³⁰..2³¹.
pub fn quantize_multiplier(real: f64) -> (i32, i8) {
    if real == 0.0 {
        return (0, 0);
    }
    // frexp: fraction in 0.5..1. No golden scale is subnormal.
    let bits = real.to_bits();
    let mut shift = ((bits >> 52) & 0x7FF) as i32 - 1022;
    let fraction = f64::from_bits((bits & !(0x7FF << 52)) | (1022 << 52));
    let mut q = (fraction * 2147483648.0 + 0.5).floor() as i64;
    if q == 1 << 31 {
        (q, shift) = (q / 2, shift + 1);
    }
    if shift < -31 { (0, 0) } else { (q as i32, shift as i8) }
}

/// The interval of a fused activation.
pub fn bounds(activation: &str, y: &Tensor) -> (i8, i8) {
    let at = |real: f32| i32::from(y.zero_point) + (real / y.scales[0]).round() as i32;
    let (lo, hi) = match activation {
        "NONE" => (-128, 127),
        "RELU" => (at(0.0), 127),
        "RELU6" => (at(0.0), at(6.0)),
        "RELU_N1_TO_1" => (at(-1.0), at(1.0)),
        other => panic!("no rule for {other}"),
    };
    (lo.max(-128) as i8, hi.min(127) as i8)
}

/// Elements before the first one.
pub fn pad(size: usize, out: usize, kernel: usize, stride: usize, dilation: usize, padding: &str) -> u8 {
    let whole = (out - 1) * stride + (kernel - 1) * dilation + 1;
    if padding == "SAME" { (whole.saturating_sub(size) / 2) as u8 } else { 0 }
}

/// Multiplier and shift of a mean over `count` elements.
pub fn mean_multiplier(real: f64, count: i64) -> (i32, i8) {
    let (q, shift) = quantize_multiplier(real);
    let up = (63 - count.leading_zeros() as i32).min(32).min(31 + i32::from(shift));
    (((i64::from(q) << up) / count) as i32, (i32::from(shift) - up) as i8)
}

/// Multiplier, left shift and least difference of a softmax.
pub fn softmax(beta: f32, scale: f32) -> (i32, i8, i32) {
    let real = (f64::from(beta) * f64::from(scale) * f64::from(1 << 26)).min(f64::from(i32::MAX));
    let (q, shift) = quantize_multiplier(real);
    (q, shift, -(31.0 * f64::from(1 << 26) / f64::from(shift).exp2()).floor() as i32)
}

/// The table of an operator of one element; `None` if the operator is no such.
pub fn table(case: &Case) -> Option<Vec<u8>> {
    let (x, y) = (&case.inputs[0], &case.output);
    let (zx, zy) = (i32::from(x.zero_point), i32::from(y.zero_point));
    let rescale = |v: i32, real: f64| {
        let (q, shift) = quantize_multiplier(real);
        Tflite::requantize(v, q, shift)
    };
    let plain = |q: i8, activation: &str| {
        let (lo, hi) = bounds(activation, y);
        (zy + rescale(i32::from(q) - zx, x.scale() / y.scale())).clamp(i32::from(lo), i32::from(hi))
    };
    let float = |q: i8, f: fn(f32) -> f32| {
        let value = f(x.scales[0] * (i32::from(q) - zx) as f32) * (1.0 / y.scales[0]);
        value.round() as i32 + zy
    };
    let leaky = |q: i8| {
        let v = i32::from(q) - zx;
        let slope = if v >= 0 { 1.0 } else { f64::from(case.real("alpha")) };
        zy + rescale(v, x.scale() * slope / y.scale())
    };
    let entry = |q: i8| -> Option<i32> {
        Some(match case.op.as_str() {
            "QUANTIZE" => plain(q, "NONE"),
            "RELU" | "RELU6" => plain(q, &case.op),
            "LEAKY_RELU" => leaky(q),
            "LOGISTIC" => float(q, |v| 1.0 / (1.0 + (-v).exp())),
            "TANH" => float(q, f32::tanh),
            "HARD_SWISH" => zy + hard_swish(i32::from(q) - zx, x.scales[0], y.scales[0]),
            _ => return None,
        })
    };
    (-128..=127).map(|q| entry(q).map(|v| v.clamp(-128, 127) as i8 as u8)).collect()
}

/// TFLite's hard-swish in 16 bits, of an element without its zero point; gives one without.
fn hard_swish(value: i32, x: f32, y: f32) -> i32 {
    let saturate = |v: i32| v.clamp(-32768, 32767);
    let high_mul = |a: i32, b: i32, rounded: bool| {
        if a == -32768 && b == -32768 {
            return 32767;
        }
        let nudge = if a * b >= 0 { 1 << 14 } else { 1 - (1 << 14) };
        (a * b + if rounded { nudge } else { 0 }) / 32768
    };
    let narrow = |q: i32| ((i64::from(q) + (1 << 15)) >> 16).min(32767) as i32;
    let divide = |v: i32, e: i32| {
        let mask = (1 << e) - 1;
        (v >> e) + i32::from((v & mask) > (mask >> 1) + i32::from(v < 0))
    };
    let fine = (1.0f32 / 128.0) * x;
    let (out, out_shift) = quantize_multiplier(f64::from(fine / y));
    let (relu, relu_shift) = quantize_multiplier(f64::from(fine / (3.0f32 / 32768.0)));
    let (out_shift, relu_shift) = (i32::from(out_shift), i32::from(relu_shift));
    let high = value * 128;
    let pre = high_mul(high, narrow(out), true);
    let mut gate = high;
    if relu_shift > 0 {
        gate = saturate(gate << (relu_shift - 1));
    }
    gate = high_mul(gate, narrow(relu), true);
    if relu_shift > 0 {
        gate = saturate(gate << 1);
    } else if relu_shift < 0 {
        gate = divide(gate, -relu_shift);
    }
    let gate = (gate + (1 << 15)) >> 1;
    divide(high_mul(gate, pre, false), -out_shift)
}
