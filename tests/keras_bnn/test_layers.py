"""What the binary layers compute, against plain +1 and -1 arithmetic."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import ops
from support.backend_gradient import gradient
from support.sign_arithmetic import conv, conv2d_transpose, depthwise_conv2d, pad_same, sign

from keras_bnn import layers
from keras_bnn.layers import (
    BinaryConv1D,
    BinaryConv2D,
    BinaryConv2DTranspose,
    BinaryConv3D,
    BinaryDense,
    BinaryDepthwiseConv2D,
    BinarySeparableConv2D,
    Quantize,
)


def values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Distinct float32 values, about half of them negative, with 0 and -0.0 among them."""
    x = rng.normal(size=shape).astype(np.float32)
    x[rng.random(shape) < 0.1] = 0.0
    x[rng.random(shape) < 0.1] *= -0.0
    return x


def numpy(x: object) -> np.ndarray:
    return ops.convert_to_numpy(x)


# JAX compiles each shape anew, a tenth of a second or more.
EXAMPLES = 4 if keras.backend.backend() == "jax" else 30


def check(layer: keras.layers.Layer, x: np.ndarray, kernels: list[np.ndarray], expected: np.ndarray) -> None:
    """The layer with these latent kernels makes of x exactly what was expected, and foretells its shape."""
    layer.build(x.shape)
    layer.set_weights(kernels)
    y = numpy(layer(x))
    np.testing.assert_array_equal(y, expected)
    assert tuple(layer.compute_output_shape(x.shape)) == y.shape


def draw_axes(data: st.DataObject, rank: int) -> dict:
    """Kernel size, strides or dilation, padding and pad_value of a convolution, and an image size that it fits."""

    def sizes(most: int) -> tuple:
        return data.draw(st.tuples(*[st.integers(1, most)] * rank))

    once = (1,) * rank
    kernel_size, size = sizes(5 - rank), sizes(10 - 2 * rank)
    strides, dilation = (sizes(3), once) if data.draw(st.booleans()) else (once, sizes(3))
    padding = data.draw(st.sampled_from(["same", "valid", "causal"] if rank == 1 else ["same", "valid"]))
    if padding == "valid":
        assume(all((k - 1) * d < n for k, d, n in zip(kernel_size, dilation, size, strict=True)))
    pad_value = data.draw(st.sampled_from([0, 1, -1]))
    axes = {"kernel_size": kernel_size, "strides": strides, "dilation_rate": dilation}
    return {"size": size, "arguments": {**axes, "padding": padding, "pad_value": pad_value}}


def padded(x: np.ndarray, arguments: dict) -> np.ndarray:
    """Images surrounded as the arguments of a layer say."""
    kernel_size, strides, dilation = (arguments[name] for name in ("kernel_size", "strides", "dilation_rate"))
    if arguments["padding"] == "same":
        return pad_same(x, kernel_size, strides, dilation, arguments["pad_value"])
    before = (kernel_size[0] - 1) * dilation[0] if arguments["padding"] == "causal" else 0
    pads = [(0, 0), (before, 0), *[(0, 0)] * (x.ndim - 2)]
    return np.pad(x, pads, constant_values=arguments["pad_value"])


