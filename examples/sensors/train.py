#!/usr/bin/env python3
"""Trains the two small models of the boards' examples, and writes everything that is in this folder.

    pip install numpy
    python train.py                 # a minute on a CPU

Both learn from made-up data: signals as an accelerometer or a microphone would give them, drawn at random with a fixed
seed. They show how a board reads its sensor and sleeps between inferences; for a product, record data of your own.
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SEED = 20261126
TRAIN, TEST, KEPT, CALIBRATION = 6000, 1000, 250, 100


# Gestures: 32 readings of three axes, in g, at 50 Hz.

GESTURES = ["still", "shake", "circle", "tap"]
READINGS, RATE = 32, 50.0


def gesture(rng, label):
    """A window of a hand-held sensor that lies about upright."""
    tilt, turn = rng.uniform(0, 0.8), rng.uniform(0, 2 * np.pi)
    gravity = np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])
    time = np.arange(READINGS) / RATE
    phase, angle = rng.uniform(0, 2 * np.pi, 2)
    across, along = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
    signal = np.zeros((READINGS, 3))
    if label == "shake":
        wave = rng.uniform(0.7, 1.8) * np.sin(2 * np.pi * rng.uniform(4, 7) * time + phase)
        signal += wave[:, None] * across
    elif label == "circle":
        size, rate = rng.uniform(0.5, 1.2), 2 * np.pi * rng.uniform(1.2, 2.5) * rng.choice([-1, 1])
        signal += size * (np.sin(rate * time + phase)[:, None] * across + np.cos(rate * time + phase)[:, None] * along)
    elif label == "tap":
        at = rng.integers(2, READINGS - 3)
        signal[at] += rng.uniform(0.8, 1.8) * np.array([0, 0, rng.choice([-1, 1])])
        signal[at + 1] -= 0.5 * signal[at]
    return np.clip(gravity + signal + rng.normal(0, 0.03, signal.shape), -2, 2).reshape(-1)


# Sounds: logarithms of the energy at 16 frequencies, of 256 samples of 12 bits at 8 kHz.

SOUNDS = ["quiet", "whistle", "voice", "noise"]
SAMPLES, BINS = 256, [4, 6, 8, 10, 13, 16, 20, 25, 31, 38, 46, 56, 68, 82, 98, 116]
# 2 cos(2 pi k / 256), by 2^14; as `boards/sensors/src/sound.rs` has them.
FACTORS = [round(2 * np.cos(2 * np.pi * k / SAMPLES) * 2**14) for k in BINS]


def energies(samples):
    """Goertzel's recursion in integers, as the device does it, bit by bit."""
    x = np.asarray(samples, np.int64)
    x = x - (x.sum() >> 8)
    out = []
    for factor in FACTORS:
        before = last = 0
        for value in x.tolist():
            before, last = last, value + ((factor * last) >> 14) - before
        power = last * last + before * before - ((factor * last) >> 14) * before
        power = max(power, 1)
        whole = power.bit_length() - 1
        out.append(whole + (((power << 7) >> whole) & 127) / 128)
    return np.array(out)


def sound(rng, label):
    """A window of a microphone, and its energies."""
    time = np.arange(SAMPLES) / 8000
    signal = rng.normal(0, rng.uniform(2, 8), SAMPLES)
    volume = np.exp(rng.uniform(np.log(100), np.log(1500)))
    if label == "whistle":
        signal += volume * np.sin(2 * np.pi * rng.uniform(700, 3200) * time + rng.uniform(0, 6.28))
    elif label == "voice":
        pitch, formant = rng.uniform(90, 280), rng.uniform(300, 1200)
        for k in range(1, 14):
            weight = np.exp(-(((k * pitch - formant) / 500) ** 2)) + 0.3 / k
            signal += 0.5 * volume * weight * np.sin(2 * np.pi * k * pitch * time + rng.uniform(0, 6.28))
    elif label == "noise":
        signal += rng.normal(0, 0.5 * volume, SAMPLES)
    return energies(np.clip(np.round(signal), -2048, 2047))


def data(make, labels, count, rng):
    y = rng.integers(0, len(labels), count)
    return np.array([make(rng, labels[i]) for i in y], np.float32), y


