#!/usr/bin/env python3
"""Writes state/{model.xml,model.bin,io.npz}: a streaming network with three variables, and what OpenVINO gives for a
sequence that comes in steps of two frames.

    pip install -r requirements.txt
    python make_state.py

io.npz holds the inputs x (steps, 2, 8) and the outputs out (steps, 2, 6), f32, without the batch of
1 (`y` would be labels to the data set of the tools). The output is that of the CPU device
in f32, its state reset before the first step.
"""

from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset15 as op
from openvino import opset6
from openvino.op.util import Variable, VariableInfo

HERE = Path(__file__).resolve().parent / "state"
SEED = 20261123
STEPS, FRAMES, CHANNELS, WIDE, CLASSES = 24, 2, 8, 16, 6


def ints(*values):
    """An i64 constant, as converters write axes and shapes."""
    return op.constant(np.array(values, np.int64))


class Net:
    """A network in the making; each kind of slice that exporters write is there once."""

    def __init__(self):
        self.rng = np.random.default_rng(SEED)
        self.sinks = []

    def w(self, *shape):
        """Weights that keep the size of what goes through."""
        scale = (2 / np.prod(shape[1:])) ** 0.5
        return op.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def bias(self, *shape):
        """A small bias."""
        return op.constant((self.rng.standard_normal(shape) * 0.1).astype(np.float32))

    def window(self, x, axis, keep, name, tail):
        """`keep` frames of before, then x."""
        shape = list(x.get_output_shape(0))
        shape[axis] = keep
        info = VariableInfo()
        info.data_shape, info.data_type, info.variable_id = ov.PartialShape(shape), ov.Type.f32, name
        variable = Variable(info)
        past = opset6.read_value(op.constant(np.zeros(shape, np.float32)), variable)
        joined = op.concat([past, x], axis)
        self.sinks.append(opset6.assign(tail(joined), variable))
        return joined


def build():
    """The model."""
    net = Net()
    x = op.parameter([1, FRAMES, CHANNELS], np.float32, name="x")
    x.output(0).tensor.set_names({"x"})
    strided = lambda v: op.strided_slice(v, ints(0, -2, 0), ints(0, 0, 0), ints(1, 1, 1), [1, 0, 1], [1, 1, 1])
    a = op.transpose(net.window(x, 1, 2, "a", strided), ints(0, 2, 1))
    a = op.convolution(a, net.w(WIDE, CHANNELS, 3), [1], [0], [0], [1])
    a = op.relu(op.add(a, net.bias(1, WIDE, 1)))

    sliced = lambda v: op.slice(v, ints(-4), ints(2**31 - 1), ints(1), ints(2))
    b = op.convolution(net.window(a, 2, 4, "b", sliced), net.w(WIDE, WIDE, 3), [1], [0], [0], [2])
    b = op.relu(op.add(b, net.bias(1, WIDE, 1)))

    # `assign` takes a node, not one of its outputs.
    split = lambda v: op.convert(op.variadic_split(v, ints(2), ints(FRAMES, 3)).output(1), "f32")
    c = op.group_convolution(net.window(b, 2, 3, "c", split), net.w(WIDE, 1, 1, 4), [1], [0], [0], [1])
    c = op.transpose(op.relu(op.add(c, net.bias(1, WIDE, 1))), ints(0, 2, 1))
    y = op.add(op.matmul(c, net.w(CLASSES, WIDE), False, True), net.bias(1, 1, CLASSES))
    y.output(0).tensor.set_names({"y"})
    return ov.Model([op.result(y)], net.sinks, [x], "streaming"), net.rng


def main():
    """Writes the files."""
    model, rng = build()
    HERE.mkdir(exist_ok=True)
    ov.save_model(model, HERE / "model.xml", compress_to_fp16=False)
    compiled = ov.Core().compile_model(HERE / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    # Slow waves and some noise, so that the frames depend on each other.
    t = np.arange(STEPS * FRAMES)[:, None]
    wave = np.sin(t / rng.uniform(2, 9, CHANNELS) + rng.uniform(0, 6, CHANNELS))
    x = (wave + 0.2 * rng.standard_normal(wave.shape)).astype(np.float32).reshape(STEPS, 1, FRAMES, CHANNELS)
    request = compiled.create_infer_request()
    request.reset_state()
    y = np.stack([request.infer({"x": step})["y"].copy() for step in x])
    np.savez(HERE / "io.npz", x=x[:, 0], out=y[:, 0])
    print(f"{STEPS} steps, |y| up to {np.abs(y).max():.3f}")


if __name__ == "__main__":
    main()
