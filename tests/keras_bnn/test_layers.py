"""What the binary layers compute, against plain +1 and -1 arithmetic."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import ops
from support.backend_gradient import gradient
from support.sign_arithmetic import conv2d, pad_same, sign

from keras_bnn.layers import BinaryConv2D, BinaryDense, Quantize


def values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Distinct float32 values, about half of them negative, with 0 and -0.0 among them."""
    x = rng.normal(size=shape).astype(np.float32)
    x[rng.random(shape) < 0.1] = 0.0
    x[rng.random(shape) < 0.1] *= -0.0
    return x


def numpy(x: object) -> np.ndarray:
    return ops.convert_to_numpy(x)


# JAX compiles each shape anew, a tenth of a second or more.
EXAMPLES = 10 if keras.backend.backend() == "jax" else 50


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_conv2d_is_the_plain_convolution_of_signs(data: st.DataObject) -> None:
    def pair(most: int) -> tuple:
        return data.draw(st.tuples(st.integers(1, most), st.integers(1, most)))

    groups = data.draw(st.sampled_from([1, 1, 2, 3]))
    depth, filters = data.draw(st.integers(1, 5)), groups * data.draw(st.integers(1, 3))
    kernel_size, size = pair(4), pair(9)
    strides, dilation = (pair(3), (1, 1)) if data.draw(st.booleans()) else ((1, 1), pair(3))
    padding = data.draw(st.sampled_from(["same", "valid"]))
    pad_value = data.draw(st.sampled_from([0, 1, -1]))
    real_input = data.draw(st.booleans())
    if padding == "valid":
        assume(all((k - 1) * d < n for k, d, n in zip(kernel_size, dilation, size, strict=True)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = values(rng, 2, *size, groups * depth)
    if real_input:
        x = np.round(x * 128) / 128  # so that sums are exact
    w = values(rng, *kernel_size, depth, filters)

    layer = BinaryConv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        groups=groups,
        pad_value=pad_value,
        input_quantizer=None if real_input else "ste_sign",
    )
    layer.build(x.shape)
    layer.kernel.assign(w)
    y = numpy(layer(x))

    expected = x.astype(np.float64) if real_input else sign(x)
    if padding == "same":
        expected = pad_same(expected, kernel_size, strides, dilation, pad_value)
    expected = conv2d(expected, sign(w), strides, dilation, groups)
    np.testing.assert_array_equal(y, expected)
    assert layer.compute_output_shape(x.shape) == y.shape


@pytest.mark.parametrize("input_quantizer", ["ste_sign", None])
@pytest.mark.parametrize("shape", [(5, 37), (2, 3, 33)])
def test_dense_is_the_plain_product_of_signs(shape: tuple, input_quantizer: str | None) -> None:
    rng = np.random.default_rng(3)
    x, w, bias = np.round(values(rng, *shape) * 128) / 128, values(rng, shape[-1], 19), values(rng, 19)
    layer = BinaryDense(19, activation="relu", use_bias=True, input_quantizer=input_quantizer)
    layer.build(x.shape)
    layer.set_weights([w, bias])
    expected = (x if input_quantizer is None else sign(x)) @ sign(w)
    expected = np.maximum(expected.astype(np.float32) + bias, 0)
    np.testing.assert_array_equal(numpy(layer(x)), expected)


def test_a_real_kernel_is_used_as_it_is() -> None:
    x = values(np.random.default_rng(4), 5, 8)
    layer = BinaryDense(3, kernel_quantizer=None)
    y = numpy(layer(x))
    np.testing.assert_allclose(y, sign(x) @ numpy(layer.kernel), rtol=1e-5, atol=1e-6)


def test_dense_input_gradient() -> None:
    rng = np.random.default_rng(5)
    x, w, upstream = values(rng, 4, 6), values(rng, 6, 3), np.round(values(rng, 4, 3) * 64)
    x[0, :4] = [1, -1, np.nextafter(np.float32(1), np.float32(2)), -1.5]
    layer = BinaryDense(3)
    layer.build(x.shape)
    layer.kernel.assign(w)
    expected = (upstream @ sign(w).T) * (np.abs(x) <= 1)
    np.testing.assert_array_equal(gradient(layer, x, upstream), expected)


def test_conv2d_input_gradient() -> None:
    rng = np.random.default_rng(6)
    x, w = values(rng, 1, 4, 5, 2), values(rng, 3, 2, 2, 3)
    upstream = np.round(values(rng, 1, 4, 5, 3) * 64)
    layer = BinaryConv2D(3, (3, 2), padding="same", pad_value=-1)
    layer.build(x.shape)
    layer.kernel.assign(w)
    expected = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        one_hot = np.zeros(x.shape)
        one_hot[index] = abs(x[index]) <= 1
        padded = pad_same(one_hot, (3, 2), (1, 1), (1, 1), 0)
        expected[index] = np.sum(conv2d(padded, sign(w)) * upstream)
    np.testing.assert_array_equal(gradient(layer, x, upstream), expected)


def test_kernel_gradient_and_clip_in_one_training_step() -> None:
    rng = np.random.default_rng(9)
    x, w, upstream = values(rng, 4, 6), values(rng, 6, 3), values(rng, 4, 3)
    w[:, 0] = [1, -1, np.nextafter(np.float32(1), np.float32(2)), -1.5, 0, -0.0]
    model = keras.Sequential([keras.Input((6,)), BinaryDense(3)])
    model.layers[0].kernel.assign(w)
    model.compile(keras.optimizers.SGD(0.5), loss=lambda upstream, y: ops.sum(upstream * y))
    model.train_on_batch(x, upstream)
    dw = (sign(x).T @ upstream) * (np.abs(w) <= 1)
    assert np.any(np.abs(w - 0.5 * dw) > 1)
    np.testing.assert_allclose(numpy(model.layers[0].kernel), np.clip(w - 0.5 * dw, -1, 1), rtol=1e-6, atol=1e-6)


def test_quantize_layer() -> None:
    x = values(np.random.default_rng(10), 3, 4, 5)
    np.testing.assert_array_equal(numpy(Quantize()(x)), sign(x))
    np.testing.assert_array_equal(gradient(Quantize(), x), np.abs(x) <= 1)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_takes_the_sign_of_the_float32_weight(policy: str) -> None:
    layer = BinaryDense(2, dtype=policy)
    layer.build((1, 3))
    layer.kernel.assign([[1e-9, -1e-9], [1.0, 1.0], [-1.0, 0.0]])  # float16 rounds -1e-9 to -0.0
    y = layer(np.ones((1, 3), np.float32))
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(numpy(ops.cast(y, "float32")), [[1, 1]])
