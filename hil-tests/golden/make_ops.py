#!/usr/bin/env python3
"""Writes ops/NAME/{model.xml,model.bin,io.npz}: one small IR per case, with inputs and the output OpenVINO gives.

    pip install -r requirements.txt
    python make_ops.py              # all cases
    python make_ops.py conv_same    # those whose name contains the word

io.npz holds the inputs x0, x1, .. in the order of the model's parameters and the output y, all f32.
The output is that of the CPU device in f32. Where OpenVINO also has a plain evaluation of the op, the
two must agree, otherwise the script stops.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset1 as v1
import openvino.opset15 as op
from openvino.utils.node_factory import NodeFactory

HERE = Path(__file__).resolve().parent / "ops"
SEED = 20261122
CASES = {}


def case(build):
    """Registers a function that gives the result node (and may draw from `rng`)."""
    CASES[build.__name__] = build
    return build


def many(prefix, table):
    """Registers one case per entry of a table {suffix: builder(rng)}."""
    for suffix, build in table.items():
        assert f"{prefix}_{suffix}" not in CASES
        CASES[f"{prefix}_{suffix}"] = build


def x(*shape, name=None):
    """An f32 parameter."""
    return op.parameter(list(shape), np.float32, name=name)


def w(rng, *shape, scale=1.0):
    """A constant with normally distributed elements."""
    return op.constant((rng.standard_normal(shape) * scale).astype(np.float32))


def ints(*values):
    """An i64 constant, as converters write axes and shapes."""
    return op.constant(np.array(values, np.int64))


# Convolution. Extents are odd or unequal, so that swapped axes and off-by-one pads show.


def conv(shape, kernel, out, strides=(1, 1), begin=(0, 0), end=(0, 0), dilations=(1, 1), auto_pad="explicit"):
    """A convolution over NCHW with random weights."""

    def build(rng):
        weights = w(rng, out, shape[1], *kernel, scale=0.3)
        return op.convolution(x(*shape), weights, list(strides), list(begin), list(end), list(dilations), auto_pad)

    return build


def grouped(shape, kernel, groups, out, strides=(1, 1), begin=(0, 0), end=(0, 0), dilations=(1, 1),
            auto_pad="explicit"):  # fmt: skip
    """A grouped convolution; `out` channels per group."""

    def build(rng):
        weights = w(rng, groups, out, shape[1] // groups, *kernel, scale=0.3)
        return op.group_convolution(
            x(*shape), weights, list(strides), list(begin), list(end), list(dilations), auto_pad
        )

    return build


many("conv", {
    "1x1": conv([1, 5, 4, 7], (1, 1), 3),
    "1x1_stride2": conv([1, 4, 5, 7], (1, 1), 3, (2, 2)),
    "3x3_pad1": conv([1, 3, 7, 5], (3, 3), 4, begin=(1, 1), end=(1, 1)),
    "3x3_pads_unequal": conv([1, 2, 6, 7], (3, 3), 3, begin=(0, 2), end=(1, 0)),
    "5x3_stride_2x1": conv([1, 2, 9, 6], (5, 3), 3, (2, 1), (2, 1), (2, 1)),
    "2x4_stride_1x3": conv([1, 3, 5, 11], (2, 4), 2, (1, 3)),
    "3x3_dilation_2x3": conv([1, 2, 9, 11], (3, 3), 3, begin=(2, 3), end=(2, 3), dilations=(2, 3)),
    "same_upper_stride2_even": conv([1, 2, 8, 6], (3, 3), 3, (2, 2), auto_pad="same_upper"),
    "same_lower_stride2_even": conv([1, 2, 8, 6], (3, 3), 3, (2, 2), auto_pad="same_lower"),
    "same_upper_stride2_odd": conv([1, 2, 7, 9], (3, 3), 3, (2, 2), auto_pad="same_upper"),
    "same_upper_4x4": conv([1, 2, 5, 6], (4, 4), 3, auto_pad="same_upper"),
    "same_lower_4x4": conv([1, 2, 5, 6], (4, 4), 3, auto_pad="same_lower"),
    "same_upper_stride3_dilation2": conv([1, 2, 10, 11], (3, 3), 2, (3, 3), dilations=(2, 2), auto_pad="same_upper"),
    # Pads are given and must be ignored.
    "valid_ignores_pads": conv([1, 2, 5, 7], (3, 3), 3, begin=(1, 1), end=(1, 1), auto_pad="valid"),
    # Rows that no window reaches.
    "3x3_stride2_rest": conv([1, 2, 8, 10], (3, 3), 2, (2, 2)),
    "kernel_is_map": conv([1, 3, 4, 5], (4, 5), 6),
    "batch2": conv([2, 2, 5, 4], (3, 3), 3, begin=(1, 1), end=(1, 1)),
    "groups2": grouped([1, 4, 5, 6], (3, 3), 2, 3, begin=(1, 1), end=(1, 1)),
    "groups3_1x1_stride2": grouped([1, 6, 5, 4], (1, 1), 3, 2, (2, 2)),
})

many("depthwise", {
    "3x3_pad1": grouped([1, 5, 6, 7], (3, 3), 5, 1, begin=(1, 1), end=(1, 1)),
    "3x3_stride2_same_upper": grouped([1, 3, 8, 7], (3, 3), 3, 1, (2, 2), auto_pad="same_upper"),
    "5x5_stride_2x1_same_lower": grouped([1, 3, 9, 6], (5, 5), 3, 1, (2, 1), auto_pad="same_lower"),
    "3x3_dilation2": grouped([1, 3, 9, 7], (3, 3), 3, 1, begin=(2, 2), end=(2, 2), dilations=(2, 2)),
    "multiplier2": grouped([1, 3, 5, 6], (3, 3), 3, 2, begin=(1, 1), end=(1, 1)),
    "multiplier3_one_channel": grouped([1, 1, 5, 6], (3, 2), 1, 3),
    "1x7": grouped([1, 2, 3, 11], (1, 7), 2, 1, (1, 2), (0, 3), (0, 3)),
})


@case
def conv_bias_relu(rng):
    """What a converter makes of Conv2D + BiasAdd + ReLU."""
    y = op.convolution(x(1, 3, 5, 6), w(rng, 4, 3, 3, 3, scale=0.3), [1, 1], [1, 1], [1, 1], [1, 1])
    return op.relu(op.add(y, w(rng, 1, 4, 1, 1)))


@case
def conv_weights_fp16(rng):
    """Saved with FP16 weights: a Convert stands between constant and convolution."""
    y = op.convolution(x(1, 3, 5, 6), w(rng, 4, 3, 3, 3, scale=0.3), [1, 1], [1, 1], [1, 1], [1, 1])
    return op.add(y, w(rng, 1, 4, 1, 1))


@case
def conv_nhwc(rng):
    """NHWC outside, as converters from TensorFlow write it."""
    inner = op.transpose(x(1, 6, 5, 3), ints(0, 3, 1, 2))
    y = op.convolution(inner, w(rng, 4, 3, 3, 3, scale=0.3), [2, 2], [0, 0], [0, 0], [1, 1], "same_upper")
    y = op.relu(op.add(y, w(rng, 1, 4, 1, 1)))
    return op.transpose(y, ints(0, 2, 3, 1))


@case
def conv_batch_norm(rng):
    """Batch normalization after a convolution without bias."""
    y = op.convolution(x(1, 2, 5, 4), w(rng, 3, 2, 3, 3, scale=0.3), [1, 1], [0, 0], [0, 0], [1, 1])
    variance = op.constant(rng.uniform(0.2, 2.0, 3).astype(np.float32))
    return op.batch_norm_inference(y, w(rng, 3), w(rng, 3), w(rng, 3), variance, 1e-3)


# Pooling.


def average(shape, kernel, strides, begin=(0, 0), end=(0, 0), exclude=True, rounding="floor", auto_pad="explicit"):
    """AvgPool-1."""
    return lambda rng: v1.avg_pool(
        x(*shape), list(strides), list(begin), list(end), list(kernel), exclude, rounding, auto_pad
    )


def largest(shape, kernel, strides, begin=(0, 0), end=(0, 0), rounding="floor", auto_pad="explicit"):
    """MaxPool-1."""
    return lambda rng: v1.max_pool(
        x(*shape), list(strides), list(begin), list(end), list(kernel), rounding, auto_pad
    )


many("avg_pool", {
    "2x2": average([1, 3, 6, 4], (2, 2), (2, 2)),
    "2x2_rest": average([1, 3, 7, 5], (2, 2), (2, 2)),
    "3x3_exclude": average([1, 2, 7, 5], (3, 3), (2, 2), (1, 1), (1, 1)),
    "3x3_include": average([1, 2, 7, 5], (3, 3), (2, 2), (1, 1), (1, 1), exclude=False),
    "3x2_pads_unequal_exclude": average([1, 2, 6, 7], (3, 2), (1, 2), (0, 1), (2, 0)),
    "3x2_pads_unequal_include": average([1, 2, 6, 7], (3, 2), (1, 2), (0, 1), (2, 0), exclude=False),
    "2x2_ceil": average([1, 2, 7, 5], (2, 2), (2, 2), rounding="ceil"),
    "3x3_ceil_exclude": average([1, 2, 8, 6], (3, 3), (2, 2), (1, 1), (1, 1), rounding="ceil"),
    "same_upper_exclude": average([1, 2, 6, 5], (3, 3), (2, 2), auto_pad="same_upper"),
    "same_lower_exclude": average([1, 2, 6, 8], (3, 3), (2, 2), auto_pad="same_lower"),
    "same_upper_include": average([1, 2, 6, 5], (2, 2), (1, 1), exclude=False, auto_pad="same_upper"),
    "valid": average([1, 2, 7, 6], (3, 2), (1, 1), auto_pad="valid"),
    "global": average([1, 4, 5, 3], (5, 3), (1, 1)),
})
many("max_pool", {
    "2x2": largest([1, 3, 6, 4], (2, 2), (2, 2)),
    "2x2_rest": largest([1, 3, 7, 5], (2, 2), (2, 2)),
    "2x2_ceil": largest([1, 3, 7, 5], (2, 2), (2, 2), rounding="ceil"),
    "3x3_stride2_pad1": largest([1, 2, 7, 6], (3, 3), (2, 2), (1, 1), (1, 1)),
    "3x3_ceil_pads": largest([1, 2, 8, 6], (3, 3), (2, 2), (1, 1), (1, 1), rounding="ceil"),
    "3x2_pads_unequal": largest([1, 2, 6, 7], (3, 2), (1, 2), (0, 1), (2, 0)),
    "same_upper": largest([1, 2, 6, 5], (3, 3), (2, 2), auto_pad="same_upper"),
    "same_lower": largest([1, 2, 6, 8], (2, 3), (2, 1), auto_pad="same_lower"),
    "valid": largest([1, 2, 7, 6], (3, 2), (2, 1), auto_pad="valid"),
    # MaxPool-14 also gives the positions of the largest elements; nothing reads them here.
    "two_outputs": lambda rng: op.max_pool(x(1, 2, 7, 5), [2, 2], [1, 1], [1, 0], [1, 1], [3, 2]).output(0),
})


@case
def max_pool_negative(rng):
    """All inputs below zero: a pad that counts as zero would win."""
    return v1.max_pool(op.subtract(x(1, 2, 5, 5), op.constant(np.float32(9))), [2, 2], [1, 1], [1, 1], [3, 3])


# Two operands.

many("binary", {
    "add": lambda rng: op.add(x(1, 3, 4, 5), x(1, 3, 4, 5)),
    "add_channel": lambda rng: op.add(x(1, 3, 4, 5), w(rng, 1, 3, 1, 1)),
    "add_channel_first": lambda rng: op.add(w(rng, 1, 3, 1, 1), x(1, 3, 4, 5)),
    "add_lower_rank": lambda rng: op.add(x(1, 3, 4, 5), w(rng, 4, 1)),
    "add_scalar": lambda rng: op.add(x(1, 3, 5), op.constant(np.float32(0.75))),
    "add_both_ways": lambda rng: op.add(x(1, 3, 1, 5), x(2, 1, 4, 1)),
    "add_different_rank": lambda rng: op.add(x(2, 3, 5), x(5)),
    "subtract": lambda rng: op.subtract(x(1, 3, 4, 5), x(1, 3, 1, 1)),
    "subtract_from_constant": lambda rng: op.subtract(op.constant(np.float32(1)), x(2, 7)),
    "multiply": lambda rng: op.multiply(x(1, 3, 4, 5), x(1, 3, 4, 5)),
    "multiply_gate": lambda rng: op.multiply(x(1, 3, 4, 5), x(1, 3, 1, 1)),
    "divide": lambda rng: op.divide(x(2, 7), op.constant(rng.uniform(0.5, 3, (1, 7)).astype(np.float32))),
    "maximum": lambda rng: op.maximum(x(2, 3, 5), x(3, 1)),
    "minimum": lambda rng: op.minimum(x(2, 3, 5), x(3, 1)),
    "power": lambda rng: op.power(x(3, 5), op.constant(np.float32(2))),
    "squared_difference": lambda rng: op.squared_difference(x(2, 5), x(1, 5)),
})

# One operand. Inputs are spread over about -8..8 to reach the flat parts.


def unary(build, positive=False):
    """One op over [2,3,11]."""

    def make(rng):
        y = x(2, 3, 11, name="positive" if positive else "wide")
        return build(y, rng)

    return make


many("unary", {
    "relu": unary(lambda y, rng: op.relu(y)),
    "clamp_0_6": unary(lambda y, rng: op.clamp(y, 0.0, 6.0)),
    "clamp": unary(lambda y, rng: op.clamp(y, -1.5, 2.25)),
    "sigmoid": unary(lambda y, rng: op.sigmoid(y)),
    "tanh": unary(lambda y, rng: op.tanh(y)),
    "hswish": unary(lambda y, rng: op.hswish(y)),
    "hsigmoid": unary(lambda y, rng: op.hsigmoid(y)),
    "hard_sigmoid": unary(
        lambda y, rng: op.hard_sigmoid(y, op.constant(np.float32(0.2)), op.constant(np.float32(0.5)))
    ),
    "prelu_scalar": unary(lambda y, rng: op.prelu(y, op.constant(np.array([0.125], np.float32)))),
    "prelu_channel": unary(lambda y, rng: op.prelu(y, op.constant(np.array([0.1, -0.5, 2], np.float32)))),
    "elu": unary(lambda y, rng: op.elu(y, 0.75)),
    "swish": unary(lambda y, rng: op.swish(y)),
    "swish_beta": unary(lambda y, rng: op.swish(y, op.constant(np.float32(1.5)))),
    "gelu_erf": unary(lambda y, rng: op.gelu(y, "erf")),
    "gelu_tanh": unary(lambda y, rng: op.gelu(y, "tanh")),
    "mish": unary(lambda y, rng: op.mish(y)),
    "softplus": unary(lambda y, rng: op.softplus(y)),
    "exp": unary(lambda y, rng: op.exp(y)),
    "log": unary(lambda y, rng: op.log(y), positive=True),
    "sqrt": unary(lambda y, rng: op.sqrt(y), positive=True),
    "abs": unary(lambda y, rng: op.abs(y)),
    "negative": unary(lambda y, rng: op.negative(y)),
    "floor": unary(lambda y, rng: op.floor(y)),
    "ceiling": unary(lambda y, rng: op.ceiling(y)),
})

# Matrix products.

many("matmul", {
    "nn": lambda rng: op.matmul(x(3, 5), x(5, 4), False, False),
    "tn": lambda rng: op.matmul(x(5, 3), x(5, 4), True, False),
    "nt": lambda rng: op.matmul(x(3, 5), x(4, 5), False, True),
    "tt": lambda rng: op.matmul(x(5, 3), x(4, 5), True, True),
    "batch": lambda rng: op.matmul(x(2, 3, 5), x(2, 5, 4), False, False),
    "batch_broadcast": lambda rng: op.matmul(x(2, 1, 3, 5), x(3, 4, 5), False, True),
    "weights": lambda rng: op.matmul(x(1, 7), w(rng, 7, 5), False, False),
    "weights_transposed": lambda rng: op.matmul(x(1, 7), w(rng, 5, 7), False, True),
    "weights_rank3": lambda rng: op.matmul(x(2, 3, 7), w(rng, 5, 7), False, True),
    "vector_left": lambda rng: op.matmul(x(5), x(5, 4), False, False),
    "vector_right": lambda rng: op.matmul(x(3, 5), x(5), False, False),
    "bias": lambda rng: op.add(op.matmul(x(2, 7), w(rng, 5, 7), False, True), w(rng, 1, 5)),
})

# Reductions.


def reduced(build, axes, keep, shape=(2, 3, 4, 5)):
    """A reduction with constant axes."""
    return lambda rng: build(x(*shape), ints(*axes), keep)


many("reduce", {
    "mean_hw_keep": reduced(op.reduce_mean, (2, 3), True),
    "mean_hw": reduced(op.reduce_mean, (2, 3), False),
    "mean_negative_axes": reduced(op.reduce_mean, (-1, -2), False),
    "mean_nhwc": reduced(op.reduce_mean, (1, 2), False, (1, 5, 3, 4)),
    "mean_channel_keep": reduced(op.reduce_mean, (1,), True),
    "mean_all": reduced(op.reduce_mean, (0, 1, 2, 3), True),
    "sum": reduced(op.reduce_sum, (1, 3), False),
    "max": reduced(op.reduce_max, (3,), True),
    "min": reduced(op.reduce_min, (2,), False),
})

# Softmax, and ops that move elements.

many("softmax", {
    "last": lambda rng: op.softmax(x(2, 10), 1),
    "channel": lambda rng: op.softmax(x(1, 5, 3, 4), 1),
    "negative_axis": lambda rng: op.softmax(x(2, 3, 5), -2),
    "v1": lambda rng: v1.softmax(x(3, 7), 1),
    # Large scores overflow exp unless the maximum is taken off first.
    "large": lambda rng: op.softmax(op.multiply(x(2, 6), op.constant(np.float32(100))), 1),
})
many("move", {
    "concat_channel": lambda rng: op.concat([x(1, 2, 3, 4), x(1, 1, 3, 4), x(1, 3, 3, 4)], 1),
    "concat_last": lambda rng: op.concat([x(2, 3), x(2, 5)], -1),
    "concat_constant": lambda rng: op.concat([x(2, 3, 4), w(rng, 2, 1, 4)], 1),
    "pad_zero": lambda rng: op.pad(x(1, 2, 3, 4), ints(0, 0, 1, 2), ints(0, 0, 3, 0), "constant"),
    "pad_value": lambda rng: op.pad(
        x(1, 2, 3, 4), ints(0, 1, 0, 2), ints(0, 0, 2, 1), "constant", op.constant(np.float32(-1.25))
    ),
    "reshape": lambda rng: op.reshape(x(2, 3, 4), ints(4, 6), False),
    "reshape_rest": lambda rng: op.reshape(x(2, 3, 4), ints(-1, 8), False),
    "reshape_zero": lambda rng: op.reshape(x(2, 3, 4, 5), ints(0, -1, 5), True),
    "squeeze": lambda rng: op.squeeze(x(1, 3, 1, 5), ints(2)),
    "squeeze_all": lambda rng: op.squeeze(x(1, 3, 1, 5)),
    "unsqueeze": lambda rng: op.unsqueeze(x(3, 5), ints(0, -1)),
    "transpose_to_nhwc": lambda rng: op.transpose(x(1, 3, 4, 5), ints(0, 2, 3, 1)),
    "transpose_to_nchw": lambda rng: op.transpose(x(1, 4, 5, 3), ints(0, 3, 1, 2)),
    "transpose_rank3": lambda rng: op.transpose(x(2, 3, 5), ints(2, 0, 1)),
    "transpose_reverse": lambda rng: op.transpose(x(2, 3, 5), ints()),
})


def parts_exchanged(node, order):
    """The outputs of a split, joined in another order."""
    return op.concat([node.output(i) for i in order], 1)


many("slice", {
    "channels": lambda rng: op.slice(x(1, 7, 3, 4), ints(2), ints(6), ints(1), ints(1)),
    "from_the_end": lambda rng: op.slice(x(1, 5, 6, 7), ints(-4, 1), ints(2**31 - 1, -1), ints(1, 1), ints(2, 3)),
    "all_axes": lambda rng: op.slice(x(2, 5, 6), ints(1, 0, 2), ints(2, 4, 99), ints(1, 1, 1)),
    "strided_masks": lambda rng: op.strided_slice(
        x(1, 6, 5, 4), ints(0, 2, 1, 3), ints(0, -1, 4, 9), ints(1, 1, 1, 1), [1, 0, 0, 1], [1, 0, 0, 1]
    ),
    "strided_shrink": lambda rng: op.strided_slice(
        x(1, 6, 5), ints(0, -1), ints(0, 0), ints(1, 1), [1, 0], [1, 0], [], [0, 1]
    ),
    "split": lambda rng: parts_exchanged(op.split(x(1, 6, 3, 5), op.constant(np.int64(1)), 3), [2, 0, 1]),
    "variadic_split": lambda rng: parts_exchanged(op.variadic_split(x(1, 7, 3, 2), ints(1), ints(1, -1, 2)), [1, 2, 0]),
})


many("space_to_depth", {
    "blocks_first": lambda rng: op.space_to_depth(x(1, 3, 6, 4), "blocks_first", 2),
    "depth_first": lambda rng: op.space_to_depth(x(1, 3, 6, 9), "depth_first", 3),
})


def enlarged(shape, scales, coordinates="half_pixel", nearest="round_prefer_floor", by="scales", opset=11, axes=(2, 3)):
    """Interpolate of mode nearest; `by` sizes or scales."""

    def build(rng):
        y, axis_list = x(*shape), ints(*axes)
        sizes = ints(*(shape[a] * s for a, s in zip(axes, scales)))
        factors = op.constant(np.array(scales, np.float32))
        attributes = {
            "mode": "nearest", "shape_calculation_mode": by, "coordinate_transformation_mode": coordinates,
            "nearest_mode": nearest, "antialias": False, "pads_begin": [0], "pads_end": [0], "cube_coeff": -0.75,
        }  # fmt: skip
        operands = [y, sizes, factors, axis_list] if opset == 4 else [y, sizes if by == "sizes" else factors, axis_list]
        return NodeFactory(f"opset{opset}").create("Interpolate", [o.output(0) for o in operands], attributes)

    return build


many("upsample", {
    "2x2": enlarged([1, 3, 4, 5], (2, 2)),
    "3x2_asymmetric": enlarged([1, 2, 5, 3], (3, 2), "asymmetric", "floor", "sizes"),
    "columns_tf": enlarged([1, 2, 3, 4], (1, 5), "tf_half_pixel_for_nn", "floor", "sizes", opset=4),
    "3x3_simple": enlarged([1, 2, 3, 7], (3, 3), "asymmetric", "simple", opset=4),
    "4x7_prefer_ceil": enlarged([1, 2, 3, 3], (4, 7), "pytorch_half_pixel", "round_prefer_ceil", "sizes"),
    "2x2_asymmetric_rounded": enlarged([1, 2, 5, 6], (2, 2), "asymmetric", opset=4),
    "2x2_align_corners": enlarged([1, 2, 3, 5], (2, 2), "align_corners"),
    "nhwc": enlarged([1, 3, 4, 5], (2, 3), axes=(1, 2)),
    "line": enlarged([1, 3, 6], (2,), axes=(2,)),
})


def parameters(node, found):
    """The parameters below a node, in the order in which the builder made its operands."""
    for operand in node.input_values():
        below = operand.get_node()
        if below.get_type_name() == "Parameter":
            if below not in found:
                found.append(below)
        else:
            parameters(below, found)
    return found


def make(name, build):
    """Builds, runs and writes one case; gives the number of bytes."""
    rng = np.random.default_rng([SEED, *name.encode()])
    result = build(rng)
    result = result if isinstance(result, ov.Output) else result.output(0)
    inputs = parameters(result.get_node(), [])
    samples = []
    for i, parameter in enumerate(inputs):
        given, shape = parameter.get_friendly_name(), tuple(parameter.get_output_shape(0))
        values = rng.standard_normal(shape)
        if given == "wide":
            values = rng.permutation(np.linspace(-8, 8, values.size)).reshape(shape)
        elif given == "positive":
            values = np.exp(values)
        samples.append(values.astype(np.float32))
        parameter.set_friendly_name(f"x{i}")
        parameter.output(0).set_names({f"x{i}"})
    model = ov.Model([op.result(result, name="y")], inputs, name)

    folder = HERE / name
    folder.mkdir(parents=True)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=name.endswith("fp16"))
    # Measured on the file, not on the model in memory: FP16 weights are rounded only there.
    core = ov.Core()
    read = core.read_model(folder / "model.xml")
    output = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(samples)[0]
    assert np.isfinite(output).all() and output.dtype == np.float32, name

    plain = ov.Tensor(np.zeros_like(output))
    how = "CPU device"
    try:
        evaluated = read.evaluate([plain], [ov.Tensor(s) for s in samples])
    except RuntimeError:
        evaluated = False  # OpenVINO has no plain evaluation of convolutions and pooling with one output.
    if evaluated:
        difference = np.abs(plain.data - output).max() / max(1.0, np.abs(output).max())
        assert difference < 2e-6, f"{name}: CPU device and plain evaluation differ by {difference:.1e}"
        how = f"CPU device, plain evaluation within {difference:.1e}"
    np.savez_compressed(folder / "io.npz", y=output, **{f"x{i}": s for i, s in enumerate(samples)})
    print(f"{name}: {[s.shape for s in samples]} -> {output.shape}; {how}")
    return sum(file.stat().st_size for file in folder.iterdir())


def main():
    wanted = {name: build for name, build in CASES.items() if all(word in name for word in sys.argv[1:])}
    total = 0
    for name, build in wanted.items():
        shutil.rmtree(HERE / name, ignore_errors=True)
        total += make(name, build)
    print(f"{len(wanted)} cases, {total} bytes")


if __name__ == "__main__":
    main()
