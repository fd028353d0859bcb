"""Runs in an environment that has Larq Compute Engine, Larq and Larq Zoo, not in ours: makes its files and times them.

Each line of standard input is a command in JSON, each line of standard output the answer: `_lce.py` is the other end.

    {"layer": FILE}                    a convolution: weights, input and outputs are in the .npz file
    {"network": NAME, "images": FILE,  a network with random weights: its float .tflite goes to `stock`, and what
     "stock": FILE, "scores": FILE}    it makes of the images in the .npy file to `scores`, an .npz
    {"variant": NAME, "calls": N}      the seconds of N calls of that variant of what was made last
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import larq
import larq_compute_engine as lce
import numpy as np
import tensorflow as tf
from larq_compute_engine.tflite.python.interpreter_wrapper_lite import LiteInterpreter
from larq_zoo import literature, sota

LAYER_VARIANTS = {"LCE default": {}, "LCE indirect": {"use_indirect_bgemm": True}}
NETWORK_VARIANTS = {**LAYER_VARIANTS, "LCE indirect, XNNPACK": {"use_indirect_bgemm": True, "use_xnnpack": True}}

layers = tf.keras.layers


class Variant:
    """A file on an input, with the interpreter's own call, which copies the input and the output as well."""

    def __init__(self, file: bytes, x: np.ndarray, threads: int, options: Mapping[str, bool]):
        flags = [options.get(f"use_{name}", False) for name in ("reference_bconv", "indirect_bgemm", "xnnpack")]
        self._interpreter = LiteInterpreter(file, threads, *flags)
        self._x = [x]

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """The outputs of images, one after the other."""
        return np.concatenate([self._interpreter.predict([image])[0] for image in np.split(x, len(x))])

    def seconds(self, calls: int) -> list[float]:
        """How long each of these calls takes."""
        times = []
        for _ in range(calls):
            start = time.perf_counter()
            self._interpreter.predict(self._x)
            times.append(time.perf_counter() - start)
        return times


def make_layer(path: str, threads: int) -> dict[str, Variant]:
    """The layer's variants, of those that give its outputs to the last bit."""
    with np.load(path) as file:
        x, kernel, multiplier, bias, outputs = (file[name] for name in ("x", "kernel", "multiplier", "bias", "outputs"))
        stride, groups = int(file["stride"]), int(file["groups"])
    convolution = larq.layers.QuantConv2D(
        kernel.shape[-1],
        kernel.shape[:2],
        strides=stride,
        padding="same",
        pad_values=0,
        groups=groups,
        use_bias=False,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
    )
    normalization = layers.BatchNormalization(epsilon=1e-3)
    model = tf.keras.Sequential([layers.InputLayer(x.shape[1:], batch_size=1), convolution, normalization])
    convolution.set_weights([kernel])
    # Variance and epsilon add up to 1.
    normalization.set_weights([multiplier, bias, np.zeros_like(bias), np.full_like(bias, 0.999)])
    file = lce.convert_keras_model(model)
    variants = {}
    for name, options in LAYER_VARIANTS.items():
        if groups > 1 and name == "LCE default":
            continue  # it has no groups
        variants[name] = Variant(file, x, threads, options)
        np.testing.assert_array_equal(variants[name].outputs(x), outputs, f"{name} is wrong")
    return variants


def binarynet_cifar10(input_shape: tuple[int, int, int]) -> tf.keras.Model:
    """The CIFAR-10 ConvNet of arXiv:1602.02830, section 2.2."""
    binary = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip", "use_bias": False}
    x = image = layers.Input(input_shape)
    for filters in (128, 256, 512):
        for is_last in (False, True):
            quantizer = None if x is image else "ste_sign"
            x = larq.layers.QuantConv2D(filters, 3, padding="same", input_quantizer=quantizer, **binary)(x)
            x = layers.BatchNormalization(epsilon=1e-4)(layers.MaxPool2D(2)(x) if is_last else x)
    x = layers.Flatten()(x)
    for units in (1024, 1024, 10):
        x = layers.BatchNormalization(epsilon=1e-4)(
            larq.layers.QuantDense(units, input_quantizer="ste_sign", **binary)(x)
        )
    return tf.keras.Model(image, x)


def zoo(make: Callable[..., tf.keras.Model]) -> Callable[[tuple[int, int, int]], tf.keras.Model]:
    """A network of the zoo without its softmax."""

    def build(input_shape: tuple[int, int, int]) -> tf.keras.Model:
        model = make(input_shape=input_shape, weights=None)
        return tf.keras.Model(model.input, model.layers[-1].input)

    return build


NETWORKS = {
    "BinaryNetCIFAR10": binarynet_cifar10,
    "BiRealNet18": zoo(literature.BiRealNet),
    "QuickNet": zoo(sota.QuickNet),
    "QuickNetLarge": zoo(sota.QuickNetLarge),
}


def make_sums_exact(model: tf.keras.Model, images: np.ndarray) -> None:
    """Gives binary kernels one magnitude, real-valued ones -1, 0 and 1, and batch normalization rounded statistics.

    Runtimes add float32 in an order of their own, and a sum that is rounded in front of a sign may come out on either
    side of 0. Such kernels and normalization by powers of two leave little to round. A binary kernel's magnitude is a
    factor in Bi-Real Net.
    """
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0  # the statistics of these images alone
        elif getattr(layer, "kernel_quantizer", None) is not None:
            layer.set_weights([np.where(x < 0, -0.5, 0.5) for x in layer.get_weights()])
        else:
            layer.set_weights([np.sign(x) * (np.abs(x) > 0.5 * np.abs(x).mean()) for x in layer.get_weights()])
    model(images, training=True)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
            exponent = np.round(np.log2(variance + layer.epsilon) / 2)
            layer.moving_mean.assign(np.round(mean * 4) / 4)
            layer.moving_variance.assign(4.0**exponent - layer.epsilon)


def make_network(command: Mapping[str, str], threads: int) -> dict[str, Variant]:
    """The network's variants."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(0)
    images = np.load(command["images"])
    model = NETWORKS[command["network"]](images.shape[1:])
    make_sums_exact(model, images)
    Path(command["stock"]).write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    file = lce.convert_keras_model(model)
    variants = {name: Variant(file, images[:1], threads, options) for name, options in NETWORK_VARIANTS.items()}
    np.savez(command["scores"], **{name: variant.outputs(images) for name, variant in variants.items()})
    return variants


def main() -> None:
    """Answers commands until there are no more."""
    # Compiled code prints too: file descriptor 1 becomes that of the errors, and answers keep the old one.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threads = int(sys.argv[1])
    variants: dict[str, Variant] = {}
    for line in sys.stdin:
        command: dict[str, Any] = json.loads(line)
        if "calls" in command:
            answer: Any = variants[command["variant"]].seconds(command["calls"])
        else:
            variants = make_layer(command["layer"], threads) if "layer" in command else make_network(command, threads)
            answer = list(variants)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
