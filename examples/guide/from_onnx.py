"""ONNX: any exporter's file, here one from PyTorch with an open batch, converted to OpenVINO IR."""

import openvino as ov
import torch
from torch import nn

from common import BUILD, HERE, digits, show

torch.manual_seed(1)


class Residual(nn.Module):
    """Two convolutions, added to what they got."""

    def __init__(self, n):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n, n, 3, padding=1), nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, n, 3, padding=1)
        )

    def forward(self, x):
        return torch.relu(x + self.body(x))


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.SiLU(), Residual(16),
    nn.AdaptiveAvgPool2d(7), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(32 * 4 * 4, 10), nn.Softmax(1),
)  # fmt: skip


def tensor(images):
    """Channels first, 0 to 1: `carafe convert --scale 255` does the same."""
    return torch.tensor(images).permute(0, 3, 1, 2).float() / 255


x, y = digits("calib.npz")
x, y = tensor(x), torch.tensor(y)
optimizer = torch.optim.Adam(model.parameters(), 0.003)
for _ in range(80):
    optimizer.zero_grad()
    nn.functional.nll_loss(torch.log(model(x) + 1e-9), y).backward()
    optimizer.step()

model.eval()
one = tensor(digits("test.npz")[0][285:286])
file = BUILD / "model.onnx"
batch = {0: torch.export.Dim("batch")}
torch.onnx.export(
    model, (one.repeat(2, 1, 1, 1),), file, input_names=["image"], output_names=["probabilities"], dynamic_shapes=(batch,)
)

# With an .onnx file at hand, this is all:
ir = ov.convert_model(file, input=[1, 1, 28, 28])
ov.save_model(ir, BUILD / "onnx.xml")

with torch.no_grad():
    show(model(one)[0].numpy())
