"""Quantized graphs as the stock converter and ai-edge-quantizer write them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_bnn.converter.graph import Tensor

from .float_graphs import NONE, VALID, FloatGraph


def parameters(scales: float | Sequence[float], zero_point: int = 0, axis: int = 0) -> schema.QuantizationParametersT:
    """The schema's record of a scale, or of one per channel."""
    record = schema.QuantizationParametersT()
    record.scale = np.atleast_1d(scales).tolist()
    record.zeroPoint = [zero_point] * len(record.scale)
    record.quantizedDimension = axis
    return record


class Int8Graph(FloatGraph):
    """A graph whose tensors may be int8."""

    def int8(self, name: str, dims: Sequence[int], scale: float, zero_point: int = 0, dtype: type = np.int8) -> Tensor:
        """Adds a quantized tensor without producer."""
        return self.add_tensor(name, dims, dtype, quantization=parameters(scale, zero_point))

    def int8_input(
        self, dims: Sequence[int], scale: float = 0.25, zero_point: int = 0, dtype: type = np.int8
    ) -> Tensor:
        """Adds a quantized input."""
        tensor = self.int8("x", dims, scale, zero_point, dtype)
        self.inputs.append(tensor)
        return tensor

    def like(self, kind: str, inputs: Sequence[Tensor | None], dims: Sequence[int], options: object = None) -> Tensor:
        """Adds an op whose output is quantized as its first input is."""
        x = inputs[0]
        assert x is not None
        name = f"{kind.lower()}_{len(self.ops)}"
        output = self.add_tensor(name, dims, np.int8, quantization=copy.copy(x.record.quantization))
        self.add_op(kind, inputs, [output], options).version = 2
        return output

    def quantize(self, x: Tensor, scale: float, zero_point: int = 0, dtype: type = np.int8) -> Tensor:
        """Adds QUANTIZE."""
        output = self.int8(f"quantize_{len(self.ops)}", x.dims, scale, zero_point, dtype)
        self.add_op("QUANTIZE", [x], [output], schema.QuantizeOptionsT())
        return output

    def dequantize(self, x: Tensor) -> Tensor:
        """Adds DEQUANTIZE."""
        return self.op("DEQUANTIZE", [x], x.dims, schema.DequantizeOptionsT())

    def int8_sign(
        self, x: Tensor, *, kind: str = "GREATER_EQUAL", scale: float = 1 / 127, zero_point: int = 0, high: int = 127
    ) -> Tensor:
        """Adds a comparison with the int8 number 0 and SELECT_V2 of two int8 numbers, of which `high` is above."""
        zero = self.add_constant(f"zero_{len(self.ops)}", np.int8(0), quantization=parameters(1e-6 / 255))
        condition = self.compare(kind, x, zero)
        self.ops[-1].version = 2
        values = [
            self.add_constant(f"sign_{len(self.tensors)}", np.int8(value), quantization=parameters(scale, zero_point))
            for value in (high, 2 * zero_point - high)
        ]
        output = self.int8(f"sign_{len(self.ops)}", x.dims, scale, zero_point)
        self.add_op("SELECT_V2", [condition, *(values[::-1] if kind == "LESS" else values)], [output])
        return output

    def int8_conv(
        self,
        x: Tensor,
        weights: np.ndarray,
        bias: np.ndarray,
        *,
        scale: float,
        zero_point: int = 0,
        padding: int = VALID,
        activation: int = NONE,
    ) -> Tensor:
        """Adds CONV_2D with int8 weights +-127 and int32 bias, from float weights +-alpha `[O, kh, kw, I]` and bias."""
        y = self.conv(x, weights, bias, padding=padding, activation=activation)
        conv = y.producer
        assert conv is not None
        alpha = np.abs(weights[:, 0, 0, 0]).astype(np.float64)
        input_scale = float(x.record.quantization.scale[0])
        bias_scales = input_scale * alpha / 127
        number = len(self.tensors)
        signs = np.where(weights < 0, -127, 127).astype(np.int8)
        steps = np.round(bias / bias_scales).astype(np.int32)
        self.set_input(conv, 1, self.add_constant(f"w_{number}", signs, quantization=parameters(alpha / 127)))
        self.set_input(conv, 2, self.add_constant(f"b_{number}", steps, quantization=parameters(bias_scales)))
        conv.version = 3
        output = self.int8(f"int8_{number}", y.dims, scale, zero_point)
        self.release(conv, output)
        self.tensors.remove(y)
        return output


def random_int8(dims: Sequence[int], seed: int = 1) -> np.ndarray:
    """Random numbers of the whole range."""
    return np.random.default_rng(seed).integers(-128, 128, dims).astype(np.int8)
