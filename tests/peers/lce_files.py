"""Runs in an environment that has Larq Compute Engine, Larq and Larq Zoo, not in ours: files of both converters.

python lce_files.py FOLDER NAME ...

For each NAME it writes to FOLDER what Larq Compute Engine and the stock converter make of the same model
(NAME.lce.tflite, NAME.stock.tflite), and NAME.npz: images, and what Larq Compute Engine's interpreter makes of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import larq
import larq_compute_engine as lce
import numpy as np
import tensorflow as tf
from larq_compute_engine.tflite.python.interpreter import Interpreter
from larq_zoo import literature, sota

IMAGES = 4
# Of 96 pixels 3 are left at the end. Where fewer are left, zero-padding reaches over both edges of the image, and then
# the optimized kernels of Larq Compute Engine 0.16 give other sums than its reference kernel and than Keras.
ZOO_PIXELS, ZOO_CLASSES = 96, 7
layers = tf.keras.layers


def conv(filters: int, kernel: int = 3, padding: str = "same", **options: object) -> layers.Layer:
    """A binary convolution."""
    return larq.layers.QuantConv2D(
        filters,
        kernel,
        padding=padding,
        use_bias=False,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
        **options,
    )


def plain() -> tf.keras.Model:
    """Convolutions with each padding, an odd number of channels, stride and dilation."""
    x = image = layers.Input((8, 9, 33))
    for options in ({"pad_values": 0}, {"pad_values": 1, "strides": (1, 2)}, {"padding": "valid", "dilation_rate": 2}):
        x = layers.BatchNormalization()(conv(34, **options)(x))
    return tf.keras.Model(image, x)


def thresholds() -> tf.keras.Model:
    """Bits from layer to layer, activations in front of batch normalization."""
    x = image = layers.Input((9, 8, 64))
    for activation in ("relu", tf.nn.relu6, None):
        x = layers.BatchNormalization()(conv(72, pad_values=1, activation=activation)(x))
    return tf.keras.Model(image, conv(5, padding="valid")(x))


def bireal() -> tf.keras.Model:
    """Shortcuts around convolutions."""
    x = image = layers.Input((8, 9, 32))
    for pad_values in (0, 1, 0):
        y = layers.BatchNormalization()(conv(32, pad_values=pad_values, activation="relu")(x))
        x = layers.add([x, y])
    return tf.keras.Model(image, x)


def pooled() -> tf.keras.Model:
    """Max-pools in front of batch normalization, which cannot move, and behind it."""
    x = image = layers.Input((16, 17, 32))
    x = layers.MaxPool2D(3, 2, padding="same")(layers.BatchNormalization()(conv(40, pad_values=1)(x)))
    x = layers.BatchNormalization(scale=False)(layers.MaxPool2D(2)(conv(36, pad_values=1)(x)))
    return tf.keras.Model(image, conv(8, padding="valid")(x))


def grouped() -> tf.keras.Model:
    """Groups of 32 and 64 channels."""
    x = image = layers.Input((8, 9, 64))
    x = layers.BatchNormalization()(conv(128, groups=2, pad_values=1)(x))
    return tf.keras.Model(image, layers.BatchNormalization()(conv(6, groups=2, padding="valid")(x)))


def dense() -> tf.keras.Model:
    """Dense layers, which Larq Compute Engine leaves in float32."""
    x = image = layers.Input((4, 5, 36))
    x = layers.Flatten()(layers.BatchNormalization()(conv(36, pad_values=1)(x)))
    for units in (48, 10):
        x = larq.layers.QuantDense(
            units, input_quantizer="ste_sign", kernel_quantizer="ste_sign", kernel_constraint="weight_clip"
        )(x)
        x = layers.BatchNormalization()(x)
    return tf.keras.Model(image, x)


def int8() -> tf.keras.Model:
    """Ranges of a model trained for int8, around binary convolutions and a shortcut."""

    def ranged(x: tf.Tensor, limit: float) -> tf.Tensor:
        return layers.Lambda(lambda y: tf.quantization.fake_quant_with_min_max_vars(y, -limit, limit))(x)

    image = layers.Input((8, 9, 32))
    x = first = ranged(image, 3.0)
    x = ranged(layers.BatchNormalization()(conv(32, pad_values=1, activation="relu")(x)), 9.0)
    x = ranged(layers.add([x, first]), 10.0)
    x = ranged(layers.BatchNormalization()(conv(48, padding="valid")(x)), 8.0)
    return tf.keras.Model(image, x)


def zoo(make: Callable[..., tf.keras.Model]) -> Callable[[], tf.keras.Model]:
    """A model of the zoo without its softmax."""

    def build() -> tf.keras.Model:
        model = make(input_shape=(ZOO_PIXELS, ZOO_PIXELS, 3), num_classes=ZOO_CLASSES, weights=None)
        return tf.keras.Model(model.input, model.layers[-1].input)

    return build


SMALL = {make.__name__: make for make in (plain, thresholds, bireal, pooled, grouped, dense, int8)}
ZOO = {
    "BinaryAlexNet": zoo(literature.BinaryAlexNet),
    "BiRealNet": zoo(literature.BiRealNet),
    "QuickNet": zoo(sota.QuickNet),
}


def random_weight(rng: np.random.Generator, name: str, shape: tuple[int, ...], is_exact: bool) -> np.ndarray:
    """A random weight; exact ones let float32 sums be exact in any order.

    Larq Zoo's networks have real-valued layers in front of signs, and each runtime sums in an order of its own. Exact
    batch normalization is a power of two, since variance and epsilon add up to 1, and a multiple of 1/8.
    """
    kind = name.split("/")[-1].split(":")[0]
    if kind == "moving_variance":
        return np.full(shape, 0.999) if is_exact else rng.uniform(0.5, 2, shape) * 20
    if kind == "gamma":
        size = 2.0 ** rng.integers(-4, -1, shape) if is_exact else rng.uniform(0.5, 2, shape)
        return size * rng.choice([-1, 1], shape, p=[0.2, 0.8])
    if kind in ("beta", "moving_mean", "bias"):
        values = rng.normal(0.1, 0.5, shape)
        return np.round(values * 8) / 8 if is_exact else values
    values = rng.uniform(-1, 1, shape)
    return np.round(values * 4) / 4 if is_exact else values


def write_files(name: str, folder: Path) -> None:
    """Writes the files of one model."""
    tf.keras.backend.clear_session()
    rng = np.random.default_rng(len(name))
    model = (SMALL | ZOO)[name]()
    model.set_weights([random_weight(rng, weight.name, weight.shape, name in ZOO) for weight in model.weights])
    images = np.round(rng.normal(0.2, 1, (IMAGES, *model.input_shape[1:])) * 4).astype(np.float32) / 4
    file = lce.convert_keras_model(model)
    # Only the indirect kernel has groups; the default one is what users get.
    interpreter = Interpreter(file, use_indirect_bgemm=name == "grouped")
    outputs = interpreter.predict(images)
    (folder / f"{name}.lce.tflite").write_bytes(file)
    (folder / f"{name}.stock.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    np.savez(folder / f"{name}.npz", images=images, outputs=outputs)


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        write_files(wanted, Path(sys.argv[1]))
