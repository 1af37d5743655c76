#!/usr/bin/env python3
"""Recomputes tflite/*.json with plain integers and reports which differ.

It reads nothing but the JSON files, so it shows that they are complete, and it states TFLite's integer
rules in a form that can be compared line by line with the device kernels. Needs numpy only.

    python check_tflite.py          # all files
    python check_tflite.py add      # those whose name contains the word
"""

import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent / "tflite"
I32 = (-(2**31), 2**31 - 1)


# Fixed-point arithmetic of gemmlowp and TFLite.


def quantize_multiplier(real):
    """A positive real number as q / 2^31 * 2^shift with q in 2^30..2^31."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    q = math.floor(fraction * 2**31 + 0.5)
    if q == 2**31:
        q, shift = q // 2, shift + 1
    return (0, 0) if shift < -31 else (q, shift)


def high_mul(a, b):
    """SaturatingRoundingDoublingHighMul: a * b / 2^31, ties away from zero for positive, up for negative products."""
    if a == b == I32[0]:
        return I32[1]
    product = a * b
    nudge = 2**30 if product >= 0 else 1 - 2**30
    total = product + nudge
    return abs(total) // 2**31 * (1 if total >= 0 else -1)  # C division, towards zero


def rounding_shift(x, exponent):
    """RoundingDivideByPOT: x / 2^exponent, ties away from zero."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def rescale(x, multiplier):
    """MultiplyByQuantizedMultiplier: two roundings, to 2^-shift and then to one."""
    q, shift = multiplier
    return rounding_shift(high_mul(x << max(shift, 0), q), max(-shift, 0))


def rescale_once(x, multiplier):
    """The same with one rounding, ties up. FULLY_CONNECTED alone does this."""
    q, shift = multiplier
    return (x * q + (1 << (30 - shift))) >> (31 - shift)


def shift_left(x, exponent):
    """SaturatingRoundingMultiplyByPOT with a positive exponent."""
    return min(max(x << exponent, I32[0]), I32[1])


# Reading.


class Tensor:
    """A tensor of a file, its scales taken from their bits."""

    def __init__(self, entry):
        self.q = np.array(entry["data"], np.int64).reshape(entry["shape"])
        if "scale" in entry:
            self.scales = np.array([int(bits, 16) for bits in entry["scale_bits"]], np.uint32).view(np.float32)
            assert [np.float32(s) for s in entry["scale"]] == list(self.scales), "scale and its bits differ"
            self.scale, self.zero = float(self.scales[0]), entry["zero_point"][0]


def clamp_bounds(activation, y):
    """The output interval of a fused activation."""
    one = np.float32(1.0)

    def quantized(real):
        ratio = np.float32(real) / y.scales[0] * one
        return y.zero + int(math.copysign(math.floor(abs(ratio) + 0.5), ratio))

    low = {"NONE": -128, "RELU": quantized(0), "RELU6": quantized(0), "RELU_N1_TO_1": quantized(-1)}[activation]
    high = {"NONE": 127, "RELU": 127, "RELU6": quantized(6), "RELU_N1_TO_1": quantized(1)}[activation]
    return max(low, -128), min(high, 127)


def clamp(value, bounds):
    """`value` within the bounds."""
    return min(max(value, bounds[0]), bounds[1])


# Operators. Each gives a nested array of integers, or one number per output position.


def window(size, out, kernel, stride, dilation, padding):
    """Elements before the first one."""
    whole = (out - 1) * stride + (kernel - 1) * dilation + 1 - size
    return max(whole, 0) // 2 if padding == "SAME" else 0


def multipliers(x, w, y, channels):
    """One multiplier per output channel, in double precision."""
    scales = w.scales if len(w.scales) == channels else np.repeat(w.scales, channels)
    return [quantize_multiplier(x.scale * float(s) / y.scale) for s in scales]


