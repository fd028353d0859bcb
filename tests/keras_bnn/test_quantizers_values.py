"""Values and gradients of the quantizers, against closed forms in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from support.backend_gradient import gradient

from keras_bnn.quantizers import (
    ApproxSign,
    DoReFa,
    MagnitudeAwareSign,
    NoOp,
    SteHeaviside,
    SteSign,
    SteTern,
    StochasticSign,
    SwishSign,
)

BACKEND = keras.backend.backend()
INFINITY = np.float32(np.inf)


def around(*points: float) -> list[np.float32]:
    """The points, and the next float32 numbers below and above them."""
    return [np.nextafter(np.float32(p), to) for p in points for to in (-INFINITY, np.float32(p), INFINITY)]


# The neighbours of 0 are subnormal, which backends may treat as 0; 1e-30 is not.
EDGES = np.array([*around(-1, 1, 0.5, -0.5, 0.05, -0.05), -1e-30, -0.0, 0, 1e-30, -3, 3, 0.25, 0.75], np.float32)
RANDOM = np.random.default_rng(7).normal(0.1, 0.9, (5, 33)).astype(np.float32)


def sign(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, -1.0, 1.0)


def box(clip_value: float = 1.0) -> Callable:
    return lambda x: (np.abs(x) <= clip_value) * 1.0


def tent(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) <= 1, 2 - 2 * np.abs(x), np.zeros_like(x))


def swish(beta: float) -> Callable:
    def derivative(x: np.ndarray) -> np.ndarray:
        z = np.clip(beta * x.astype(np.float64), -700, 700)
        return beta * (2 - z * np.tanh(z / 2)) / (1 + np.cosh(z))

    return derivative


def ternary(threshold: float | None) -> Callable:
    def values(x: np.ndarray) -> np.ndarray:
        t = x.dtype.type(0.7 * np.abs(x.astype(np.float64)).mean() if threshold is None else threshold)
        return (x > t) * 1.0 - (x < -t) * 1.0

    return values


def channel_means(x: np.ndarray) -> np.ndarray:
    return np.abs(x.astype(np.float64)).reshape(-1, x.shape[-1]).mean(0)


def levels(bits: int) -> Callable:
    # The nearest of the equidistant levels; np.round also takes halves to the even one.
    return lambda x: np.round(np.clip(x, 0, 1).astype(np.float64) * (2**bits - 1)) / (2**bits - 1)


def weight_levels(bits: int) -> Callable:
    def values(x: np.ndarray) -> np.ndarray:
        limited = np.tanh(x.astype(np.float64))
        return 2 * levels(bits)(limited / (2 * np.abs(limited).max()) + 0.5) - 1

    return values


def weight_slope(x: np.ndarray) -> np.ndarray:
    limited = np.tanh(x.astype(np.float64))
    return (1 - limited**2) / np.abs(limited).max()


# name: (quantizer, values, derivative); steps are exact, curves are rounded.
STEPS: dict[str, tuple[Any, Callable, Callable]] = {
    "ste_sign": (SteSign(), sign, box()),
    "ste_sign 0.5": (SteSign(0.5), sign, box(0.5)),
    "stochastic_sign": (StochasticSign(), sign, box()),
    "ste_tern": (SteTern(), ternary(0.05), box()),
    "ste_tern 0": (SteTern(0), ternary(0), box()),
    "ste_tern 0.5": (SteTern(0.5, clip_value=0.5), ternary(0.5), box(0.5)),
    "ste_heaviside": (SteHeaviside(), lambda x: (x > 0) * 1.0, box()),
    "ste_heaviside 0.5": (SteHeaviside(0.5), lambda x: (x > 0) * 1.0, box(0.5)),
    "no_op": (NoOp(), lambda x: x, np.ones_like),
}
CURVES: dict[str, tuple[Any, Callable, Callable]] = {
    "approx_sign": (ApproxSign(), sign, tent),
    "swish_sign": (SwishSign(), sign, swish(5)),
    "swish_sign 0.7": (SwishSign(0.7), sign, swish(0.7)),
    "dorefa 1": (DoReFa(1), levels(1), lambda x: ((x >= 0) & (x <= 1)) * 1.0),
    "dorefa 2": (DoReFa(2), levels(2), lambda x: ((x >= 0) & (x <= 1)) * 1.0),
    "dorefa 8": (DoReFa(8), levels(8), lambda x: ((x >= 0) & (x <= 1)) * 1.0),
}
# These look at all elements, so that a value near a step may fall on either side of it after rounding.
KERNELS: dict[str, tuple[Any, Callable, Callable]] = {
    "magnitude_aware_sign": (
        MagnitudeAwareSign(),
        lambda x: sign(x) * channel_means(x),
        lambda x: box()(x) * channel_means(x),
    ),
    "magnitude_aware_sign 0.5": (
        MagnitudeAwareSign(0.5),
        lambda x: sign(x) * channel_means(x),
        lambda x: box(0.5)(x) * channel_means(x),
    ),
    "ste_tern mean": (SteTern(None), ternary(None), box()),
    "dorefa weights 1": (DoReFa(1, "weights"), weight_levels(1), weight_slope),
    "dorefa weights 3": (DoReFa(3, "weights"), weight_levels(3), weight_slope),
}
ELEMENTWISE = {**STEPS, **CURVES}
ALL = {**ELEMENTWISE, **KERNELS}


def compiled(function: Callable) -> Callable:
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import torch

    return torch.compile(function, backend="aot_eager")  # traced whole, without a C++ compiler


def check(quantizer: Any, values: Callable, derivative: Callable, x: np.ndarray, rtol: float = 2e-6) -> None:
    """Compare values and gradient with the closed forms."""
    upstream = np.random.default_rng(8).integers(-8, 8, x.shape).astype(np.float32)
    y = ops.convert_to_numpy(quantizer(ops.convert_to_tensor(x)))
    assert y.dtype == np.float32
    with np.errstate(invalid="ignore"):  # comparisons of NaN
        np.testing.assert_allclose(y, values(x).astype(np.float32), rtol, atol=0)
        np.testing.assert_allclose(gradient(quantizer, x, upstream), upstream * derivative(x), rtol, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("way", ["eager", "compiled"])
def test_at_the_edges_and_on_random_data(name: str, way: str) -> None:
    quantizer, values, derivative = ALL[name]
    quantizer = compiled(quantizer) if way == "compiled" else quantizer
    # A kernel's maximum and means are those of the edges too, so they come in one array.
    check(quantizer, values, derivative, np.concatenate([EDGES, RANDOM.ravel()[: 4 * 33 - len(EDGES)]]).reshape(33, 4))


# JAX and torch take milliseconds for an operation.
@pytest.mark.parametrize("name", ELEMENTWISE)
@given(x=st.lists(st.floats(-4, 4, width=32, allow_subnormal=False), min_size=8, max_size=8))
@settings(max_examples=25 if BACKEND == "tensorflow" else 10, deadline=None, derandomize=True)
def test_on_drawn_data(name: str, x: list[float]) -> None:
    data = np.array(x, np.float32)
    if name.startswith("dorefa"):
        bits = ELEMENTWISE[name][0].k_bit
        position = np.clip(data, 0, 1).astype(np.float64) * (2**bits - 1)
        data = data[np.abs(position - np.floor(position) - 0.5) > 1e-4]  # where float32 may round to the other level
    check(*ELEMENTWISE[name], data)


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_exact(name: str) -> None:
    quantizer, values, derivative = STEPS[name]
    upstream = np.random.default_rng(8).normal(size=EDGES.shape).astype(np.float32)
    np.testing.assert_array_equal(ops.convert_to_numpy(quantizer(EDGES)), values(EDGES))
    expected = np.where(derivative(EDGES) == 1, upstream, 0)
    np.testing.assert_array_equal(gradient(quantizer, EDGES, upstream), expected)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_in_half_precision(name: str, dtype: type) -> None:
    quantizer, values, derivative = ELEMENTWISE[name]
    half = np.concatenate([EDGES, RANDOM.ravel()]).astype(dtype)
    half = half[np.abs(half.astype(np.float32)) > 1e-7] if dtype is np.float16 else half  # no subnormals
    x = half.astype(np.float32)
    name_of_dtype = np.dtype(dtype).name

    def quantized(x: Any) -> Any:
        return ops.cast(quantizer(ops.cast(x, name_of_dtype)), "float32")

    step = float(ml_dtypes.finfo(dtype).eps)
    expected = values(half).astype(dtype).astype(np.float32)
    np.testing.assert_allclose(ops.convert_to_numpy(quantized(x)), expected, rtol=step, atol=0)
    upstream = np.random.default_rng(8).integers(-8, 8, x.shape).astype(np.float32)
    expected = upstream * derivative(half).astype(np.float32)
    np.testing.assert_allclose(gradient(quantized, x, upstream), expected, rtol=8 * step, atol=16 * step)


@pytest.mark.parametrize("name", [*STEPS, "approx_sign"])
def test_beyond_the_clip_even_an_infinite_gradient_is_cancelled(name: str) -> None:
    if name != "no_op":
        x = np.array([-INFINITY, -2, 2, INFINITY, np.nan, 0.25], np.float32)
        np.testing.assert_array_equal(gradient(ALL[name][0], x, INFINITY), [0, 0, 0, 0, 0, INFINITY])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *((name, [1, -1, 1]) for name in ("ste_sign", "stochastic_sign", "approx_sign", "swish_sign")),
        ("ste_tern", [0, -1, 1]),
        ("ste_heaviside", [0, 0, 1]),
        ("no_op", [np.nan, -INFINITY, INFINITY]),
    ],
)
def test_values_of_nan_and_infinity(name: str, values: list) -> None:
    # A packed bit is `x < 0`, so that a NaN is +1.
    x = np.array([np.nan, -INFINITY, INFINITY], np.float32)
    np.testing.assert_array_equal(ops.convert_to_numpy(ALL[name][0](x)), values)


def test_the_swish_gradient_neither_overflows_nor_turns_nan() -> None:
    x = np.array([-INFINITY, -1e30, -50, 50, 1e30, INFINITY], np.float32)
    np.testing.assert_allclose(gradient(SwishSign(), x), 0, atol=1e-30)
    far = np.array([-20, 3, 60_000], np.float32)
    slope = gradient(lambda x: ops.cast(SwishSign()(ops.cast(x, "float16")), "float32"), far)
    np.testing.assert_allclose(slope, swish(5)(far), atol=1e-5)


AXES = [
    ((4, 6), -1, (0,)),  # dense
    ((3, 2, 5, 4), -1, (0, 1, 2)),  # convolution
    ((3, 2, 5, 4), (-2, -1), (0, 1)),  # depthwise convolution
    ((3, 2, 5, 4), (2, 3), (0, 1)),
    ((3, 2, 5, 4), -2, (0, 1, 3)),  # transposed convolution
]


@pytest.mark.parametrize(("shape", "axis", "averaged"), AXES)
@pytest.mark.parametrize("source", [np.asarray, keras.Variable])
def test_the_scale_belongs_to_output_channels(shape: tuple, axis: Any, averaged: tuple, source: Callable) -> None:
    kernel = np.random.default_rng(9).normal(0.2, 0.7, shape).astype(np.float32)
    expected = sign(kernel) * np.abs(kernel).mean(averaged, keepdims=True)
    y = ops.convert_to_numpy(MagnitudeAwareSign(axis=axis)(source(kernel)))
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    scales = np.abs(y).max(averaged, keepdims=True) * np.ones_like(y)
    np.testing.assert_array_equal(np.abs(y), scales)  # bit for bit one scale a channel, so that it can be packed
    assert len(np.unique(scales)) == kernel.size // np.prod([shape[a] for a in averaged])


def test_means_in_half_precision_are_taken_in_float32() -> None:
    kernel = np.full((70_000, 2), 1.5, np.float16)
    kernel[::2] *= -1
    np.testing.assert_array_equal(ops.convert_to_numpy(MagnitudeAwareSign()(kernel)), kernel)
    np.testing.assert_array_equal(ops.convert_to_numpy(SteTern(None)(kernel)), np.sign(kernel))


def test_a_kernel_of_zeros_stays_finite() -> None:
    zeros = np.zeros((3, 2), np.float32)
    for quantizer in (MagnitudeAwareSign(), SteTern(None), DoReFa(3, "weights")):
        assert np.isfinite(ops.convert_to_numpy(quantizer(zeros))).all()
        assert np.isfinite(gradient(quantizer, zeros)).all()
