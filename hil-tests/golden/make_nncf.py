"""What OpenVINO answers when it runs the IRs that NNCF quantized.

Writes nncf/NAME.npz with one array `argmax` (u8, one class per test sample), and the tiny quantized network
nncf/tiny.xml and .bin with nncf/tiny.npz (arrays `x` f32 and `logits` f32).

    python make_nncf.py ASSETS

ASSETS is the folder with `models/` and `data/`. Needs the packages in requirements.txt.
"""

import sys
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

HERE = Path(__file__).parent / "nncf"


def compiled(model, **options):
    """f32 between the ops: on machines with bf16 or f16 the plugin would use these otherwise."""
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **options})


def answers(assets, name, samples):
    model = compiled(assets / "models" / name / f"{name}_nncf_int8.xml")
    found = [model(s[None])[0].argmax() for s in samples]
    np.savez_compressed(HERE / f"{name}.npz", argmax=np.array(found, np.uint8))
    print(name, len(found), np.bincount(found))


def limits(x, low, high, levels=256):
    low, high = (np.asarray(v, np.float32) for v in (low, high))
    return ops.fake_quantize(x, low, high, low, high, levels)


def integers(rng, shape, step, scale_shape, zero_point=None):
    """int8 weights as NNCF stores them: Convert, perhaps Subtract, Multiply. -128 is among them."""
    least, most, kind = (0, 255, np.uint8) if zero_point is not None else (-128, 127, np.int8)
    q = rng.integers(least, most + 1, shape).astype(kind)
    q.flat[0] = least
    real = ops.convert(ops.constant(q), "f32")
    if zero_point is not None:
        real = ops.subtract(real, ops.convert(ops.constant(np.array(zero_point, kind)), "f32"))
    scale = (step * (1 + rng.random(scale_shape))).astype(np.float32)
    return ops.multiply(real, ops.constant(scale))


def tiny():
    """Every form of quantization that models bring along, in a network of a few kilobytes."""
    rng = np.random.default_rng(3)

    def bias(n):
        return ops.constant((0.2 * rng.standard_normal((1, n, 1, 1))).astype(np.float32))

    def uniform(low, high):
        return rng.uniform(low, high, (1, 8, 1, 1)).astype(np.float32)

    def depthwise(x, stride):
        w = integers(rng, (8, 1, 1, 3, 3), 0.002, (8, 1, 1, 1, 1))
        y = ops.group_convolution(x, w, [stride, stride], [1, 1], [1, 1], [1, 1])
        return ops.relu(ops.add(y, bias(8)))

    def pointwise(x, zero_point=None):
        w = integers(rng, (8, 8, 1, 1), 0.002, (8, 1, 1, 1), zero_point)
        return ops.add(ops.convolution(x, w, [1, 1], [0, 0], [0, 0], [1, 1]), bias(8))

    x = ops.parameter([1, 8, 8, 3], np.float32, name="x")
    q = limits(x, -1.0, 127 / 128)
    w = integers(rng, (8, 3, 3, 3), 0.0015, (8, 1, 1, 1))
    stem = ops.convolution(ops.transpose(q, [0, 3, 1, 2]), w, [1, 1], [1, 1], [1, 1], [1, 1])
    stem = ops.clamp(ops.add(stem, bias(8)), 0.0, 6.0)
    # A range per channel before a depthwise convolution; one reaches above the clamp.
    high = uniform(0.7, 2.0)
    high[0, 0] = 6.5
    deep = limits(depthwise(limits(stem, np.zeros_like(high), high), 1), 0.0, 1.7)
    # One value with two ranges.
    wide = pointwise(deep, zero_point=128)
    second = limits(pointwise(limits(wide, -0.64, 0.635)), -1.28, 1.27)
    both = ops.relu(ops.add(limits(wide, -1.28, 1.27), second))
    # Ranges per channel on what no convolution makes, beside one range for all.
    high = uniform(1.5, 2.5)
    deep = limits(depthwise(limits(both, np.zeros_like(high), high), 2), 0.0, 2.0)
    pooled = ops.max_pool(limits(both, 0.0, 2.5), [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    # Fewer levels than int8 has.
    both = limits(ops.add(deep, pooled), 0.0, 3.0, levels=201)
    mean = limits(ops.reduce_mean(both, [2, 3], False), 0.0, 1.5, levels=255)
    w = integers(rng, (5, 8), 0.004, (5, 1))
    bias_5 = ops.constant((0.1 * rng.standard_normal((1, 5))).astype(np.float32))
    logits = limits(ops.add(ops.matmul(mean, w, False, True), bias_5), -1.28, 1.27)
    model = ov.Model([logits], [x], "tiny")
    ov.save_model(model, HERE / "tiny.xml", compress_to_fp16=False)
    samples = rng.uniform(-1, 1, (16, 8, 8, 3)).astype(np.float32)
    # Every FakeQuantize as it stands, not turned into the plugin's own int8 kernels with their rounding.
    run = compiled(HERE / "tiny.xml", LP_TRANSFORMS_MODE=False)
    found = np.concatenate([run(s[None])[0] for s in samples])
    np.savez_compressed(HERE / "tiny.npz", x=samples, logits=found.astype(np.float32))
    print("tiny", found.min(), found.max(), found.std(0))


def main():
    assets = Path(sys.argv[1])
    HERE.mkdir(exist_ok=True)
    tiny()
    images = np.load(assets / "data/cifar10/test_images.npy").astype(np.float32)
    answers(assets, "resnet8", images)
    speech = np.load(assets / "data/kws01/test_int8.npy").astype(np.float32)
    answers(assets, "dscnn_kws", ((speech - 83) * np.float32(0.5847029089927673))[..., None])


if __name__ == "__main__":
    main()
