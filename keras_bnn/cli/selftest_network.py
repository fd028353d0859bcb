"""A network that is written to a packed file op by op, together with what each op must give in plain arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from flatbuffers import flexbuffers
from numpy.lib.stride_tricks import sliding_window_view

from keras_bnn.cli.selftest_file import SCALE, ZERO_POINT, File, Op, Tensor
from keras_bnn.converter.bits import pack_signs, words_for
from keras_bnn.converter.custom_ops import ADD, EXPLICIT, PRELU, SAME, VALID, encode_options, with_steps
from keras_bnn.runtime import Interpreter

SLOPE = 0.25


class Value(NamedTuple):
    """A tensor of the file, and the numbers that it must hold: +1 and -1 for packed bits, q - ZERO_POINT for int8."""

    tensor: Tensor
    plain: np.ndarray


class Network:
    """A network with one method for each op. Its numbers are integers over small powers of two: nothing is rounded.

    Args:
        rng: Source of all weights.
        x: What the network is fed, [samples, ...].

    Attributes:
        file: The file.
        x: What the network is fed.
    """

    def __init__(self, rng: np.random.Generator, x: np.ndarray) -> None:
        self._rng = rng
        self._x = x
        self.file = File()
        self._outputs: list[Value] = []
        self.x = Value(self._tensor(x.shape, x.dtype), x.astype(np.float64) - (ZERO_POINT if x.itemsize == 1 else 0))
        self.file.inputs.append(self.x.tensor)

    def output(self, value: Value) -> None:
        """Makes a tensor of numbers an output of the file."""
        self._outputs.append(value)
        self.file.outputs.append(value.tensor)

    def mistakes(self, isa: str) -> int:
        """Returns how many numbers of the outputs are wrong on a kernel set."""
        found = Interpreter(self.file.write(), isa=isa).predict(self._x)
        outputs = found if isinstance(found, list) else [found]
        differences = [
            np.count_nonzero(y.astype(np.float64) - (ZERO_POINT if y.itemsize == 1 else 0) != plain)
            for y, (_, plain) in zip(outputs, self._outputs, strict=True)
        ]
        return int(sum(differences))

    def quantize(self, x: Value) -> Value:
        """Adds BnnQuantize."""
        return self._bits("BnnQuantize", [x.tensor], np.where(x.plain < 0, -1, 1), encode_options("BnnQuantize", {}))

    def dequantize(self, x: Value, dtype: type = np.float32) -> Value:
        """Adds BnnDequantize."""
        options = encode_options("BnnDequantize", {"channels": x.plain.shape[-1]})
        return self._numbers("BnnDequantize", [x.tensor], x.plain, options, dtype)

    def max_pool2d(self, x: Value) -> Value:
        """Adds BnnMaxPool2D of 2x2 pixels."""
        options = {"window_h": 2, "window_w": 2, "stride_h": 2, "stride_w": 2, "padding": VALID}
        return self._bits("BnnMaxPool2D", [x.tensor], _pool(x.plain), encode_options("BnnMaxPool2D", options))

    def conv2d(self, x: Value, filters: int, stride: int = 1, pad_value: int = 0, **after: Any) -> list[Value]:
        """Adds BnnConv2D of 3x3 pixels, with one pixel around the image."""
        kernel = self._signs(filters, 3, 3, x.plain.shape[-1])
        pads = dict.fromkeys(("pad_top", "pad_bottom", "pad_left", "pad_right"), 1)
        options = {"stride_h": stride, "stride_w": stride, "padding": EXPLICIT, "pad_value": pad_value, **pads}
        sums = _convolve(x.plain, kernel, pad_value)[:, ::stride, ::stride]
        return self._layer("BnnConv2D", x, pack_signs(kernel < 0), sums, options, **after)

    def depthwise_conv2d(self, x: Value, pad_value: int = 0, **after: Any) -> list[Value]:
        """Adds BnnDepthwiseConv2D of 3x3 pixels."""
        kernel = self._signs(3, 3, x.plain.shape[-1])
        sums = np.einsum("nyxchw,hwc->nyxc", _windows(x.plain, pad_value), kernel)
        options = {"padding": SAME, "pad_value": pad_value}
        return self._layer("BnnDepthwiseConv2D", x, pack_signs(kernel < 0), sums, options, **after)

    def transpose_conv2d(self, x: Value, filters: int, stride: int, **after: Any) -> list[Value]:
        """Adds BnnTransposeConv2D of 3x3 pixels."""
        kernel = self._signs(filters, 3, 3, x.plain.shape[-1])
        height, width = ((size - 1) * stride + 1 for size in x.plain.shape[1:3])
        sums = np.zeros((len(x.plain), height + 2, width + 2, filters))
        for i, j in np.ndindex(3, 3):
            sums[:, i : i + height : stride, j : j + width : stride] += x.plain @ kernel[:, i, j].T
        options = {"stride_h": stride, "stride_w": stride}
        return self._layer("BnnTransposeConv2D", x, pack_signs(kernel < 0), sums, options, **after)

    def fully_connected(self, x: Value, units: int, **after: Any) -> list[Value]:
        """Adds BnnFullyConnected, which flattens x."""
        kernel = self._signs(units, *x.plain.shape[1:])
        sums = np.einsum("n...,o...->no", x.plain, kernel, optimize=True)
        weights = pack_signs(kernel < 0).reshape(units, -1)
        return self._layer("BnnFullyConnected", x, weights, sums, {"channels_in": kernel[0].size}, **after)

    def lce_quantize(self, x: Value) -> Value:
        """Adds LceQuantize."""
        return self._bits("LceQuantize", [x.tensor], np.where(x.plain < 0, -1, 1), b"")

    def lce_dequantize(self, x: Value) -> Value:
        """Adds LceDequantize."""
        return self._numbers("LceDequantize", [x.tensor], x.plain, b"")

    def lce_max_pool2d(self, x: Value) -> Value:
        """Adds LceBMaxPool2d of 2x2 pixels."""
        options = {"filter_height": 2, "filter_width": 2, "stride_height": 2, "stride_width": 2, "padding": VALID}
        return self._bits("LceBMaxPool2d", [x.tensor], _pool(x.plain), _larq(options))

    def lce_conv2d(self, x: Value, filters: int, as_bits: bool) -> Value:
        """Adds LceBconv2d of 3x3 pixels, with +1 around the image."""
        channels = x.plain.shape[-1]
        kernel = self._signs(filters, 3, 3, channels)
        sums = _convolve(x.plain, kernel, 1)
        options = {"channels_in": channels, "dilation_height_factor": 1, "dilation_width_factor": 1, "padding": SAME}
        options |= {"fused_activation_function": 0, "pad_values": 1, "stride_height": 1, "stride_width": 1}
        inputs = [x.tensor, self._constant(pack_signs(kernel < 0))]
        if as_bits:
            most = (9 * channels // 2 + self._rng.integers(-5, 6, filters)).astype(np.int32)  # that may differ
            signs = np.where((9 * channels - sums) / 2 > most, -1, 1)
            return self._bits("LceBconv2d", [*inputs, None, None, self._constant(most)], signs, _larq(options))
        multiplier, bias, y = self._scaled(sums)
        return self._numbers("LceBconv2d", [*inputs, multiplier, bias, None], y, _larq(options))

    def _layer(
        self,
        kind: str,
        x: Value,
        weights: np.ndarray,
        sums: np.ndarray,
        options: dict[str, int],
        *,
        thresholds: bool = False,
        shortcut: Value | None = None,
        dtype: type | None = None,
        bits: bool = False,
    ) -> list[Value]:
        """Adds a layer with what follows its sums: thresholds; or a multiplier, a bias, a shortcut with PReLU behind.

        Then y is given as numbers of `dtype`, or as bits, or as both.
        """
        options = {"channels_in": x.plain.shape[-1], **options}
        inputs = [x.tensor, self._constant(weights)]
        if thresholds:
            limits = self._rng.integers(-9, 10, sums.shape[-1:]).astype(np.int32)
            signs = np.where(sums < limits, -1, 1)
            return [self._bits(kind, [*inputs, self._constant(limits)], signs, encode_options(kind, options))]
        multiplier, bias, y = self._scaled(sums)
        inputs += [multiplier, bias]
        if shortcut is not None:
            y = y + shortcut.plain
            y = np.where(y < 0, y * SLOPE, y)
            inputs += [shortcut.tensor, self._constant(np.full(y.shape[-1], SLOPE, np.float32))]
            options = with_steps(options, [ADD, PRELU])
        values = []
        if dtype is not None:
            values.append(Value(self._tensor(y.shape, dtype), _stored(y, dtype)))
        if bits:
            values.append(self._packed(np.where(y < 0, -1, 1)))
        self._op(kind, inputs, values, encode_options(kind, options))
        return values

    def _scaled(self, sums: np.ndarray) -> tuple[Tensor, Tensor, np.ndarray]:
        """Returns a multiplier and a bias for each channel, and sums * multiplier + bias."""
        multiplier = self._rng.choice([-0.5, 0.25, 1.5], sums.shape[-1:]).astype(np.float32)
        bias = self._rng.integers(-9, 10, sums.shape[-1:]).astype(np.float32)
        return self._constant(multiplier), self._constant(bias), sums * multiplier + bias

    def _signs(self, *shape: int) -> np.ndarray:
        return self._rng.choice([-1, 1], shape)

    def _bits(self, kind: str, inputs: Sequence[Tensor | None], signs: np.ndarray, options: bytes) -> Value:
        value = self._packed(signs)
        self._op(kind, inputs, [value], options)
        return value

    def _numbers(
        self, kind: str, inputs: Sequence[Tensor | None], y: np.ndarray, options: bytes, dtype: type = np.float32
    ) -> Value:
        value = Value(self._tensor(y.shape, dtype), _stored(y, dtype))
        self._op(kind, inputs, [value], options)
        return value

    def _packed(self, signs: np.ndarray) -> Value:
        return Value(self._tensor((*signs.shape[:-1], words_for(signs.shape[-1])), np.int32), signs)

    def _tensor(self, shape: Sequence[int], dtype: Any) -> Tensor:
        return self.file.add_tensor(shape, dtype)

    def _constant(self, values: np.ndarray) -> Tensor:
        return self.file.add_tensor(values.shape, values.dtype, values)

    def _op(self, kind: str, inputs: Sequence[Tensor | None], values: Sequence[Value], options: bytes) -> None:
        self.file.ops.append(Op(kind, inputs, [value.tensor for value in values], options))


def _windows(x: np.ndarray, pad_value: int) -> np.ndarray:
    """The 3x3 pixels around each pixel, [samples, height, width, channels, 3, 3]."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=pad_value)
    return sliding_window_view(padded, (3, 3), axis=(1, 2))


def _convolve(x: np.ndarray, kernel: np.ndarray, pad_value: int) -> np.ndarray:
    return np.einsum("nyxchw,ohwc->nyxo", _windows(x, pad_value), kernel, optimize=True)


def _pool(x: np.ndarray) -> np.ndarray:
    samples, height, width, channels = x.shape
    return x.reshape(samples, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def _stored(y: np.ndarray, dtype: type) -> np.ndarray:
    """What y is stored as, less the zero point: halves are rounded away from 0."""
    if dtype is np.float32:
        return y
    return (np.sign(y) * np.floor(np.abs(y) / SCALE + 0.5)).clip(-128 - ZERO_POINT, 127 - ZERO_POINT)


def _larq(options: dict[str, int]) -> bytes:
    return bytes(flexbuffers.Dumps(options))
