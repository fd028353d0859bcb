"""Quantized files: binary layers among integers, and integers in and out of packed ops."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from format_reference import run_packed
from support.float_graphs import (
    RELU,
    RELU6,
    SAME,
    VALID,
    FloatGraph,
    kinds,
    only,
    random_input,
    rewrite,
    rewrite_and_compare,
    run_file,
)
from support.int8_graphs import Int8Graph, parameters, random_int8

from keras_bnn import runtime
from keras_bnn.converter.bits import pack_signs
from keras_bnn.converter.custom_ops import ADD
from keras_bnn.converter.graph import Tensor
from keras_bnn.converter.quantization import per_tensor

SCALE, ZERO_POINT = float(np.float32(0.731)), -3
"""Of int8 outputs; sums are multiples of 1/32, so that no quotient is near a tie."""


def convolve(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A VALID convolution with float64 sums of numbers that float32 holds too."""
    rows, columns = weights.shape[1:3]
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (rows, columns), axis=(1, 2))
    return np.einsum("nyxcij,oijc->nyxo", windows, weights.astype(np.float64)) + bias


def to_int8(y: np.ndarray, scale: float = SCALE) -> np.ndarray:
    """The nearest step, halves away from 0."""
    quotient = y / scale
    steps = np.sign(quotient) * np.floor(np.abs(quotient) + 0.5)
    return np.clip(steps + ZERO_POINT, -128, 127).astype(np.int8)


def stored_bias(y: Tensor) -> np.ndarray:
    """What the int32 bias of an int8 convolution stands for."""
    bias = y.producer.input(2) if y.producer is not None else None
    assert bias is not None
    return bias.values * np.asarray(bias.record.quantization.scale)


def signs(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, -1.0, 1.0)


