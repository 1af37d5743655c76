#!/usr/bin/env python3
"""Writes unet/{model.xml,model.bin,io.npz}: a small U-net with split branches and a gate, and what OpenVINO gives for a few pictures.

    pip install -r requirements.txt
    python make_unet.py

io.npz holds the inputs x (pictures, 3, 14, 18) and the outputs out (pictures, 3, 14, 18), f32 (`y` would be labels to
the data set of the tools). The extents are such that the decoder's maps are too large by a row or a column, which are
cut off. The output is that of the CPU device in f32.
"""

from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset15 as op

HERE = Path(__file__).resolve().parent / "unet"
SEED = 20261124
COUNT, HEIGHT, WIDTH, CLASSES = 6, 14, 18, 3


def ints(*values):
    """An i64 constant, as converters write axes and shapes."""
    return op.constant(np.array(values, np.int64))


def shape(x):
    """Of a node with one output, or of one output."""
    return list(x.get_output_shape(0) if isinstance(x, ov.Node) else x.get_shape())


class Net:
    """A network in the making."""

    def __init__(self):
        self.rng = np.random.default_rng(SEED)

    def conv(self, x, out, stride=1, kernel=3, relu=True):
        """Convolution with bias, padded by half of the kernel."""
        channels, pad = shape(x)[1], kernel // 2
        scale = (2 / (channels * kernel**2)) ** 0.5
        weights = op.constant((self.rng.standard_normal((out, channels, kernel, kernel)) * scale).astype(np.float32))
        y = op.convolution(x, weights, [stride] * 2, [pad] * 2, [pad] * 2, [1, 1])
        y = op.add(y, op.constant((self.rng.standard_normal((1, out, 1, 1)) * 0.1).astype(np.float32)))
        return op.relu(y) if relu else y

    def depthwise(self, x):
        """3x3, one filter a channel."""
        channels = shape(x)[1]
        weights = (self.rng.standard_normal((channels, 1, 1, 3, 3)) * 0.4).astype(np.float32)
        return op.relu(op.group_convolution(x, op.constant(weights), [1, 1], [1, 1], [1, 1], [1, 1]))

    def branches(self, x):
        """Half of the channels go through layers, the other half past them; then they change places."""
        halves = op.split(x, op.constant(np.int64(1)), 2)
        return op.concat([self.depthwise(halves.output(1)), halves.output(0)], 1)

    def gated(self, x):
        """Squeeze and excite: one number per channel."""
        mean = op.reduce_mean(x, ints(2, 3), True)
        return op.multiply(x, op.sigmoid(self.conv(mean, shape(x)[1], kernel=1, relu=False)))

    def up(self, x, skip, coordinates, nearest):
        """Twice as large, cut to the size of the skip, and joined with that."""
        y = op.interpolate(
            x, op.constant(np.array([2, 2], np.float32)), "nearest", "scales", [0], [0],
            coordinates, nearest, False, -0.75, ints(2, 3),
        )  # fmt: skip
        _, _, h, w = shape(skip)
        if shape(y)[2:] != [h, w]:
            y = op.slice(y, ints(0, 0), ints(h, w), ints(1, 1), ints(2, 3))
        return op.concat([y, skip], 1)


def build():
    """The model."""
    net = Net()
    x = op.parameter([1, 3, HEIGHT, WIDTH], np.float32, name="x")
    x.output(0).tensor.set_names({"x"})
    top = net.conv(x, 6)
    # Two ways to half of the extents.
    stem = net.conv(op.space_to_depth(x, "blocks_first", 2), 4, kernel=1)
    middle = net.branches(op.concat([net.conv(top, 4, stride=2), stem], 1))
    low = net.branches(net.conv(middle, 12, stride=2))
    # One channel range is looked at on its own, as attention does.
    head, rest = op.variadic_split(low, ints(1), ints(4, -1)).outputs()
    low = net.gated(op.concat([net.conv(head, 4, kernel=1), rest], 1))
    y = net.conv(net.up(low, middle, "half_pixel", "round_prefer_floor"), 8)
    y = net.conv(net.up(y, top, "asymmetric", "floor"), 6)
    y = net.conv(y, CLASSES, kernel=1, relu=False)
    y.output(0).tensor.set_names({"y"})
    return ov.Model([op.result(y)], [x], "unet"), net.rng


def main():
    """Writes the files."""
    model, rng = build()
    HERE.mkdir(exist_ok=True)
    ov.save_model(model, HERE / "model.xml", compress_to_fp16=True)
    compiled = ov.Core().compile_model(HERE / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    # Blobs on a slope, in few different numbers, so that the file stays small.
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    x = np.empty((COUNT, 3, HEIGHT, WIDTH), np.float32)
    for picture in x:
        for plane in picture:
            (cy, cx), r = rng.uniform((0, 0), (HEIGHT, WIDTH)), rng.uniform(2, 8)
            blob = np.exp(-((rows - cy) ** 2 + (columns - cx) ** 2) / r**2)
            plane[:] = np.round((2 * blob + rng.uniform(-0.05, 0.05) * rows - 0.5) * 16) / 16
    y = np.concatenate([compiled({"x": picture[None]})["y"] for picture in x])
    np.savez_compressed(HERE / "io.npz", x=x, out=y)
    print(f"{COUNT} pictures, |y| up to {np.abs(y).max():.3f}, {sum(f.stat().st_size for f in HERE.iterdir())} bytes")


if __name__ == "__main__":
    main()
