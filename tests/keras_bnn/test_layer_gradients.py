"""The gradients of the binary layers: the straight-through estimator of plain +1 and -1 arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import ops
from support.backend_gradient import gradient
from support.sign_arithmetic import conv, conv2d_transpose, depthwise_conv2d, pad_same, sign

from keras_bnn import layers
from keras_bnn.layers import BinaryDense

# TensorFlow without XLA may read a variable for the gradient of another one after its update.
JIT_COMPILE = keras.backend.backend() != "torch"


def values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Distinct float32 values, half of them beyond 1 or -1, with 0, -0.0 and the limits among them."""
    x = rng.normal(0, 1.5, size=shape).astype(np.float32)
    x.flat[::7] = np.resize(np.float32([0, -0.0, 1, -1, np.nextafter(1, 2, dtype=np.float32), -1.5]), x.flat[::7].shape)
    return x


def whole(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Gradients of the outputs; whole numbers, so that sums are exact."""
    return np.round(rng.normal(size=shape) * 64).astype(np.float32)


def estimated(linear: Callable[[np.ndarray], np.ndarray], x: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    """Slope in x of sum(upstream * linear(sign(x))), estimated straight through the sign, one element at a time."""
    slopes = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        one_hot = np.zeros(x.shape)
        one_hot[index] = abs(x[index]) <= 1
        slopes[index] = np.sum(linear(one_hot) * upstream)
    return slopes


class Case(NamedTuple):
    """A layer, and what it computes of quantized inputs (surrounded by a value) and quantized kernels."""

    arguments: dict[str, Any]
    input_shape: tuple[int, ...]
    kernels: list[tuple[int, ...]]
    plain: Callable[..., np.ndarray]


ONCE = (1, 1)
CASES = {
    "BinaryConv1D": Case(
        {"filters": 3, "kernel_size": 3, "padding": "causal", "pad_value": -1},
        (2, 4, 2),
        [(3, 2, 3)],
        lambda value, x, w: conv(np.pad(x, [(0, 0), (2, 0), (0, 0)], constant_values=value), w, (1,), (1,)),
    ),
    "BinaryConv2D": Case(
        {"filters": 3, "kernel_size": (3, 2), "padding": "same", "pad_value": -1},
        (1, 4, 5, 2),
        [(3, 2, 2, 3)],
        lambda value, x, w: conv(pad_same(x, (3, 2), ONCE, ONCE, value), w, ONCE, ONCE),
    ),
    "BinaryConv3D": Case(
        {"filters": 2, "kernel_size": (2, 1, 2), "strides": (1, 2, 1)},
        (1, 2, 3, 3, 2),
        [(2, 1, 2, 2, 2)],
        lambda _, x, w: conv(x, w, (1, 2, 1), (1, 1, 1)),
    ),
    "BinaryDepthwiseConv2D": Case(
        {"kernel_size": 2, "depth_multiplier": 2, "padding": "same", "pad_value": 1},
        (2, 3, 3, 2),
        [(2, 2, 2, 2)],
        lambda value, x, w: depthwise_conv2d(pad_same(x, (2, 2), ONCE, ONCE, value), w, ONCE, ONCE),
    ),
    "BinarySeparableConv2D": Case(
        {"filters": 3, "kernel_size": 2, "depth_multiplier": 2},
        (2, 3, 3, 2),
        [(2, 2, 2, 2), (1, 1, 4, 3)],
        lambda _, x, w, pointwise: depthwise_conv2d(x, w, ONCE, ONCE) @ pointwise[0, 0],
    ),
    "BinaryConv2DTranspose": Case(
        {"filters": 3, "kernel_size": (3, 2), "strides": 2},
        (2, 2, 3, 2),
        [(3, 2, 3, 2)],
        lambda _, x, w: conv2d_transpose(x, w, (2, 2), ONCE),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_input_gradient(name: str) -> None:
    case, rng = CASES[name], np.random.default_rng(6)
    x, kernels = values(rng, *case.input_shape), [values(rng, *shape) for shape in case.kernels]
    layer = getattr(layers, name)(**case.arguments)
    layer.build(x.shape)
    layer.set_weights(kernels)
    upstream = whole(rng, *layer.compute_output_shape(x.shape))
    signs = [sign(kernel) for kernel in kernels]
    expected = estimated(lambda x: case.plain(0, x, *signs), x, upstream)
    assert np.any(expected)
    assert not np.all(expected)
    np.testing.assert_array_equal(gradient(layer, x, upstream), expected)


@pytest.mark.parametrize("name", CASES)
def test_kernel_gradients(name: str) -> None:
    case, rng = CASES[name], np.random.default_rng(7)
    x, kernels = values(rng, *case.input_shape), [values(rng, *shape) for shape in case.kernels]
    roles = ["depthwise", "pointwise"][: len(kernels)] if "Depthwise" in name or len(kernels) > 1 else ["kernel"]
    layer = getattr(layers, name)(**case.arguments, **{f"{role}_constraint": ops.copy for role in roles})
    model = keras.Sequential([keras.Input(case.input_shape[1:]), layer])
    layer.set_weights(kernels)
    upstream = whole(rng, *layer.compute_output_shape(x.shape))
    model.compile(keras.optimizers.SGD(0.25), loss=lambda upstream, y: ops.sum(upstream * y), jit_compile=JIT_COMPILE)
    model.train_on_batch(x, upstream)
    signs, seen = [sign(kernel) for kernel in kernels], sign(x)
    for place, (kernel, trained) in enumerate(zip(kernels, layer.get_weights(), strict=True)):

        def linear(one_hot: np.ndarray, place: int = place) -> np.ndarray:
            return case.plain(case.arguments.get("pad_value", 0), seen, *signs[:place], one_hot, *signs[place + 1 :])

        expected = estimated(linear, kernel, upstream)
        assert np.any(expected)
        assert not np.all(expected)
        np.testing.assert_allclose(trained, kernel - expected / 4, rtol=1e-6, atol=1e-5)


def test_dense_input_gradient() -> None:
    rng = np.random.default_rng(5)
    x, w, upstream = values(rng, 4, 6), values(rng, 6, 3), whole(rng, 4, 3)
    x[0, :4] = [1, -1, np.nextafter(np.float32(1), np.float32(2)), -1.5]
    layer = BinaryDense(3)
    layer.build(x.shape)
    layer.kernel.assign(w)
    expected = (upstream @ sign(w).T) * (np.abs(x) <= 1)
    np.testing.assert_array_equal(gradient(layer, x, upstream), expected)


def test_kernel_gradient_and_clip_in_one_training_step() -> None:
    rng = np.random.default_rng(9)
    x, w, upstream = values(rng, 4, 6), values(rng, 6, 3), values(rng, 4, 3)
    w[:, 0] = [1, -1, np.nextafter(np.float32(1), np.float32(2)), -1.5, 0, -0.0]
    model = keras.Sequential([keras.Input((6,)), BinaryDense(3)])
    model.layers[0].kernel.assign(w)
    model.compile(keras.optimizers.SGD(0.5), loss=lambda upstream, y: ops.sum(upstream * y), jit_compile=JIT_COMPILE)
    model.train_on_batch(x, upstream)
    dw = (sign(x).T @ upstream) * (np.abs(w) <= 1)
    assert np.any(np.abs(w - 0.5 * dw) > 1)
    np.testing.assert_allclose(
        ops.convert_to_numpy(model.layers[0].kernel), np.clip(w - 0.5 * dw, -1, 1), rtol=1e-6, atol=1e-6
    )