class TestIntegerConvolution:
    """CONV_2D of int8 signs with weights +-127, as the stock converter's full quantization writes it."""

    @pytest.mark.parametrize("zero_point", [0, 17, -100])
    @pytest.mark.parametrize("form", ["GREATER_EQUAL", "LESS"])
    def test_computes_the_float_expression(self, form: str, zero_point: int) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 6, 5, 35), 0.03, zero_point)
        weights, bias = graph.kernel((9, 3, 2, 35)), graph.bias(9)
        y = graph.int8_conv(graph.int8_sign(x, kind=form), weights, bias, scale=SCALE, zero_point=ZERO_POINT)
        expected_bias = stored_bias(y)
        source = graph.finish(y)
        packed, rewritten = rewrite(source)
        assert kinds(rewritten) == ["BnnQuantize", "BnnConv2D"]
        assert per_tensor(rewritten.outputs[0]) == (SCALE, ZERO_POINT)
        values = random_int8(x.dims)
        (result,) = run_packed(packed, [values])
        real = convolve(signs(values.astype(int) - zero_point), weights, expected_bias)
        np.testing.assert_array_equal(result, to_int8(real))
        assert len(np.unique(result)) > 20
        steps = result.astype(int) - run_file(source, [values])[0]
        assert np.abs(steps).max() <= 1  # its fixed-point multipliers round once more

    @pytest.mark.parametrize("high", [127, 126])
    def test_sign_of_any_symmetric_numbers(self, high: int) -> None:
        """The stock converter calibrates -1 to 1 to 255 steps, of which 0 is in the middle or next to it."""
        graph = Int8Graph()
        x = graph.int8_input((1, 4, 4, 8))
        sign = graph.int8_sign(x, scale=2 / 255, zero_point=high - 127, high=high)
        y = graph.int8_conv(sign, graph.kernel((3, 2, 2, 8)), graph.bias(3), scale=SCALE)
        assert kinds(rewrite(graph.finish(y))[1]) == ["BnnQuantize", "BnnConv2D"]

    def test_depthwise(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 6, 5, 35), 0.03, 17)
        signed = graph.int8_sign(x)
        weights, bias = graph.kernel((35, 3, 2)), graph.bias(35)
        alpha = np.abs(weights[:, 0, 0]).astype(np.float64)
        steps = np.round(bias / (alpha / 127**2)).astype(np.int32)
        kernel = np.moveaxis(np.where(weights < 0, -127, 127), 0, -1)[None].astype(np.int8)
        inputs = [
            signed,
            graph.add_constant("w", kernel, quantization=parameters(alpha / 127, axis=3)),
            graph.add_constant("b", steps, quantization=parameters(alpha / 127**2)),
        ]
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.strideH, options.strideW, options.depthMultiplier = VALID, 1, 1, 1
        options.dilationHFactor = options.dilationWFactor = 1
        y = graph.int8("y", (2, 4, 4, 35), SCALE, ZERO_POINT)
        graph.add_op("DEPTHWISE_CONV_2D", inputs, [y], options).version = 3
        source = graph.finish(y)
        packed, rewritten = rewrite(source)
        assert kinds(rewritten) == ["BnnQuantize", "BnnDepthwiseConv2D"]
        values = random_int8(x.dims)
        (result,) = run_packed(packed, [values])
        assert len(np.unique(result)) > 10
        assert np.abs(result.astype(int) - run_file(source, [values])[0]).max() <= 1  # it rounds once more

    @pytest.mark.parametrize("with_bias", [False, True])
    def test_transposed(self, with_bias: bool) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 4, 3, 35), 0.03, 17)
        signed = graph.int8_sign(x)
        weights, bias = graph.kernel((6, 3, 2, 35)), graph.bias(6)
        alpha = np.abs(weights[:, 0, 0, 0]).astype(np.float64)
        steps = np.round(bias / (alpha / 127**2)).astype(np.int32)
        kernel = np.where(weights < 0, -127, 127).astype(np.int8)
        inputs = [
            graph.integers([2, 8, 6, 6]),
            graph.add_constant("w", kernel, quantization=parameters(alpha / 127)),
            signed,
        ]
        if with_bias:
            inputs.append(graph.add_constant("b", steps, quantization=parameters(alpha / 127**2)))
        options = schema.TransposeConvOptionsT()
        options.padding, options.strideH, options.strideW = SAME, 2, 2
        y = graph.int8("y", (2, 8, 6, 6), SCALE, ZERO_POINT)
        graph.add_op("TRANSPOSE_CONV", inputs, [y], options).version = 3 if with_bias else 2
        source = graph.finish(y)
        packed, rewritten = rewrite(source)
        assert kinds(rewritten) == ["BnnQuantize", "BnnTransposeConv2D"]
        values = random_int8(x.dims)
        (result,) = run_packed(packed, [values])
        assert len(np.unique(result)) > 20
        assert np.abs(result.astype(int) - run_file(source, [values])[0]).max() <= 1  # it rounds once more

    def test_selection_of_other_numbers_is_no_sign(self) -> None:
        """0 and 1 in 255 steps: a Heaviside step, which has no bits of +1 and -1."""
        graph = Int8Graph()
        x = graph.int8_input((1, 4, 4, 8))
        step = graph.int8_sign(x, scale=1 / 255, zero_point=0, high=127)
        select = step.producer
        assert select is not None
        graph.set_input(select, 2, graph.add_constant("low", np.int8(0), quantization=parameters(1 / 255)))
        kernel = np.abs(graph.kernel((3, 2, 2, 8)))  # of one sign, so that it does not show to be binary
        y = graph.int8_conv(step, kernel, graph.bias(3), scale=SCALE)
        assert kinds(rewrite(graph.finish(y))[1]) == ["GREATER_EQUAL", "SELECT_V2", "CONV_2D"]

    def test_other_sizes_than_1_are_no_sign(self) -> None:
        """where(x >= 0, 0.5, -0.5)."""
        graph = Int8Graph()
        x = graph.int8_input((1, 4, 4, 8))
        halves = graph.int8_sign(x, scale=0.5 / 127)
        kernel = np.abs(graph.kernel((3, 2, 2, 8)))  # of one sign, so that it does not show to be binary
        y = graph.int8_conv(halves, kernel, graph.bias(3), scale=SCALE)
        assert kinds(rewrite(graph.finish(y))[1]) == ["GREATER_EQUAL", "SELECT_V2", "CONV_2D"]

    def test_kernel_that_the_runtime_transposes(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((1, 4, 4, 8))
        y = graph.int8_conv(graph.int8_sign(x), graph.kernel((3, 2, 2, 8), 0.5), graph.bias(3), scale=SCALE)
        conv = y.producer
        assert conv is not None
        kernel = conv.input(1)
        assert kernel is not None
        last = graph.add_constant("last", np.moveaxis(kernel.values, 0, -1), quantization=parameters(0.5 / 127))
        first = graph.int8("first", kernel.dims, 0.5 / 127)
        graph.add_op(
            "TRANSPOSE", [last, graph.integers([3, 0, 1, 2])], [first], schema.TransposeOptionsT(), before=conv
        )
        weights = kernel.values
        graph.set_input(conv, 1, first)
        packed = rewrite(graph.finish(y))[1]
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
        _, words, multiplier, *_ = only(packed, "BnnConv2D").inputs
        assert words is not None
        assert multiplier is not None
        np.testing.assert_array_equal(words.values, pack_signs(weights < 0))
        np.testing.assert_allclose(multiplier.values, 0.5, rtol=1e-6)

    def test_sign_reads_sums_that_int8_would_round_to_0(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 5, 8))
        weights, bias = graph.kernel((32, 2, 2, 8), 0.25), graph.bias(32) / 8
        sums = graph.int8_conv(graph.int8_sign(x), weights, bias, scale=0.5)
        expected_bias = stored_bias(sums)
        last = graph.kernel((4, 2, 2, 32))
        y = graph.int8_conv(graph.int8_sign(sums), last, np.zeros(4), scale=SCALE, zero_point=ZERO_POINT)
        packed, rewritten = rewrite(graph.finish(y))
        assert kinds(rewritten) == ["BnnQuantize", "BnnConv2D", "BnnConv2D"]
        values = random_int8(x.dims)
        real = convolve(signs(values), weights, expected_bias)
        assert np.count_nonzero((real < 0) & (real > -0.25)) > 10  # what int8 would round to 0
        np.testing.assert_array_equal(run_packed(packed, [values])[0], to_int8(convolve(signs(real), last, 0)))

    @pytest.mark.parametrize("place", ["before", "behind"])
    def test_pool_next_to_the_sign(self, place: str) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 6, 6, 8), 0.5, 4)
        window = graph.pool(x).producer
        assert window is not None
        graph.ops.remove(window)
        graph.tensors.remove(window.output)
        x.users.remove(window)
        y = graph.int8_sign(x) if place == "behind" else x
        y = graph.like("MAX_POOL_2D", [y], (2, 3, 3, 8), window.options)
        y = graph.int8_sign(y) if place == "before" else y
        weights = graph.kernel((5, 2, 2, 8))
        y = graph.int8_conv(y, weights, np.zeros(5), scale=SCALE, zero_point=ZERO_POINT)
        packed, rewritten = rewrite(graph.finish(y))
        assert kinds(rewritten) == ["BnnQuantize", "BnnMaxPool2D", "BnnConv2D"]
        values = random_int8(x.dims)
        pooled = values.reshape(2, 3, 2, 3, 2, 8).max(axis=(2, 4)).astype(int)
        np.testing.assert_array_equal(run_packed(packed, [values])[0], to_int8(convolve(signs(pooled - 4), weights, 0)))

    @pytest.mark.parametrize("pad", [0, 1, -1])
    def test_padding(self, pad: int) -> None:
        graph = Int8Graph()
        x = graph.int8_input((1, 4, 5, 8))
        amounts = graph.integers([[0, 0], [1, 1], [1, 1], [0, 0]])
        value = graph.add_constant("pad", np.int8(127 * pad), quantization=parameters(1 / 127))
        kind, options = ("PADV2", schema.PadV2OptionsT()) if pad else ("PAD", schema.PadOptionsT())
        sign = graph.int8_sign(x)
        padded = graph.like(kind, [sign, amounts, value][: 3 if pad else 2], (1, 6, 7, 8), options)
        weights = graph.kernel((5, 3, 3, 8))
        y = graph.int8_conv(padded, weights, np.zeros(5), scale=SCALE, zero_point=ZERO_POINT)
        packed, rewritten = rewrite(graph.finish(y))
        assert kinds(rewritten) == ["BnnQuantize", "BnnConv2D"]
        values = random_int8(x.dims)
        image = np.pad(signs(values), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=pad)
        np.testing.assert_array_equal(run_packed(packed, [values])[0], to_int8(convolve(image, weights, 0)))

    def test_first_layer_reads_int8(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 5, 3), 0.25, 9)
        weights, bias = graph.kernel((7, 3, 3, 3)), graph.bias(7)
        y = graph.int8_conv(x, weights, bias, scale=SCALE, zero_point=ZERO_POINT)
        expected_bias = stored_bias(y)
        packed, rewritten = rewrite(graph.finish(y))
        assert kinds(rewritten) == ["BnnConv2D"]
        values = random_int8(x.dims)
        real = convolve((values.astype(int) - 9) * 0.25, weights, expected_bias)
        np.testing.assert_array_equal(run_packed(packed, [values])[0], to_int8(real))

    def test_weights_with_zero_point_stay(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((1, 4, 4, 8))
        y = graph.int8_conv(graph.int8_sign(x), graph.kernel((3, 2, 2, 8)), graph.bias(3), scale=SCALE)
        weights = y.producer.input(1) if y.producer is not None else None
        assert weights is not None
        weights.record.quantization.zeroPoint = [1, 1, 1]
        assert "BnnConv2D" not in kinds(rewrite(graph.finish(y))[1])


class TestOtherQuantizations:
    """Files in which only constants are quantized."""

    def test_dynamic_range(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 6, 16))
        weights = graph.kernel((4, 3, 3, 16), [0.5, 1, 2, 0.25])
        y = graph.conv(graph.sign(x), weights, graph.bias(4))
        source = graph.finish(y)
        integers = np.where(weights < 0, -127, 127).astype(np.int8)
        scales = parameters(np.abs(weights[:, 0, 0, 0]) / 127)
        graph.set_input(only(graph, "CONV_2D"), 1, graph.add_constant("int8", integers, quantization=scales))
        packed, rewritten = rewrite(graph.finish(y))
        assert kinds(rewritten) == ["BnnQuantize", "BnnConv2D"]
        values = random_input(x.dims)
        result, expected = run_packed(packed, [values])[0], run_file(source, [values])[0]
        np.testing.assert_allclose(result, expected, rtol=1e-6)  # 127 * float32(alpha / 127) is alpha to 1 ulp

    def test_float16(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 6, 3))

        def half(values: object) -> object:
            constant = graph.add_constant(f"half_{len(graph.tensors)}", np.asarray(values, np.float16))
            return graph.op("DEQUANTIZE", [constant], constant.dims, schema.DequantizeOptionsT())

        zero, plus, minus = (half(value) for value in (0, 1, -1))
        condition = graph.compare("LESS", x, zero)
        sign = graph.op("SELECT_V2", [condition, minus, plus], x.dims)
        weights, bias = graph.kernel((4, 3, 3, 3)), graph.bias(4)
        y = graph.conv(sign, weights, bias)
        conv = graph.ops[-1]
        graph.ops.remove(conv)
        inputs = [sign, half(weights), half(bias)]
        graph.ops.append(conv)
        graph.morph(conv, "CONV_2D", inputs, conv.options)
        assert kinds(rewrite_and_compare(graph.finish(y), random_input(x.dims))) == ["BnnQuantize", "BnnConv2D"]


