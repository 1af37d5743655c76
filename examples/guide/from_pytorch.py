"""PyTorch: a small CNN, trained for a few seconds, then straight from memory to OpenVINO IR."""

import openvino as ov
import torch
from torch import nn

from common import HERE, digits, show

torch.manual_seed(1)
MEAN, SCALE = 33.3, 78.6  # of raw pixels: `carafe convert --mean 33.3 --scale 78.6` does the same


def tensor(images):
    """Channels first, as PyTorch has them."""
    return (torch.tensor(images).permute(0, 3, 1, 2).float() - MEAN) / SCALE


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU6(),
    nn.Conv2d(16, 32, 1), nn.Hardswish(), nn.MaxPool2d(2),
    nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(), nn.Dropout(0.1),
    nn.Flatten(), nn.Linear(16 * 7 * 7, 10),
)  # fmt: skip

x, y = digits("calib.npz")
x, y = tensor(x), torch.tensor(y)
optimizer = torch.optim.Adam(model.parameters(), 0.003)
for _ in range(80):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

model.eval()  # else dropout and batch statistics are exported
one = tensor(digits("test.npz")[0][285:286])
ir = ov.convert_model(model, example_input=one, input=[1, 1, 28, 28])
ir.inputs[0].set_names({"image"})
ir.outputs[0].set_names({"scores"})
ov.save_model(ir, BUILD / "pytorch.xml")
with torch.no_grad():
    show(model(one)[0].numpy())
