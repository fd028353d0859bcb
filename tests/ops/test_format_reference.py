"""The reference itself: hand-written values, and the stock float ops on unpacked +1 and -1."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from format_reference import (
    EXPLICIT,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    activate,
    bnn_conv2d,
    bnn_fully_connected,
    bnn_max_pool_2d,
    bnn_quantize,
    pack,
    unpack,
)
from support import draw
from support.model_builder import ModelBuilder


def test_bits_and_words() -> None:
    values = np.ones((1, 70), np.float32)
    values[0, [0, 31, 33, 69]] = -1
    np.testing.assert_array_equal(pack(values), np.array([[-(2**31) + 1, 2, 32]], np.int32))
    np.testing.assert_array_equal(unpack(pack(values), 70), values)
    assert (unpack(pack(values))[0, 70:] == 1).all()


def test_zeros_and_nan_are_plus_one() -> None:
    bits = bnn_quantize(np.array([[0.0, -0.0, np.nan, -1e-45, 1e-45]], np.float32), version=1)
    np.testing.assert_array_equal(bits, [[0b01000]])


def test_int8_compares_with_the_zero_point() -> None:
    bits = bnn_quantize(np.array([[-128, -4, -3, -2, 127]], np.int8), version=1, zero_point=-3)
    np.testing.assert_array_equal(bits, [[0b00011]])


def test_activations() -> None:
    y = np.array([-7, -1, -0.5, -0.0, 0.0, 0.5, 6, 7], np.float32)
    assert activate(y, RELU).tolist() == [0, 0, 0, 0, 0, 0.5, 6, 7]
    assert activate(y, RELU6).tolist() == [0, 0, 0, 0, 0, 0.5, 6, 6]
    assert activate(y, RELU_N1_TO_1).tolist() == [-1, -1, -0.5, 0, 0, 0.5, 1, 1]
    assert np.signbit(activate(y, RELU)).tolist() == [False, False, False, True, *[False] * 4]


def test_float_terms_are_added_one_by_one() -> None:
    x = np.array([[2**24, 1, 1, -(2**24)]], np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    options = {"outputs": "y", "version": 1, "channels_in": 4}
    assert bnn_fully_connected(x, pack(np.ones((1, 4))), one, zero, **options) == 0  # exact would be 2
    assert bnn_fully_connected(x[:, ::-1], pack(np.ones((1, 4))), one, zero, **options) == 2


def _run_stock(x: np.ndarray, code: int, options: object, *constants: np.ndarray) -> np.ndarray:
    builder = ModelBuilder()
    arguments = [builder.tensor(x.shape, np.float32), *(builder.constant(values) for values in constants)]
    y = builder.tensor((1, 1, 1, 1), np.float32)
    builder.stock(code, arguments, [y], options)
    interpreter = Interpreter(model_content=builder.build(arguments[:1], [y]))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(("channels", "groups"), [(33, 1), (40, 2), (6, 3)])
@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 3))])
def test_convolution_equals_the_stock_op(
    padding: int, channels: int, groups: int, stride: tuple[int, int], dilation: tuple[int, int]
) -> None:
    rng = np.random.default_rng(channels)
    x, kernel = draw.signs(rng, (2, 9, 8, channels)), draw.signs(rng, (6, 3, 2, channels // groups))
    options = schema.Conv2DOptionsT()
    options.padding = padding  # TFLite's numbers: 0 SAME, 1 VALID
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    bias = rng.integers(-9, 9, 6).astype(np.float32)
    stock = _run_stock(x.astype(np.float32), schema.BuiltinOperator.CONV_2D, options, kernel.astype(np.float32), bias)
    ours = bnn_conv2d(
        pack(x),
        pack(kernel),
        np.ones(6, np.float32),
        bias,
        outputs="y",
        version=1,
        channels_in=channels,
        groups=groups,
        padding=padding,
        stride_h=stride[0],
        stride_w=stride[1],
        dilation_h=dilation[0],
        dilation_w=dilation[1],
    )
    np.testing.assert_array_equal(ours, stock)


@pytest.mark.parametrize("pad_value", [0, 1, -1])
def test_explicit_padding_equals_a_padded_image(pad_value: int) -> None:
    rng = np.random.default_rng(3)
    x, kernel = draw.signs(rng, (1, 4, 5, 3)), draw.signs(rng, (2, 3, 3, 3))
    padded = np.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0)), constant_values=pad_value)
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = VALID, 2, 1
    stock = _run_stock(
        padded.astype(np.float32),
        schema.BuiltinOperator.CONV_2D,
        options,
        kernel.astype(np.float32),
        np.zeros(2, np.float32),
    )
    ours = bnn_conv2d(
        pack(x),
        pack(kernel),
        np.ones(2, np.float32),
        np.zeros(2, np.float32),
        outputs="y",
        version=1,
        channels_in=3,
        padding=EXPLICIT,
        pad_value=pad_value,
        stride_h=2,
        pad_top=1,
        pad_bottom=2,
        pad_left=3,
    )
    np.testing.assert_array_equal(ours, stock)


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(("window", "stride"), [((2, 2), (2, 2)), ((3, 2), (1, 2)), ((2, 3), (4, 5))])
def test_max_pool_equals_the_stock_op(padding: int, window: tuple[int, int], stride: tuple[int, int]) -> None:
    x = draw.signs(np.random.default_rng(4), (2, 7, 8, 35))
    options = schema.Pool2DOptionsT()
    options.padding, (options.filterHeight, options.filterWidth) = padding, window
    options.strideH, options.strideW = stride
    stock = _run_stock(x.astype(np.float32), schema.BuiltinOperator.MAX_POOL_2D, options)
    ours = bnn_max_pool_2d(
        pack(x),
        version=1,
        window_h=window[0],
        window_w=window[1],
        stride_h=stride[0],
        stride_w=stride[1],
        padding=padding,
    )
    np.testing.assert_array_equal(unpack(ours, 35), stock)


def test_gaps_inside_a_row_do_not_count() -> None:
    rng = np.random.default_rng(5)
    x, kernel = draw.signs(rng, (4, 3, 37)), draw.signs(rng, (5, 3, 37))
    ours = bnn_fully_connected(
        pack(x),
        pack(kernel).reshape(5, -1),
        np.ones(5, np.float32),
        np.zeros(5, np.float32),
        outputs="y",
        version=1,
        channels_in=3 * 37,
    )
    np.testing.assert_array_equal(ours, x.reshape(4, -1) @ kernel.reshape(5, -1).T)