class TestReadInt8:
    """Packed ops in place of DEQUANTIZE."""

    @pytest.mark.parametrize("zero_point", [0, -20])
    def test_sign(self, zero_point: int) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 5, 40), 0.1, zero_point)
        y = graph.conv(graph.sign(graph.dequantize(x)), graph.kernel((6, 3, 3, 40)), graph.bias(6))
        assert kinds(rewrite_and_compare(graph.finish(y), random_int8(x.dims))) == ["BnnQuantize", "BnnConv2D"]

    @pytest.mark.parametrize("activation", [0, RELU])
    @pytest.mark.parametrize("padding", [SAME, 1])
    def test_first_layer(self, padding: int, activation: int) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 6, 3), 0.5, 7)
        y = graph.conv(
            graph.dequantize(x), graph.kernel((6, 3, 3, 3)), graph.bias(6), padding=padding, activation=activation
        )
        rewritten = rewrite_and_compare(graph.finish(y), random_int8(x.dims))
        assert kinds(rewritten) == ["BnnConv2D"]
        assert only(rewritten, "BnnConv2D").input(0) is rewritten.inputs[0]

    def test_first_layer_with_sign_has_thresholds(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 6, 3), 0.5, 7)
        sums = graph.conv(graph.dequantize(x), graph.kernel((40, 3, 3, 3)), graph.bias(40))
        y = graph.conv(graph.sign(sums), graph.kernel((4, 2, 2, 40)))
        rewritten = rewrite_and_compare(graph.finish(y), random_int8(x.dims))
        assert [len(op.inputs) for op in rewritten.ops] == [3, 4]

    def test_uint8_behind_a_shift(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 6, 3), 0.5, 128, np.uint8)
        shifted = graph.quantize(x, 0.5, 0)
        y = graph.conv(graph.dequantize(shifted), graph.kernel((6, 3, 3, 3)), graph.bias(6))
        values = np.random.default_rng(2).integers(0, 256, x.dims).astype(np.uint8)
        assert kinds(rewrite_and_compare(graph.finish(y), values)) == ["BnnConv2D"]

    def test_uint8_of_another_scale_stays(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 6, 3), 0.5, 128, np.uint8)
        y = graph.conv(graph.dequantize(graph.quantize(x, 0.25, 0)), graph.kernel((6, 3, 3, 3)), graph.bias(6))
        assert kinds(rewrite(graph.finish(y))[1]) == ["QUANTIZE", "BnnConv2D"]

    def test_padding_by_1_stays_float32(self) -> None:
        """An integer first layer pads with 0 only."""
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 6, 3), 0.5, 7)
        padded = graph.pad(graph.dequantize(x), [[0, 0], [1, 1], [1, 1], [0, 0]], 1.0)
        rewritten = rewrite_and_compare(
            graph.finish(graph.conv(padded, graph.kernel((6, 3, 3, 3)))), random_int8(x.dims), numpy_reference=False
        )
        assert kinds(rewritten) == ["DEQUANTIZE", "BnnConv2D"]

    def test_limit_before_the_scale_stays_float32(self) -> None:
        """ReLU6 of a sum of steps is another limit than of the sum itself."""
        graph = Int8Graph()
        x = graph.int8_input((2, 5, 6, 3), 0.5, 7)
        sums = graph.conv(graph.dequantize(x), graph.kernel((6, 3, 3, 3), 1.0), activation=RELU6)
        y = graph.scale(sums, [0.5, 1, 2, 3, 4, 5])
        rewritten = rewrite_and_compare(graph.finish(y), random_int8(x.dims), numpy_reference=False)
        assert kinds(rewritten) == ["DEQUANTIZE", "BnnConv2D"]

    @pytest.mark.parametrize(("words", "expected"), [(1 << 17, []), ((1 << 17) + 1, ["DEQUANTIZE"])])
    def test_sums_that_32_bits_may_not_hold_stay_float32(self, words: int, expected: list[str]) -> None:
        graph = Int8Graph()
        x = graph.int8_input((1, 32 * words), 0.5, 7)
        y = graph.add_tensor("y", (1, 2))
        ones = graph.add_constant("ones", np.ones(2, np.float32))
        weights = graph.add_constant("weights", np.zeros((2, words), np.int32))
        options = {"channels_in": 32 * words, "activation": 0, "pre_activation": 0}
        graph.add_op("BnnFullyConnected", [graph.dequantize(x), weights, ones, ones], [y], options)
        assert kinds(rewrite(graph.finish(y))[1]) == [*expected, "BnnFullyConnected"]

    def test_operand_of_a_step(self) -> None:
        graph = Int8Graph()
        bits = graph.add_input("bits", (2, 4, 4, 1), np.int32)
        shortcut = graph.int8_input((2, 4, 4, 6), 0.3, 5)
        kernel = graph.kernel((6, 1, 1, 20), 1.0)
        weights = graph.add_constant("w", pack_signs(kernel < 0))
        bias = graph.bias(6)
        inputs = [bits, weights, graph.constant(np.ones(6)), graph.constant(bias), graph.dequantize(shortcut)]
        y = graph.op("BnnConv2D", inputs, (2, 4, 4, 6), {"channels_in": 20, "padding": 1, "steps": ADD})
        packed, rewritten = rewrite(graph.finish(y))
        assert kinds(rewritten) == ["BnnConv2D"]
        negative, steps = graph.rng.random((2, 4, 4, 20)) < 0.5, random_int8(shortcut.dims)
        sums = convolve(np.where(negative, -1, 1), kernel, bias).astype(np.float32)
        expected = sums + (steps.astype(np.float32) - 5) * np.float32(0.3)
        np.testing.assert_array_equal(run_packed(packed, [pack_signs(negative), steps])[0], expected)

    def test_shape(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((-1, 2, 2, 8))
        sign = graph.sign(graph.flatten(graph.dequantize(x)))
        rewritten = rewrite_and_compare(
            graph.finish(graph.dense(sign, graph.kernel((3, 32)))), random_int8((3, 2, 2, 8)), numpy_reference=False
        )
        assert "DEQUANTIZE" not in kinds(rewritten)


class TestWriteInt8:
    """Packed ops in place of QUANTIZE."""

    def test_convolution(self) -> None:
        graph = Int8Graph()
        x = graph.add_input("x", (2, 5, 5, 40))
        weights, bias = graph.kernel((6, 3, 3, 40)), graph.bias(6)
        y = graph.quantize(graph.conv(graph.sign(x), weights, bias), 0.75, ZERO_POINT)
        packed, rewritten = rewrite(graph.finish(y))
        assert kinds(rewritten) == ["BnnQuantize", "BnnConv2D"]
        values = random_input(x.dims)
        (result,) = run_packed(packed, [values])
        real = convolve(signs(values), weights, bias)
        assert np.count_nonzero(real / 0.75 % 1 == 0.5) > 10  # ties
        np.testing.assert_array_equal(result, to_int8(real, 0.75))

    def test_float_value_survives_for_other_users(self) -> None:
        graph = Int8Graph()
        x = graph.add_input("x", (2, 5, 5, 40))
        sums = graph.conv(graph.sign(x), graph.kernel((6, 3, 3, 40)), graph.bias(6))
        rewritten = rewrite(graph.finish(graph.quantize(sums, SCALE), sums))[1]
        assert kinds(rewritten) == ["BnnQuantize", "BnnConv2D", "QUANTIZE"]

    def test_uint8_stays(self) -> None:
        graph = Int8Graph()
        x = graph.add_input("x", (2, 5, 5, 40))
        sums = graph.conv(graph.sign(x), graph.kernel((6, 3, 3, 40)), graph.bias(6))
        rewritten = rewrite(graph.finish(graph.quantize(sums, SCALE, 128, np.uint8)))[1]
        assert kinds(rewritten) == ["BnnQuantize", "BnnConv2D", "QUANTIZE"]

    def test_signs(self) -> None:
        graph = Int8Graph()
        x = graph.add_input("x", (2, 5, 5, 40))
        sign = graph.sign(x)
        y = graph.conv(sign, graph.kernel((6, 3, 3, 40)))
        packed, rewritten = rewrite(graph.finish(graph.quantize(sign, 1 / 127), y))
        assert kinds(rewritten) == ["BnnQuantize", "BnnDequantize", "BnnConv2D"]
        values = random_input(x.dims)
        np.testing.assert_array_equal(run_packed(packed, [values])[0], 127 * signs(values))

    def test_beside_bits(self) -> None:
        """An op with two outputs keeps the bits, which are those of the float32 value."""
        graph = Int8Graph()
        bits = graph.add_input("bits", (2, 4, 4, 1), np.int32)
        kernel = graph.kernel((6, 1, 1, 20), 1.0)
        weights = graph.add_constant("w", pack_signs(kernel < 0))
        y, signs_of_y = graph.add_tensor("y", (2, 4, 4, 6)), graph.add_tensor("signs", (2, 4, 4, 1), np.int32)
        bias = graph.bias(6) / 4
        inputs = [bits, weights, graph.constant(np.full(6, 0.25)), graph.constant(bias)]
        graph.add_op("BnnConv2D", inputs, [y, signs_of_y], {"channels_in": 20, "padding": 1})
        packed, rewritten = rewrite(graph.finish(graph.quantize(y, SCALE, ZERO_POINT), signs_of_y))
        assert kinds(rewritten) == ["BnnConv2D"]
        negative = graph.rng.random((2, 4, 4, 20)) < 0.5
        real = convolve(np.where(negative, -1, 1), kernel, 0) * 0.25 + bias
        result, packed_signs = run_packed(packed, [pack_signs(negative)])
        np.testing.assert_array_equal(result, to_int8(real))
        np.testing.assert_array_equal(packed_signs, pack_signs(real < 0))
        assert np.count_nonzero((real < 0) & (result == ZERO_POINT)) > 0


def test_batch_of_1_behind_quantize() -> None:
    """ai-edge-quantizer writes the shape of QUANTIZE and DEQUANTIZE without the free batch."""
    graph = Int8Graph()
    x = graph.int8_input((-1, 4, 4, 8))
    floats = graph.dequantize(x)
    sign = graph.sign(floats)
    y = graph.conv(sign, graph.kernel((3, 2, 2, 8)))
    floats.record.shapeSignature = None
    assert floats.dims == (1, 4, 4, 8)
    assert kinds(rewrite_and_compare(graph.finish(y), random_int8((3, 4, 4, 8)))) == ["BnnQuantize", "BnnConv2D"]


def test_sign_moves_in_front_of_an_int8_pool() -> None:
    graph = Int8Graph()
    x = graph.int8_input((2, 6, 6, 8), 0.5, 4)
    options = schema.Pool2DOptionsT()
    options.padding, options.filterHeight, options.filterWidth, options.strideH, options.strideW = 1, 2, 2, 2, 2
    pooled = graph.like("MAX_POOL_2D", [x], (2, 3, 3, 8), options)
    y = graph.conv(graph.sign(graph.dequantize(pooled)), graph.kernel((5, 2, 2, 8)))
    rewritten = rewrite_and_compare(graph.finish(y), random_int8(x.dims))
    assert kinds(rewritten) == ["BnnQuantize", "BnnMaxPool2D", "BnnConv2D"]
    assert runtime.Interpreter(graph.finish(y)).predict(random_int8(x.dims)).shape == (2, 2, 2, 5)