def convolution(o, ins, y, depthwise=False):
    """CONV_2D [O,KH,KW,I] and DEPTHWISE_CONV_2D [1,KH,KW,O]."""
    x, w, bias = ins[0], ins[1], ins[2].q
    batch, rows, columns, channels = y.q.shape
    kernel = w.q.shape[1:3]
    stride, dilation = (o["strideH"], o["strideW"]), (o["dilationHFactor"], o["dilationWFactor"])
    top, left = (
        window(x.q.shape[1 + i], y.q.shape[1 + i], kernel[i], stride[i], dilation[i], o["padding"]) for i in range(2)
    )
    scale, bounds = multipliers(x, w, y, channels), clamp_bounds(o["fusedActivationFunction"], y)
    centred = x.q - x.zero
    depth = 1 if depthwise else w.q.shape[3]
    # Output channels that share one group of input channels.
    shared = o["depthMultiplier"] if depthwise else channels // (x.q.shape[3] // depth)
    out = np.zeros_like(y.q)
    for n, r, c, k in itertools.product(range(batch), range(rows), range(columns), range(channels)):
        acc = int(bias[k])
        for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
            at = r * stride[0] - top + i * dilation[0], c * stride[1] - left + j * dilation[1]
            if 0 <= at[0] < x.q.shape[1] and 0 <= at[1] < x.q.shape[2]:
                first = k // shared * depth
                taps = w.q[0, i, j, k : k + 1] if depthwise else w.q[k, i, j]
                acc += int(centred[n, at[0], at[1], first : first + depth] @ taps)
        out[n, r, c, k] = clamp(rescale(acc, scale[k]) + y.zero, bounds)
    return out


def dense(o, ins, y):
    """FULLY_CONNECTED."""
    x, w = ins[0], ins[1]
    channels = w.q.shape[0]
    bias = ins[2].q if len(ins) > 2 else np.zeros(channels, np.int64)
    if len(w.scales) == 1:
        # Per tensor, TFLite multiplies the two scales in single precision.
        scale = [quantize_multiplier(float(x.scales[0] * w.scales[0]) / y.scale)] * channels
    else:
        scale = multipliers(x, w, y, channels)
    bounds = clamp_bounds(o["fusedActivationFunction"], y)
    acc = (x.q.reshape(-1, x.q.shape[-1]) - x.zero) @ w.q.T + bias
    out = [[clamp(rescale_once(int(a), s) + y.zero, bounds) for a, s in zip(row, scale)] for row in acc]
    return np.array(out).reshape(y.q.shape)


def addition(o, ins, y, sign=1):
    """ADD and SUB."""
    a, b = ins
    twice = 2 * max(a.scale, b.scale)
    scale_a, scale_b = quantize_multiplier(a.scale / twice), quantize_multiplier(b.scale / twice)
    scale_y = quantize_multiplier(twice / ((1 << 20) * y.scale))
    bounds = clamp_bounds(o["fusedActivationFunction"], y)
    left, right = np.broadcast_arrays(a.q - a.zero, b.q - b.zero)
    out = [
        clamp(rescale(rescale(int(p) << 20, scale_a) + sign * rescale(int(q) << 20, scale_b), scale_y) + y.zero, bounds)
        for p, q in zip(left.flat, right.flat)
    ]
    return np.array(out).reshape(y.q.shape)


def product(o, ins, y):
    """MUL."""
    a, b = ins
    scale = quantize_multiplier(a.scale * b.scale / y.scale)
    bounds = clamp_bounds(o["fusedActivationFunction"], y)
    values = (a.q - a.zero) * (b.q - b.zero)
    return np.array([clamp(rescale(int(v), scale) + y.zero, bounds) for v in values.flat]).reshape(y.q.shape)