def train(x, y, hidden, classes, rng):
    """Two hidden layers, by Adam; inputs are normalized in training, and the factors folded into the first layer."""
    mean, scale = x.mean(0), x.std(0) + 1e-6
    sizes = [x.shape[1], *hidden, classes]
    w = [rng.normal(0, np.sqrt(2 / a), (b, a)) for a, b in zip(sizes, sizes[1:])]
    b = [np.zeros(n) for n in sizes[1:]]
    params = w + b
    m, v = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    normed, step, steps = (x - mean) / scale, 0, 60 * (len(x) // 64)
    for _ in range(60):
        order = rng.permutation(len(x))
        for chosen in np.array_split(order, len(x) // 64):
            a = [normed[chosen] + rng.normal(0, 0.05, (len(chosen), x.shape[1]))]
            for i in range(len(w)):
                z = a[-1] @ w[i].T + b[i]
                a.append(np.maximum(z, 0) if i < len(w) - 1 else z)
            p = np.exp(a[-1] - a[-1].max(1, keepdims=True))
            d = p / p.sum(1, keepdims=True)
            d[np.arange(len(chosen)), y[chosen]] -= 1
            d /= len(chosen)
            gw, gb = [None] * len(w), [None] * len(w)
            for i in reversed(range(len(w))):
                gw[i], gb[i] = d.T @ a[i] + 1e-4 * w[i], d.sum(0)
                d = (d @ w[i]) * (a[i] > 0)
            step += 1
            rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
            for k, (param, g) in enumerate(zip(params, gw + gb)):
                m[k] = 0.9 * m[k] + 0.1 * g
                v[k] = 0.999 * v[k] + 0.001 * g * g
                param -= rate * (m[k] / (1 - 0.9**step)) / (np.sqrt(v[k] / (1 - 0.999**step)) + 1e-8)
    w[0] = w[0] / scale
    b[0] = b[0] - w[0] @ mean
    return [p.astype(np.float32) for p in w], [p.astype(np.float32) for p in b]


def run(w, b, x):
    for i in range(len(w)):
        x = x @ w[i].T + b[i]
        x = np.maximum(x, 0) if i < len(w) - 1 else x
    return x


class Ir:
    """As much of OpenVINO's format as a chain of dense layers takes."""

    def __init__(self):
        self.layers, self.edges, self.bin = [], [], b""

    @staticmethod
    def ports(shapes, first):
        dims = lambda shape: "".join(f"<dim>{n}</dim>" for n in shape)
        return "".join(f'<port id="{first + i}" precision="FP32">{dims(s)}</port>' for i, s in enumerate(shapes))

    def layer(self, kind, data, inputs, output, name=None, version="opset1"):
        """Adds a layer; `inputs` are what this has given before. Gives its own output."""
        number, n = len(self.layers), len(inputs)
        into = f"<input>{self.ports([s for _, _, s in inputs], 0)}</input>" if inputs else ""
        out = f"<output>{self.ports([output], n)}</output>" if output else ""
        fields = "".join(f' {k}="{v}"' for k, v in data.items())
        data = f"<data{fields} />" if data else ""
        name = name or f"{kind}_{number}"
        self.layers.append(f'<layer id="{number}" name="{name}" type="{kind}" version="{version}">{data}{into}{out}</layer>')
        for i, (layer, port, _) in enumerate(inputs):
            self.edges.append(f'<edge from-layer="{layer}" from-port="{port}" to-layer="{number}" to-port="{i}" />')
        return number, n, output

    def constant(self, value):
        data = {"element_type": "f32", "shape": ",".join(map(str, value.shape)), "offset": len(self.bin), "size": value.nbytes}
        self.bin += value.tobytes()
        return self.layer("Const", data, [], value.shape)

    def write(self, name):
        lines = lambda items: "\n".join(items)
        text = f'<?xml version="1.0"?>\n<net name="{name}" version="11">\n<layers>\n{lines(self.layers)}\n</layers>\n'
        (HERE / f"{name}.xml").write_text(text + f"<edges>\n{lines(self.edges)}\n</edges>\n</net>\n")
        (HERE / f"{name}.bin").write_bytes(self.bin)


def export(name, w, b):
    ir = Ir()
    shape = (1, w[0].shape[1])
    x = ir.layer("Parameter", {"shape": ",".join(map(str, shape)), "element_type": "f32"}, [], shape, name="input")
    for i in range(len(w)):
        shape = (1, len(b[i]))
        x = ir.layer("MatMul", {"transpose_a": "false", "transpose_b": "true"}, [x, ir.constant(w[i])], shape)
        x = ir.layer("Add", {"auto_broadcast": "numpy"}, [x, ir.constant(b[i][None])], shape)
        if i < len(w) - 1:
            x = ir.layer("ReLU", {}, [x], shape)
    x = ir.layer("SoftMax", {"axis": "1"}, [x], shape, version="opset8")
    ir.layer("Result", {}, [x], None, name="scores")
    ir.write(name)


for name, make, labels, hidden in [("gestures", gesture, GESTURES, (48, 24)), ("sounds", sound, SOUNDS, (24, 16))]:
    rng = np.random.default_rng(SEED)
    x, y = data(make, labels, TRAIN, rng)
    w, b = train(x, y, hidden, len(labels), rng)
    export(name, w, b)
    (HERE / f"{name}.txt").write_text("\n".join(labels) + "\n")
    np.savez_compressed(HERE / f"{name}.npz", x=x[:CALIBRATION], y=y[:CALIBRATION].astype(np.uint8))
    x, y = data(make, labels, TEST, rng)
    np.savez_compressed(HERE / f"{name}-test.npz", x=x[:KEPT], y=y[:KEPT].astype(np.uint8))
    print(f"{name}: {(run(w, b, x).argmax(1) == y).mean():.1%} of {TEST} others are right")

probe = [(i * i * 7) % 2001 - 1000 for i in range(SAMPLES)]
print("for the test in boards/sensors:", [int(round(e * 128)) for e in energies(probe)], FACTORS)
