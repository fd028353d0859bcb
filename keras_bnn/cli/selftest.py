"""A tiny packed model with a known answer: real convolution, binary convolution, max-pool, dense layer."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from keras_bnn.converter.bits import pack_signs, words_for
from keras_bnn.converter.custom_ops import SAME, VALID
from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Model
from keras_bnn.runtime import Interpreter

SIZE, COLORS, CHANNELS, CLASSES = 6, 3, 40, 7  # 40 channels leave unused bits in the second word
SAMPLES = 3


def mistakes(isa: str) -> int:
    """Returns how many of the outputs differ from plain +-1 arithmetic when the model runs on a kernel set.

    Args:
        isa: Name of the kernel set.
    """
    rng = np.random.default_rng(1602)
    x = rng.integers(-4, 5, (SAMPLES, SIZE, SIZE, COLORS)).astype(np.float32)  # integers: float sums are exact
    signs = [
        rng.choice([-1, 1], shape)
        for shape in ((CHANNELS, 3, 3, COLORS), (CHANNELS, 3, 3, CHANNELS), (CLASSES, SIZE // 2, SIZE // 2, CHANNELS))
    ]
    multiplier = rng.choice([-0.5, 0.25, 1.5], CHANNELS).astype(np.float32)
    bias = rng.integers(-9, 10, CHANNELS).astype(np.float32)
    thresholds = rng.integers(-9, 10, CHANNELS).astype(np.int32)
    scale = rng.choice([-2.0, 0.125], CLASSES).astype(np.float32)
    interpreter = Interpreter(_model(signs, multiplier, bias, thresholds, scale), isa=isa)
    expected = _expected(x, signs, multiplier, bias, thresholds, scale)
    return int(np.count_nonzero(interpreter.predict(x) != expected))


def _expected(
    x: np.ndarray,
    signs: list[np.ndarray],
    multiplier: np.ndarray,
    bias: np.ndarray,
    thresholds: np.ndarray,
    scale: np.ndarray,
) -> np.ndarray:
    """The model in numpy, on unpacked values."""
    y = np.where(_convolve(x, signs[0]) * multiplier + bias < 0, -1, 1)
    y = np.where(_convolve(y, signs[1]) < thresholds, -1, 1)
    y = y.reshape(len(x), SIZE // 2, 2, SIZE // 2, 2, CHANNELS).max(axis=(2, 4))
    return np.einsum("nhwc,ohwc->no", y, signs[2]) * scale


def _convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """3x3 convolution of the same size, zeros outside."""
    windows = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), axis=(1, 2))
    return np.einsum("nyxchw,ohwc->nyxo", windows, kernel)


def _model(
    signs: list[np.ndarray], multiplier: np.ndarray, bias: np.ndarray, thresholds: np.ndarray, scale: np.ndarray
) -> bytes:
    """The model as a packed file."""
    model = Model()
    graph = model.graphs[0]
    words = words_for(CHANNELS)
    image, half = (-1, SIZE, SIZE, words), (-1, SIZE // 2, SIZE // 2, words)
    packed = [pack_signs(kernel < 0) for kernel in signs]
    packed[2] = packed[2].reshape(CLASSES, -1)
    weights = [graph.add_constant(f"weights_{i}", kernel) for i, kernel in enumerate(packed)]
    parameters = {"multiplier": multiplier, "bias": bias, "thresholds": thresholds, "scale": scale}
    constants = {name: graph.add_constant(name, values) for name, values in parameters.items()}
    zeros = graph.add_constant("zeros", np.zeros(CLASSES, np.float32))

    x = graph.add_input("x", (-1, SIZE, SIZE, COLORS))
    real = graph.add_tensor("real_convolution", image, np.int32)
    binary = graph.add_tensor("binary_convolution", image, np.int32)
    pooled = graph.add_tensor("pooled", half, np.int32)
    y = graph.add_tensor("y", (-1, CLASSES))
    graph.add_op(
        "BnnConv2D",
        [x, weights[0], constants["multiplier"], constants["bias"]],
        [real],
        {"channels_in": COLORS, "padding": SAME},
    )
    graph.add_op(
        "BnnConv2D", [real, weights[1], constants["thresholds"]], [binary], {"channels_in": CHANNELS, "padding": SAME}
    )
    pool = {"window_h": 2, "window_w": 2, "stride_h": 2, "stride_w": 2, "padding": VALID}
    graph.add_op("BnnMaxPool2D", [binary], [pooled], pool)
    graph.add_op(
        "BnnFullyConnected",
        [pooled, weights[2], constants["scale"], zeros],
        [y],
        {"channels_in": (SIZE // 2) ** 2 * CHANNELS},
    )
    graph.outputs.append(y)
    return write_model(model)
