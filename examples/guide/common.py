"""What the three ways share: real images, where results go, and the answer to compare with."""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
BUILD = HERE / "build"  # what only the exporters need
BUILD.mkdir(exist_ok=True)


def digits(file):
    """Images u8 [N, 28, 28, 1] and digits of the bundled example: `calib.npz` or `test.npz`."""
    data = np.load(HERE.parent / "digits" / file)
    return data["x"], data["y"].astype(np.int64)


def show(scores):
    """Prints the framework's own answer, to hold `carafe run` against."""
    print("the framework says", " ".join(f"{s:.4f}" for s in scores))