def pooling(o, ins, y, largest):
    """AVERAGE_POOL_2D and MAX_POOL_2D: padding is left out; the mean rounds half away from zero on raw int8 values."""
    x = ins[0]
    stride, kernel = (o["strideH"], o["strideW"]), (o["filterHeight"], o["filterWidth"])
    top, left = (window(x.q.shape[1 + i], y.q.shape[1 + i], kernel[i], stride[i], 1, o["padding"]) for i in range(2))
    bounds = clamp_bounds(o["fusedActivationFunction"], y)
    out = np.zeros_like(y.q)
    for n, r, c, k in itertools.product(*map(range, y.q.shape)):
        r0, c0 = r * stride[0] - top, c * stride[1] - left
        part = x.q[n, max(r0, 0) : r0 + kernel[0], max(c0, 0) : c0 + kernel[1], k]
        if largest:
            value = int(part.max())
        else:
            total, count = int(part.sum()), part.size
            value = (abs(total) + count // 2) // count * (1 if total > 0 else -1)
        out[n, r, c, k] = clamp(value, bounds)
    return out


def mean(o, ins, y):
    """MEAN: the zero point is taken off the sum; 1/count is shifted into the multiplier."""
    x, axes = ins[0], tuple(int(a) for a in ins[1].q)
    count = math.prod(x.q.shape[a] for a in axes)
    q, shift = quantize_multiplier(x.scale / y.scale)
    # floor(log2(count)), so that the quotient stays below 2^31; the shift to the right stays within 31.
    up = min(count.bit_length() - 1, 32, 31 + shift)
    q, shift = (q << up) // count, shift - up
    sums = (x.q - x.zero).sum(axis=axes, keepdims=o["keepDims"])
    out = [clamp(rescale(int(s), (q, shift)) + y.zero, (-128, 127)) for s in sums.flat]
    return np.array(out).reshape(y.q.shape)


def exp_on_negative(a, integer_bits):
    """gemmlowp's exp of a fixed-point number in -2^integer_bits..0; the result has no integer bits."""
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    rest = (a & (quarter - 1)) - quarter
    # exp on -1/4..0 by a polynomial around -1/8.
    x = (rest << integer_bits) + (1 << 28)
    x2 = high_mul(x, x)
    x3, x4 = high_mul(x2, x), high_mul(x2, x2)
    tail = rounding_shift(high_mul(rounding_shift(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + high_mul(1895147668, x + tail)
    remainder = rest - a
    for exponent, factor in enumerate((1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242), -2):
        if integer_bits > exponent and remainder & (1 << (fraction + exponent)):
            result = high_mul(result, factor)
    return I32[1] if a == 0 else result


def reciprocal(x):
    """gemmlowp's 1 / (1 + x) for x in 0..1, both without integer bits."""
    total = x + I32[1]
    half = (total + (1 if total >= 0 else -1)) // 2 if total >= 0 else -((-total + 1) // 2)
    y = 1515870810 + high_mul(half, -1010580540)
    for _ in range(3):
        residue = (1 << 29) - high_mul(half, y)
        y = y + shift_left(high_mul(y, residue), 2)
    return shift_left(y, 1)


def softmax(o, ins, y):
    """SOFTMAX over the last axis in fixed point."""
    x = ins[0]
    real = min(o["beta"] * x.scale * (1 << 26), float(I32[1]))
    multiplier = quantize_multiplier(real)
    # The largest difference that does not overflow; smaller scores count as zero.
    lowest = -math.floor(31 * (1 << 26) / 2 ** multiplier[1])
    out = []
    for row in x.q.reshape(-1, x.q.shape[-1]):
        differences = [int(v) - int(row.max()) for v in row]
        powers = [
            exp_on_negative(high_mul(d << multiplier[1], multiplier[0]), 5) if d >= lowest else None
            for d in differences
        ]
        total = sum(rounding_shift(p, 12) for p in powers if p is not None)
        headroom = 32 - total.bit_length()
        over_one = 12 - headroom
        share = reciprocal(((total << headroom) & 0xFFFFFFFF) - (1 << 31))
        out.append([
            -128 if p is None else clamp(rounding_shift(high_mul(share, p), over_one + 31 - 8) - 128, (-128, 127))
            for p in powers
        ])
    return np.array(out).reshape(y.q.shape)


def table(ins, y, function):
    """An op that TFLite tabulates in single precision."""
    x = ins[0]
    out = []
    for q in x.q.flat:
        real = np.float32(x.scales[0] * np.float32(q - x.zero))
        value = np.float32(function(real)) * np.float32(np.float32(1) / y.scales[0])
        out.append(clamp(int(math.copysign(math.floor(abs(value) + 0.5), value)) + y.zero, (-128, 127)))
    return np.array(out).reshape(y.q.shape)


def rescaled(ins, y, low=-128, high=127):
    """QUANTIZE, RELU and RELU6 between unequal scales."""
    x = ins[0]
    scale = quantize_multiplier(x.scale / y.scale)
    out = [clamp(y.zero + rescale(int(q) - x.zero, scale), (low, high)) for q in x.q.flat]
    return np.array(out).reshape(y.q.shape)


def leaky_relu(o, ins, y):
    """LEAKY_RELU: one multiplier for either sign."""
    x = ins[0]
    alpha = float(np.float32(o["alpha"]))
    above = quantize_multiplier(x.scale / y.scale)
    below = quantize_multiplier(x.scale * alpha / y.scale)
    out = []
    for q in x.q.flat:
        value = int(q) - x.zero
        out.append(clamp(y.zero + rescale(value, above if value >= 0 else below), (-128, 127)))
    return np.array(out).reshape(y.q.shape)


def saturate16(x):
    """To int16."""
    return min(max(x, -32768), 32767)


def high_mul16(a, b, rounded):
    """Doubling high multiplication of int16, with or without rounding."""
    if a == b == -32768:
        return 32767
    total = a * b + ((1 << 14 if a * b >= 0 else 1 - (1 << 14)) if rounded else 0)
    return abs(total) // 32768 * (1 if total >= 0 else -1)


def narrow(multiplier):
    """A 32-bit multiplier as int16."""
    return min((multiplier + (1 << 15)) >> 16, 32767)


def hard_swish(ins, y):
    """HARD_SWISH in 16 bits."""
    x = ins[0]
    hires = np.float32(1.0 / 128.0) * x.scales[0]
    out_q, out_shift = quantize_multiplier(float(np.float32(hires / y.scales[0])))
    relu_q, relu_shift = quantize_multiplier(float(np.float32(hires / np.float32(3.0 / 32768.0))))
    out = []
    for q in x.q.flat:
        high = (int(q) - x.zero) * 128
        pre = high_mul16(high, narrow(out_q), True)
        gate = high
        if relu_shift > 0:
            gate = saturate16(gate << (relu_shift - 1))
        gate = high_mul16(gate, narrow(relu_q), True)
        if relu_shift > 0:
            gate = saturate16(gate << 1)
        elif relu_shift < 0:
            gate = rounding_shift(gate, -relu_shift)
        gate = (gate + (1 << 15)) >> 1
        value = high_mul16(gate, pre, False)
        out.append(clamp(rounding_shift(value, -out_shift) + y.zero, (-128, 127)))
    return np.array(out).reshape(y.q.shape)


def compute(case, ins, y):
    """The output of a case from its inputs."""
    kind, o = case["op"], case["options"]
    match kind:
        case "CONV_2D" | "DEPTHWISE_CONV_2D":
            return convolution(o, ins, y, kind != "CONV_2D")
        case "FULLY_CONNECTED":
            return dense(o, ins, y)
        case "ADD" | "SUB":
            return addition(o, ins, y, 1 if kind == "ADD" else -1)
        case "MUL":
            return product(o, ins, y)
        case "AVERAGE_POOL_2D" | "MAX_POOL_2D":
            return pooling(o, ins, y, kind == "MAX_POOL_2D")
        case "MEAN":
            return mean(o, ins, y)
        case "SOFTMAX":
            return softmax(o, ins, y)
        case "LOGISTIC":
            return table(ins, y, lambda v: np.float32(1) / (np.float32(1) + np.exp(-v, dtype=np.float32)))
        case "TANH":
            return table(ins, y, lambda v: np.tanh(v, dtype=np.float32))
        case "HARD_SWISH":
            return hard_swish(ins, y)
        case "LEAKY_RELU":
            return leaky_relu(o, ins, y)
        case "RELU" | "RELU6":
            low, high = clamp_bounds(kind, y)
            return rescaled(ins, y, low, high)
        case "QUANTIZE":
            return rescaled(ins, y)
        case "CONCATENATION":
            return np.concatenate([t.q for t in ins], o["axis"])
        case "PAD":
            return np.pad(ins[0].q, ins[1].q, constant_values=y.zero)
    raise SystemExit(f"{case['name']}: no rule for {kind}")


def main():
    paths = [p for p in sorted(HERE.glob("*.json")) if all(word in p.stem for word in sys.argv[1:])]
    wrong = 0
    for path in paths:
        case = json.loads(path.read_text())
        ins, y = [Tensor(t) for t in case["inputs"]], Tensor(case["output"])
        difference = np.abs(compute(case, ins, y) - y.q)
        if difference.any():
            wrong += 1
            count = np.count_nonzero(difference)
            print(f"{path.stem}: {count} of {difference.size} differ, by up to {difference.max()}")
    print(f"{len(paths) - wrong} of {len(paths)} files are reproduced bit for bit")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