@pytest.mark.parametrize(("layer", "rank"), [(BinaryConv1D, 1), (BinaryConv2D, 2), (BinaryConv3D, 3)])
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_a_convolution_is_the_plain_convolution_of_signs(layer: type, rank: int, data: st.DataObject) -> None:
    axes = draw_axes(data, rank)
    groups = data.draw(st.sampled_from([1, 1, 2, 3]))
    depth, filters = data.draw(st.integers(1, 5)), groups * data.draw(st.integers(1, 3))
    input_quantizer = data.draw(st.sampled_from(["ste_sign", None]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = values(rng, 2, *axes["size"], groups * depth)
    if input_quantizer is None:
        x = np.round(x * 128) / 128  # so that sums are exact
    arguments = axes["arguments"]
    w = values(rng, *arguments["kernel_size"], depth, filters)
    made = layer(filters, groups=groups, input_quantizer=input_quantizer, **arguments)
    seen = padded(x.astype(np.float64) if input_quantizer is None else sign(x), arguments)
    check(made, x, [w], conv(seen, sign(w), arguments["strides"], arguments["dilation_rate"], groups))


def draw_square_axes(data: st.DataObject) -> tuple[tuple, dict]:
    """As `draw_axes`, with equal strides: TensorFlow's depthwise convolution knows no other."""
    drawn = draw_axes(data, 2)
    stride = drawn["arguments"]["strides"][0]
    arguments = {**drawn["arguments"], "strides": (stride, stride)}
    if keras.backend.backend() == "tensorflow" and stride > 1:
        arguments["dilation_rate"] = (1, 1)
    return drawn["size"], arguments


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_depthwise_conv2d_is_the_plain_convolution_of_signs(data: st.DataObject) -> None:
    size, arguments = draw_square_axes(data)
    channels, multiplier = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = values(rng, 2, *size, channels)
    w = values(rng, *arguments["kernel_size"], channels, multiplier)
    seen = padded(sign(x), arguments)
    expected = depthwise_conv2d(seen, sign(w), arguments["strides"], arguments["dilation_rate"])
    check(BinaryDepthwiseConv2D(depth_multiplier=multiplier, **arguments), x, [w], expected)


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_separable_conv2d_is_two_plain_convolutions(data: st.DataObject) -> None:
    size, arguments = draw_square_axes(data)
    channels, multiplier, filters = (data.draw(st.integers(1, 3)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = values(rng, 2, *size, channels)
    depthwise = values(rng, *arguments["kernel_size"], channels, multiplier)
    pointwise = values(rng, 1, 1, channels * multiplier, filters)
    seen = padded(sign(x), arguments)
    hidden = depthwise_conv2d(seen, sign(depthwise), arguments["strides"], arguments["dilation_rate"])
    made = BinarySeparableConv2D(filters, depth_multiplier=multiplier, **arguments)
    check(made, x, [depthwise, pointwise], hidden @ sign(pointwise[0, 0]))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel_size", "strides", "dilation"), [((3, 2), (2, 1), (1, 1)), ((2, 3), (1, 1), (2, 1))])
def test_conv2d_transpose_is_the_plain_one_of_signs(
    kernel_size: tuple, strides: tuple, dilation: tuple, padding: str
) -> None:
    rng = np.random.default_rng(15)
    x, w = values(rng, 2, 4, 5, 3), values(rng, *kernel_size, 7, 3)
    expected = conv2d_transpose(sign(x), sign(w), strides, dilation)
    if padding == "same":  # cropped to the input's size times strides, the smaller half before
        sizes = [size * stride for size, stride in zip(x.shape[1:3], strides, strict=True)]
        first = [(whole - size) // 2 for whole, size in zip(expected.shape[1:3], sizes, strict=True)]
        expected = expected[:, first[0] : first[0] + sizes[0], first[1] : first[1] + sizes[1]]
    made = BinaryConv2DTranspose(7, kernel_size, strides, padding, dilation_rate=dilation)
    check(made, x, [w], expected)


@pytest.mark.parametrize("layer", [BinaryConv1D, BinaryConv2D, BinaryConv3D, BinaryConv2DTranspose])
def test_bias_and_activation_of_convolutions(layer: type) -> None:
    rank = 1 if layer is BinaryConv1D else 3 if layer is BinaryConv3D else 2
    rng = np.random.default_rng(16)
    x, bias = values(rng, 2, *[3] * rank, 4), values(rng, 5)
    made = layer(5, 1, use_bias=True, activation="relu")
    made.build(x.shape)
    w = values(rng, *made.kernel.shape)
    made.set_weights([w, bias])
    plain = sign(w).reshape(w.shape[-2:])
    plain = plain.T if layer is BinaryConv2DTranspose else plain
    expected = np.maximum((sign(x) @ plain).astype(np.float32) + bias, 0)
    np.testing.assert_array_equal(numpy(made(x)), expected)


def test_bias_and_activation_of_depthwise_convolutions() -> None:
    rng = np.random.default_rng(17)
    x, w, bias = values(rng, 2, 3, 3, 4), values(rng, 1, 1, 4, 2), values(rng, 8)
    depthwise = BinaryDepthwiseConv2D(1, depth_multiplier=2, use_bias=True, activation="relu")
    depthwise.build(x.shape)
    depthwise.set_weights([w, bias])
    hidden = (sign(x)[..., np.newaxis] * sign(w)).reshape(2, 3, 3, 8)
    np.testing.assert_array_equal(numpy(depthwise(x)), np.maximum(hidden.astype(np.float32) + bias, 0))
    pointwise = values(rng, 1, 1, 8, 5)
    separable = BinarySeparableConv2D(5, 1, depth_multiplier=2, use_bias=True, activation="relu")
    separable.build(x.shape)
    separable.set_weights([w, pointwise, bias[:5]])
    expected = (hidden @ sign(pointwise[0, 0])).astype(np.float32) + bias[:5]
    np.testing.assert_array_equal(numpy(separable(x)), np.maximum(expected, 0))


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


def test_quantize_layer() -> None:
    x = values(np.random.default_rng(10), 3, 4, 5)
    np.testing.assert_array_equal(numpy(Quantize()(x)), sign(x))
    np.testing.assert_array_equal(gradient(Quantize(), x), np.abs(x) <= 1)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["Dense", "Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"])
def test_mixed_precision_takes_the_sign_of_the_float32_weight(name: str, policy: str) -> None:
    positional = {"Dense": [1], "DepthwiseConv2D": [1]}.get(name, [1, 1])
    layer = getattr(layers, f"Binary{name}")(*positional, dtype=policy)
    shape = {"Dense": (1, 1), "Conv1D": (1, 1, 1)}.get(name, (1, 1, 1, 1))
    layer.build(shape)
    for kernel in layer.trainable_weights:
        kernel.assign(np.full(kernel.shape, -1e-9))  # float16 rounds it to -0.0
    y = layer(np.ones(shape, np.float32))
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    assert numpy(ops.cast(y, "float32")).item() == (-1) ** len(layer.trainable_weights)
