#!/usr/bin/env python3
"""Writes tflite/NAME.json: one int8 TFLite op each, with all its integers and what the reference kernel makes of them.

    pip install -r requirements.txt
    python make_tflite.py           # all cases
    python make_tflite.py conv_     # those whose name contains the word

Each model is a flatbuffer with exactly one operator between int8 tensors, built with TensorFlow's own
schema classes from a seed, so that scales, zero points and weights can be anything a converter may write.
It runs on the TensorFlow Lite interpreter with the *reference* kernels (BUILTIN_REF).
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import flatbuffers
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

HERE = Path(__file__).resolve().parent / "tflite"
SEED = 20261122
CASES = {}

PADDING = {"SAME": schema.Padding.SAME, "VALID": schema.Padding.VALID}
ACTIVATION = {
    "NONE": schema.ActivationFunctionType.NONE,
    "RELU": schema.ActivationFunctionType.RELU,
    "RELU_N1_TO_1": schema.ActivationFunctionType.RELU_N1_TO_1,
    "RELU6": schema.ActivationFunctionType.RELU6,
}
# Operator versions as TensorFlow's converter writes them for int8.
VERSION = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "ADD": 2, "SUB": 2, "MUL": 2, "AVERAGE_POOL_2D": 2,
    "MAX_POOL_2D": 2, "MEAN": 2, "SOFTMAX": 2, "LOGISTIC": 2, "TANH": 2, "HARD_SWISH": 1, "LEAKY_RELU": 2,
    "RELU": 2, "RELU6": 2, "QUANTIZE": 2, "CONCATENATION": 2, "PAD": 2,
}  # fmt: skip


class T:
    """A tensor: activation (data drawn for the run) or constant."""

    def __init__(self, role, data, scale=None, zero_point=0, axis=0, const=False):
        self.role, self.data, self.axis, self.const = role, data, axis, const
        self.scale = None if scale is None else np.atleast_1d(np.asarray(scale, np.float32))
        self.zero_point = None if scale is None else [int(zero_point)] * len(self.scale)


def flatbuffer(name, code, options, inputs, output):
    """The bytes of a model with one operator."""
    model = schema.ModelT()
    model.version, model.description = 3, name
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.name, graph.tensors = name, []
    for tensor in [*inputs, output]:
        t = schema.TensorT()
        t.name, t.shape = tensor.role, list(tensor.data.shape)
        t.type = schema.TensorType.INT8 if tensor.data.dtype == np.int8 else schema.TensorType.INT32
        if tensor.scale is not None:
            t.quantization = schema.QuantizationParametersT()
            t.quantization.scale, t.quantization.zeroPoint = list(tensor.scale), tensor.zero_point
            t.quantization.quantizedDimension = tensor.axis
        if tensor.const:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(tensor.data.tobytes(), np.uint8)
            t.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(t)
    graph.inputs = [i for i, tensor in enumerate(inputs) if not tensor.const]
    graph.outputs = [len(inputs)]
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = list(range(len(inputs))), [len(inputs)]
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    graph.operators = [operator]
    model.subgraphs = [graph]
    opcode = schema.OperatorCodeT()
    opcode.builtinCode = getattr(schema.BuiltinOperator, code)
    opcode.deprecatedBuiltinCode = min(opcode.builtinCode, 127)
    opcode.version = VERSION[code]
    model.operatorCodes = [opcode]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(content, inputs, resolver):
    """The output of the interpreter, and the quantization parameters as it read them."""
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    activations = [tensor for tensor in inputs if not tensor.const]
    for detail, tensor in zip(interpreter.get_input_details(), activations):
        assert detail["name"] == tensor.role
        interpreter.set_tensor(detail["index"], tensor.data)
    interpreter.invoke()
    result = interpreter.get_output_details()[0]
    return interpreter.get_tensor(result["index"]), interpreter.get_tensor_details()


def describe(tensor, data, detail):
    """A tensor as JSON: integers, and scales both as shortest decimal and as bits."""
    entry = {"role": tensor.role, "const": tensor.const, "dtype": str(data.dtype), "shape": list(data.shape)}
    if tensor.scale is not None:
        read = detail["quantization_parameters"]
        assert np.array_equal(read["scales"], tensor.scale) and list(read["zero_points"]) == tensor.zero_point
        entry["scale"] = [float(str(s)) for s in tensor.scale]  # str is the shortest decimal of an f32
        entry["scale_bits"] = [f"{bits:08x}" for bits in tensor.scale.view(np.uint32)]
        entry["zero_point"] = tensor.zero_point
        entry["axis"] = tensor.axis
    entry["data"] = data.flatten().tolist()
    return entry


def name_options(options):
    """The attributes of the operator under the names of the schema, enumerations in words."""
    words = {"padding": PADDING, "fusedActivationFunction": ACTIVATION}
    named = {}
    for key, value in (options.__dict__ if options else {}).items():
        if key in words:
            value = next(word for word, number in words[key].items() if number == value)
        elif key in ("quantizedBiasType", "weightsFormat"):
            continue
        named[key] = value
    return named


def write(name, code, options, inputs, output):
    """Runs a case and writes its file; gives the number of bytes."""
    content = flatbuffer(name, code, options, inputs, output)
    kind = tf.lite.experimental.OpResolverType
    data, details = run(content, inputs, kind.BUILTIN_REF)
    assert data.shape == output.data.shape and data.dtype == output.data.dtype, (name, data.shape, output.data.shape)
    optimized, _ = run(content, inputs, kind.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    off = int(np.abs(data.astype(int) - optimized.astype(int)).max())
    tensors = [describe(t, t.data, details[i]) for i, t in enumerate(inputs)]
    lines = [
        f'"name": {json.dumps(name)}',
        f'"op": {json.dumps(code)}',
        f'"options": {json.dumps(name_options(options))}',
        '"inputs": [\n' + ",\n".join(json.dumps(t, separators=(",", ":")) for t in tensors) + "\n]",
        f'"output": {json.dumps(describe(output, data, details[len(inputs)]), separators=(",", ":"))}',
    ]
    path = HERE / f"{name}.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    clamped = np.mean((data == data.min()) | (data == data.max()))
    print(
        f"{name}: {path.stat().st_size} bytes, {len(np.unique(data))} values, {clamped:.0%} at the ends"
        + (f", optimized kernels differ by up to {off}" if off else "")
    )
    assert len(np.unique(data)) > 1, f"{name}: an output with one value tests nothing"
    return path.stat().st_size


# What the cases draw.


def activation(rng, *shape, role="input", scale=None, zero_point=None, low=-128, high=127):
    """A random int8 activation over the full range."""
    scale = rng.uniform(0.005, 0.1) if scale is None else scale
    zero_point = rng.integers(-128, 128) if zero_point is None else zero_point
    return T(role, rng.integers(low, high + 1, shape).astype(np.int8), scale, zero_point)


def hilly(rng, tensor):
    """The tensor with a level of its own in every channel, so that means are not all near zero."""
    levels = rng.integers(-100, 101, tensor.data.shape[-1])
    tensor.data = np.clip(tensor.data // 3 + levels, -128, 127).astype(np.int8)
    return tensor


def result(shape, scale, zero_point):
    """The output tensor of a case."""
    return T("output", np.zeros(shape, np.int8), scale, zero_point)


def extent(size, kernel, stride, dilation, padding):
    """Output extent of a window."""
    return -(-size // stride) if padding == "SAME" else (size - (kernel - 1) * dilation - 1) // stride + 1


def weighted(rng, x, kernel_shape, out_channels, axis, depth, channelwise, bias, spread, limit=127, target=None):
    """Weights, bias and an output scale for which -128..127 is about `spread` standard deviations either way.

    With a `target` the weight scales are chosen so that the output scale is that number.
    """
    weights = rng.integers(-limit, limit + 1, kernel_shape).astype(np.int8)
    scales = rng.uniform(0.3, 1.0, out_channels if channelwise else 1).astype(np.float32) * np.float32(0.01)
    inputs = x.data.astype(float) - x.zero_point[0]
    sigma = np.sqrt((inputs**2).mean()) * np.sqrt((weights.astype(float) ** 2).mean()) * np.sqrt(depth)
    out_scale = np.float32(sigma * float(x.scale[0]) * float(scales.mean()) * 2 * spread / 256)
    if target:
        scales *= np.float32(target) / out_scale
        out_scale = np.float32(target)
    tensors = [T("weights", weights, scales, 0, axis, const=True)]
    if bias:
        values = rng.normal(0, sigma / 2, out_channels).astype(np.int32)
        tensors.append(T("bias", values, x.scale[0] * scales, 0, 0, const=True))
    return tensors, out_scale


def conv(shape, kernel, out, stride=(1, 1), padding="SAME", dilation=(1, 1), act="NONE", groups=1, channelwise=True,
         bias=True, spread=2.5, x_zero=None, y_zero=None, limit=127, low=-128, high=127, y_scale=None):  # fmt: skip
    """CONV_2D."""

    def build(rng):
        options = schema.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = PADDING[padding], ACTIVATION[act]
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        x = activation(rng, *shape, zero_point=x_zero, low=low, high=high)
        depth = shape[3] // groups
        tensors, scale = weighted(
            rng, x, (out, *kernel, depth), out, 0, depth * kernel[0] * kernel[1], channelwise, bias, spread, limit,
            y_scale,
        )
        rows, columns = (extent(shape[1 + i], kernel[i], stride[i], dilation[i], padding) for i in range(2))
        zero = rng.integers(-40, 40) if y_zero is None else y_zero
        return "CONV_2D", options, [x, *tensors], result((shape[0], rows, columns, out), scale, zero)

    return build


def depthwise(shape, kernel, multiplier=1, stride=(1, 1), padding="SAME", dilation=(1, 1), act="NONE",
              channelwise=True, bias=True, spread=2.5, x_zero=None, y_zero=None, y_scale=None, limit=127, low=-128,
              high=127):  # fmt: skip
    """DEPTHWISE_CONV_2D."""

    def build(rng):
        out = shape[3] * multiplier
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.fusedActivationFunction = PADDING[padding], ACTIVATION[act]
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        options.depthMultiplier = multiplier
        x = activation(rng, *shape, zero_point=x_zero, low=low, high=high)
        tensors, scale = weighted(
            rng, x, (1, *kernel, out), out, 3, kernel[0] * kernel[1], channelwise, bias, spread, limit, y_scale
        )
        rows, columns = (extent(shape[1 + i], kernel[i], stride[i], dilation[i], padding) for i in range(2))
        zero = rng.integers(-40, 40) if y_zero is None else y_zero
        return "DEPTHWISE_CONV_2D", options, [x, *tensors], result((shape[0], rows, columns, out), scale, zero)

    return build


def dense(shape, out, act="NONE", channelwise=False, bias=True, keep=False, y_zero=None, spread=2.5, limit=127,
          x_zero=None, low=-128, high=127):  # fmt: skip
    """FULLY_CONNECTED."""

    def build(rng):
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction, options.keepNumDims = ACTIVATION[act], keep
        x = activation(rng, *shape, zero_point=x_zero, low=low, high=high)
        tensors, scale = weighted(rng, x, (out, shape[-1]), out, 0, shape[-1], channelwise, bias, spread, limit)
        zero = rng.integers(-40, 40) if y_zero is None else y_zero
        return "FULLY_CONNECTED", options, [x, *tensors], result((*shape[:-1], out), scale, zero)

    return build


def binary(code, a_shape, b_shape, a_scale, b_scale, y_scale, act="NONE", zeros=(None, None, None), const=False):
    """ADD, SUB and MUL."""

    def build(rng):
        options = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[code]()
        options.fusedActivationFunction = ACTIVATION[act]
        chosen = [rng.integers(-40, 40) if zero is None else zero for zero in zeros]
        a = activation(rng, *a_shape, role="input", scale=a_scale, zero_point=chosen[0])
        b = activation(rng, *b_shape, role="input1", scale=b_scale, zero_point=chosen[1])
        b.const, zero = const, chosen[2]
        return code, options, [a, b], result(np.broadcast_shapes(a_shape, b_shape), y_scale, zero)

    return build


def pool(code, shape, window, stride, padding, act="NONE", scale=None, zero_point=None):
    """AVERAGE_POOL_2D and MAX_POOL_2D; both need equal quantization on both sides."""

    def build(rng):
        options = schema.Pool2DOptionsT()
        options.padding, options.fusedActivationFunction = PADDING[padding], ACTIVATION[act]
        options.strideH, options.strideW = stride
        options.filterHeight, options.filterWidth = window
        x = activation(rng, *shape, scale=scale, zero_point=zero_point)
        x = x if scale else hilly(rng, x)
        rows, columns = (extent(shape[1 + i], window[i], stride[i], 1, padding) for i in range(2))
        return code, options, [x], result((shape[0], rows, columns, shape[3]), x.scale[0], x.zero_point[0])

    return build


def mean(shape, axes, keep, gain=None, zeros=(None, None)):
    """MEAN; `gain` is input scale over output scale, None for equal quantization."""

    def build(rng):
        options = schema.ReducerOptionsT()
        options.keepDims = keep
        x = hilly(rng, activation(rng, *shape, zero_point=zeros[0]))
        zero = x.zero_point[0] if gain is None else rng.integers(-60, 60) if zeros[1] is None else zeros[1]
        scale = x.scale[0] / np.float32(gain or 1)
        left = np.zeros(shape).mean(axis=axes, keepdims=keep).shape
        axis = T("axes", np.array(axes, np.int32), const=True)
        return "MEAN", options, [x, axis], result(left, scale, zero)

    return build


def softmax(shape, scale, beta=1.0, low=-128, high=127):
    """SOFTMAX; the output is always 1/256, -128."""

    def build(rng):
        options = schema.SoftmaxOptionsT()
        options.beta = beta
        x = activation(rng, *shape, scale=scale, low=low, high=high)
        return "SOFTMAX", options, [x], result(shape, 1 / 256, -128)

    return build


def table(code, scale, zero_point, y_scale, y_zero, options=None):
    """An op of one operand, over all 256 inputs."""

    def build(rng):
        given = options() if options else None
        x = T("input", np.arange(-128, 128).astype(np.int8).reshape(1, 4, 8, 8), scale, zero_point)
        return code, given, [x], result(x.data.shape, y_scale, y_zero)

    return build


def leaky(alpha):
    """Options of LEAKY_RELU."""

    def make():
        options = schema.LeakyReluOptionsT()
        options.alpha = alpha
        return options

    return make


def concat(shapes, axis):
    """CONCATENATION; int8 operands share their quantization."""

    def build(rng):
        options = schema.ConcatenationOptionsT()
        options.axis, options.fusedActivationFunction = axis, ACTIVATION["NONE"]
        parts = [activation(rng, *s, role=f"input{i or ''}", scale=0.03, zero_point=-7) for i, s in enumerate(shapes)]
        whole = np.concatenate([np.zeros(s) for s in shapes], axis).shape
        return "CONCATENATION", options, parts, result(whole, 0.03, -7)

    return build


def pad(shape, pads):
    """PAD; filled with the zero point."""

    def build(rng):
        x = activation(rng, *shape)
        around = T("pads", np.array(pads, np.int32), const=True)
        whole = tuple(n + a + b for n, (a, b) in zip(shape, pads))
        return "PAD", schema.PadOptionsT(), [x, around], result(whole, x.scale[0], x.zero_point[0])

    return build


CASES |= {
    "conv_1x1": conv((1, 4, 5, 3), (1, 1), 5),
    "conv_1x1_deep": conv((1, 3, 3, 67), (1, 1), 6),
    "conv_1x1_stride2": conv((1, 5, 7, 4), (1, 1), 3, (2, 2)),
    "conv_3x3_same": conv((1, 7, 5, 3), (3, 3), 4),
    "conv_3x3_same_stride2_even": conv((1, 8, 6, 3), (3, 3), 4, (2, 2)),
    "conv_3x3_same_stride2_odd": conv((1, 7, 9, 2), (3, 3), 3, (2, 2)),
    "conv_3x3_valid_stride2": conv((1, 8, 7, 3), (3, 3), 4, (2, 2), "VALID"),
    "conv_5x3_same_stride_2x1": conv((1, 9, 6, 2), (5, 3), 3, (2, 1)),
    "conv_10x4_same_stride2": conv((1, 13, 10, 1), (10, 4), 4, (2, 2)),
    "conv_2x2_same": conv((1, 5, 4, 3), (2, 2), 3),
    "conv_3x3_dilation2": conv((1, 9, 7, 2), (3, 3), 3, dilation=(2, 2)),
    "conv_3x3_dilation_1x3_valid": conv((1, 5, 11, 2), (3, 3), 3, padding="VALID", dilation=(1, 3)),
    "conv_relu": conv((1, 6, 5, 3), (3, 3), 4, act="RELU", y_zero=-128),
    "conv_relu_zero_inside": conv((1, 6, 5, 3), (3, 3), 4, act="RELU", y_zero=-31),
    "conv_relu6": conv((1, 6, 5, 3), (3, 3), 4, act="RELU6", y_scale=12 / 255, y_zero=-70),
    "conv_relu_n1_to_1": conv((1, 6, 5, 3), (3, 3), 4, act="RELU_N1_TO_1", y_scale=0.0165, y_zero=3),
    "conv_one_scale": conv((1, 6, 5, 3), (3, 3), 4, channelwise=False),
    "conv_x_zero_lowest": conv((1, 6, 5, 3), (3, 3), 4, x_zero=-128),
    "conv_x_zero_highest": conv((1, 6, 5, 3), (3, 3), 4, x_zero=127),
    # Scale at and over one: the shift goes left.
    "conv_gain": conv((1, 6, 5, 3), (3, 3), 4, limit=2, low=-4, high=3, x_zero=0, spread=1.2),
    "conv_gain_large": conv((1, 4, 5, 2), (1, 1), 4, limit=1, low=-2, high=1, x_zero=0, spread=1.5),
    # Multipliers of about 0.3 and 0.1, where one rounding and two give other results in a tenth of all outputs.
    "conv_rounding": conv((1, 5, 5, 9), (1, 1), 12, limit=3, low=-20, high=20, x_zero=0, spread=4),
    "conv_rounding_one_scale": conv((1, 5, 5, 4), (2, 2), 8, limit=9, low=-20, high=20, x_zero=1, channelwise=False),
    "conv_saturates": conv((1, 6, 5, 3), (3, 3), 4, spread=0.3),
    "conv_batch2": conv((2, 4, 5, 3), (3, 3), 4),
    "conv_groups2": conv((1, 5, 4, 4), (3, 3), 6, groups=2),
    "depthwise_3x3_same": depthwise((1, 6, 7, 5), (3, 3)),
    "depthwise_3x3_same_stride2_even": depthwise((1, 8, 6, 4), (3, 3), stride=(2, 2)),
    "depthwise_3x3_same_stride2_odd": depthwise((1, 7, 9, 3), (3, 3), stride=(2, 2)),
    "depthwise_3x3_valid": depthwise((1, 6, 5, 4), (3, 3), padding="VALID"),
    "depthwise_5x5_same": depthwise((1, 7, 6, 3), (5, 5)),
    "depthwise_3x1": depthwise((1, 11, 1, 6), (3, 1)),
    "depthwise_multiplier2": depthwise((1, 5, 6, 3), (3, 3), 2),
    "depthwise_multiplier8_one_channel": depthwise((1, 7, 5, 1), (3, 3), 8, (2, 2)),
    "depthwise_dilation2": depthwise((1, 9, 7, 3), (3, 3), dilation=(2, 2)),
    "depthwise_relu6": depthwise((1, 6, 7, 4), (3, 3), act="RELU6", y_scale=6 / 255, y_zero=-128),
    "depthwise_relu": depthwise((1, 6, 7, 4), (3, 3), act="RELU", y_zero=-128),
    "depthwise_rounding": depthwise((1, 7, 6, 8), (3, 3), limit=3, low=-20, high=20, x_zero=0, spread=4),
    "depthwise_one_scale": depthwise((1, 6, 5, 4), (3, 3), channelwise=False),
    "depthwise_x_zero_lowest": depthwise((1, 6, 5, 4), (3, 3), x_zero=-128),
    "dense": dense((4, 17), 10),
    "dense_batch7": dense((7, 13), 6),
    "dense_long": dense((3, 131), 9),
    "dense_relu": dense((5, 16), 12, act="RELU", y_zero=-128),
    "dense_no_bias": dense((5, 16), 12, bias=False),
    "dense_channelwise": dense((5, 19), 11, channelwise=True),
    # FULLY_CONNECTED rounds once where convolutions round twice.
    "dense_rounding": dense((16, 13), 17, limit=3, low=-20, high=20, x_zero=0, spread=4),
    "dense_rounding_channelwise": dense((16, 13), 17, limit=9, low=-20, high=20, x_zero=1, channelwise=True),
    "dense_rank3": dense((1, 4, 7), 5, keep=True),
    "dense_saturates": dense((5, 16), 12, spread=0.3),
    "add": binary("ADD", (1, 9, 7, 5), (1, 9, 7, 5), 0.031, 0.047, 0.055),
    "add_equal_scales": binary("ADD", (1, 9, 7, 5), (1, 9, 7, 5), 0.05, 0.05, 0.05, zeros=(0, 0, 0)),
    "add_far_scales": binary("ADD", (1, 9, 7, 5), (1, 9, 7, 5), 0.2, 0.0013, 0.21),
    "add_swapped_scales": binary("ADD", (1, 9, 7, 5), (1, 9, 7, 5), 0.0071, 0.093, 0.099),
    "add_zero_points_at_ends": binary("ADD", (1, 9, 7, 5), (1, 9, 7, 5), 0.04, 0.03, 0.07, zeros=(-128, 127, -2)),
    "add_relu": binary("ADD", (1, 9, 7, 5), (1, 9, 7, 5), 0.04, 0.06, 0.03, "RELU", (-5, 11, -128)),
    "add_relu6": binary("ADD", (1, 9, 7, 5), (1, 9, 7, 5), 0.04, 0.06, 0.05, "RELU6", (-5, 11, -60)),
    "add_saturates": binary("ADD", (1, 9, 7, 5), (1, 9, 7, 5), 0.05, 0.05, 0.02),
    "add_channel": binary("ADD", (1, 9, 7, 5), (1, 1, 1, 5), 0.031, 0.047, 0.055, const=True),
    "add_scalar": binary("ADD", (1, 9, 7, 5), (1,), 0.031, 0.047, 0.055, const=True),
    "sub": binary("SUB", (1, 9, 7, 5), (1, 9, 7, 5), 0.031, 0.047, 0.055),
    "sub_channel": binary("SUB", (1, 9, 7, 5), (1, 1, 1, 5), 0.06, 0.02, 0.055, const=True),
    "mul": binary("MUL", (1, 9, 7, 5), (1, 9, 7, 5), 0.031, 0.047, 0.11),
    "mul_gate": binary("MUL", (1, 9, 7, 5), (1, 1, 1, 5), 0.031, 1 / 256, 0.03, zeros=(None, -128, None)),
    "avg_pool_2x2": pool("AVERAGE_POOL_2D", (1, 6, 4, 5), (2, 2), (2, 2), "VALID"),
    "avg_pool_2x2_rest": pool("AVERAGE_POOL_2D", (1, 7, 5, 5), (2, 2), (2, 2), "VALID"),
    "avg_pool_3x3_same": pool("AVERAGE_POOL_2D", (1, 7, 6, 3), (3, 3), (1, 1), "SAME"),
    "avg_pool_3x2_same_stride2": pool("AVERAGE_POOL_2D", (1, 8, 7, 3), (3, 2), (2, 2), "SAME"),
    "avg_pool_global": pool("AVERAGE_POOL_2D", (2, 7, 5, 14), (7, 5), (1, 1), "VALID"),
    "avg_pool_relu6": pool("AVERAGE_POOL_2D", (1, 6, 5, 4), (2, 2), (1, 1), "VALID", "RELU6", 0.1, -20),
    "max_pool_2x2": pool("MAX_POOL_2D", (1, 6, 4, 5), (2, 2), (2, 2), "VALID"),
    "max_pool_2x2_rest": pool("MAX_POOL_2D", (1, 7, 5, 5), (2, 2), (2, 2), "VALID"),
    "max_pool_3x3_same_stride2": pool("MAX_POOL_2D", (1, 8, 7, 3), (3, 3), (2, 2), "SAME"),
    "max_pool_2x3_same": pool("MAX_POOL_2D", (1, 5, 6, 3), (2, 3), (1, 1), "SAME"),
    "max_pool_relu": pool("MAX_POOL_2D", (1, 6, 6, 4), (2, 2), (2, 2), "VALID", "RELU", 0.05, 30),
    "mean_hw": mean((1, 5, 7, 19), (1, 2), False),
    "mean_hw_keep": mean((2, 7, 7, 5), (1, 2), True),
    "mean_hw_rescaled": mean((2, 5, 7, 14), (1, 2), False, 1.7, (13, -6)),
    "mean_hw_keep_rescaled": mean((2, 5, 3, 16), (1, 2), True, 0.83, (-128, -101)),
    "mean_channel": mean((1, 8, 7, 9), (3,), False, 1.9, (-21, 4)),
    "mean_columns": mean((2, 4, 5, 13), (2,), True, 0.6, (5, -40)),
    "mean_hw_two": mean((1, 2, 2, 40), (1, 2), True),
    "mean_all_axes_but_batch": mean((3, 4, 3, 5), (1, 2, 3), False, 2.2, (3, -9)),
    "mean_rank2": mean((6, 11), (1,), True),
    "mean_rows": mean((2, 4, 5, 13), (1,), False),
    "softmax_10": softmax((8, 10), 0.07),
    "softmax_fine": softmax((2, 12), 0.004),
    "softmax_coarse": softmax((16, 9), 0.9),
    "softmax_long": softmax((1, 257), 0.05),
    "softmax_two": softmax((32, 2), 0.03),
    "softmax_map": softmax((1, 5, 7, 4), 0.11),
    "softmax_close": softmax((4, 7), 0.1, low=-9, high=9),
    "logistic": table("LOGISTIC", 0.061, -11, 1 / 256, -128),
    "logistic_fine": table("LOGISTIC", 0.0072, 44, 1 / 256, -128),
    "logistic_coarse": table("LOGISTIC", 0.35, -128, 1 / 256, -128),
    "tanh": table("TANH", 0.037, 9, 1 / 128, 0),
    "tanh_coarse": table("TANH", 0.21, -63, 1 / 128, 0),
    "hard_swish": table("HARD_SWISH", 0.061, -11, 0.041, -119),
    "hard_swish_coarse": table("HARD_SWISH", 0.17, 23, 0.15, -126),
    "leaky_relu": table("LEAKY_RELU", 0.05, -20, 0.043, -75, leaky(0.1)),
    "relu_rescaled": table("RELU", 0.05, -20, 0.031, -128),
    "relu6_rescaled": table("RELU6", 0.08, -3, 6 / 255, -128),
    "quantize_rescaled": table("QUANTIZE", 0.05, -20, 0.067, 14, schema.QuantizeOptionsT),
    "quantize_gain": table("QUANTIZE", 0.05, -20, 0.0171, 14, schema.QuantizeOptionsT),
    "quantize_rounding": table("QUANTIZE", 0.02, 5, 0.0871, -3, schema.QuantizeOptionsT),
    "relu_rounding": table("RELU", 0.03, -31, 0.0787, -60),
    "leaky_relu_rounding": table("LEAKY_RELU", 0.03, -31, 0.0787, -12, leaky(0.3)),
    "mul_rounding": binary("MUL", (1, 9, 7, 5), (1, 9, 7, 5), 0.02, 0.9, 1.61, const=True),
    "concat_channel": concat([(1, 3, 2, 4), (1, 3, 2, 1), (1, 3, 2, 3)], 3),
    "pad": pad((1, 3, 4, 3), ((0, 0), (1, 2), (0, 3), (0, 0))),
}


def main():
    HERE.mkdir(exist_ok=True)
    wanted = {name: build for name, build in CASES.items() if all(word in name for word in sys.argv[1:])}
    total = sum(
        write(name, *build(np.random.default_rng([SEED, *name.encode()]))) for name, build in wanted.items()
    )
    print(f"{len(wanted)} cases, {total} bytes")


if __name__ == "__main__":
    main()
