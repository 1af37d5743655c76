"""Keras: a small CNN, trained for a few seconds, exported as SavedModel, then converted to OpenVINO IR."""

import keras
import openvino as ov
from keras import layers

from common import BUILD, HERE, digits, show

keras.utils.set_random_seed(1)

model = keras.Sequential([
    keras.Input((28, 28, 1), name="image"),
    layers.Rescaling(1 / 255),  # part of the model: `carafe convert` needs no --scale then
    layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False), layers.BatchNormalization(momentum=0.8), layers.ReLU(),
    layers.SeparableConv2D(32, 3, padding="same"), layers.BatchNormalization(momentum=0.8), layers.ReLU(6.0),
    layers.MaxPooling2D(),
    layers.Conv2D(16, 3, padding="same", activation="relu"), layers.Dropout(0.1),
    layers.Flatten(), layers.Dense(10, activation="softmax"),
])  # fmt: skip

x, y = digits("calib.npz")
model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
model.fit(x.astype("float32"), y, batch_size=50, epochs=40, verbose=0)

model.export(BUILD / "keras", verbose=False)
ir = ov.convert_model(BUILD / "keras", input=[1, 28, 28, 1])  # Keras leaves the batch open
ov.save_model(ir, BUILD / "keras.xml")
one = digits("test.npz")[0][285:286].astype("float32")
show(model(one, training=False).numpy()[0])
