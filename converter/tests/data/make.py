"""Writes the IRs in this folder, with what OpenVINO itself computes from them.

    pip install openvino==2026.4.1 numpy && python make.py
"""
import numpy as np
import openvino as ov
from openvino import opset1, opset8, opset13 as op, opset14, opset16

rng = np.random.default_rng(7)


def normal(*shape):
    return op.constant((rng.standard_normal(shape) * 0.5).astype(np.float32))


def ints(*values):
    return op.constant(np.array(values, np.int64))


x = op.parameter([1, 4, 9, 11], np.float32, name="x")
x.output(0).set_names({"x"})
outputs = []

branches = []
for pad in ("same_upper", "same_lower", "valid", "explicit"):
    y = op.convolution(x, normal(6, 4, 3, 2), [2, 3], [1, 0], [2, 1], [1, 1], auto_pad=pad)
    y = op.hswish(y)
    branches.append(op.reduce_mean(y, ints(2, 3), keep_dims=True))
y = op.convolution(x, normal(6, 4, 3, 3), [1, 1], [2, 2], [2, 2], [2, 2])
branches.append(op.reduce_max(op.gelu(y, "tanh"), ints(-1, -2), keep_dims=True))
y = op.group_convolution(x, normal(2, 3, 2, 3, 3), [1, 2], [1, 1], [1, 1], [1, 1])
branches.append(op.reduce_min(op.clamp(y, -0.3, 6.0), ints(2, 3), keep_dims=True))
outputs.append(op.concat(branches, 1))

for rounding in ("floor", "ceil"):
    for begin, end in (([0, 0], [0, 0]), ([1, 1], [1, 0])):
        m = opset1.max_pool(x, [2, 3], begin, end, [3, 3], rounding)
        outputs.append(m)
        a = opset1.avg_pool(x, [2, 3], begin, end, [3, 3], True, rounding)
        outputs.append(a)
outputs.append(opset1.avg_pool(x, [2, 3], [0, 0], [0, 0], [3, 4], False, "ceil"))
outputs.append(opset1.avg_pool(x, [2, 3], [1, 1], [0, 1], [3, 4], False, "floor"))
outputs.append(opset14.avg_pool(x, [4, 4], [1, 1], [1, 1], [3, 3], True, "ceil_torch"))
outputs.append(opset14.max_pool(x, [4, 4], [1, 1], [1, 1], [1, 1], [3, 3], "ceil_torch").output(0))
outputs.append(opset8.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 3], "floor", "same_lower").output(0))
outputs.append(opset16.avg_pool(x, [2, 2], [0, 0], [0, 0], [3, 3], True, "floor", "same_upper", [1, 1]))
outputs.append(opset1.avg_pool(x, [2, 2], [0, 0], [0, 0], [3, 3], False, "floor", "same_upper"))

y = op.pad(x, ints(0, 1, 2, 0), ints(0, 0, 1, 3), "constant", op.constant(np.float32(0.75)))
y = op.transpose(y, ints(0, 2, 3, 1))
y = op.batch_norm_inference(op.transpose(y, ints(0, 3, 1, 2)), normal(5), normal(5), normal(5),
                            op.constant(rng.uniform(0.5, 2, 5).astype(np.float32)), 1e-3)
outputs.append(op.softmax(y, -3))
y = op.reshape(x, ints(0, -1), True)
y = op.matmul(y, normal(7, 396), False, True)
y = op.add(y, normal(7))
outputs.append(op.prelu(y, op.constant(np.array([0.1], np.float32))))
outputs.append(op.elu(y, 0.7))
outputs.append(op.swish(y, op.constant(np.float32(1.3))))
outputs.append(op.mish(y))
outputs.append(op.softplus(y))
outputs.append(op.hsigmoid(y))
outputs.append(op.hard_sigmoid(y, op.constant(np.float32(0.3)), op.constant(np.float32(0.4))))
outputs.append(op.gelu(y, "erf"))
outputs.append(op.squared_difference(op.sigmoid(y), op.tanh(y)))
outputs.append(op.power(op.abs(y), op.constant(np.float32(1.5))))
outputs.append(op.divide(op.exp(y), op.sqrt(op.maximum(op.abs(y), op.constant(np.float32(0.1))))))
outputs.append(op.minimum(op.floor(y), op.negative(op.ceiling(y))))
outputs.append(op.log(op.add(op.abs(y), op.constant(np.float32(1)))))
y = op.reshape(op.reduce_sum(x, ints(1), keep_dims=False), ints(1, 9, 11), False)
y = op.convolution(y, normal(3, 9, 3), [2], [1], [1], [1])
outputs.append(y)
outputs.append(op.matmul(op.squeeze(y, ints(0)), op.squeeze(normal(1, 6), ints(0)), False, False))
outputs.append(op.subtract(op.unsqueeze(y, ints(1)), normal(2, 1, 1)))

model = ov.Model([op.result(o) for o in outputs], [x], "ops")
for i, o in enumerate(model.outputs):
    o.get_tensor().set_names({f"y{i}"})
ov.save_model(model, "ops.xml", compress_to_fp16=False)

core = ov.Core()
compiled = core.compile_model("ops.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
data = rng.standard_normal((1, 4, 9, 11)).astype(np.float32)
result = compiled(data)
np.save("ops_in.npy", data)
# All outputs, one after the other.
np.save("ops_out.npy", np.concatenate([result[i].ravel() for i in range(len(outputs))]).astype(np.float32))
print(len(outputs), "outputs")
