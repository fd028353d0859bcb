"""Whole files as Larq Compute Engine writes them, with random weights, and their outputs in plain numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from format_reference import bnn_max_pool_2d, pack, unpack

from keras_bnn.converter.flatbuffer import read_model
from keras_bnn.converter.graph import Op, Tensor
from support.float_graphs import FloatGraph
from support.lce import NONE, SAME, VALID, conv_options, differing_bits, outputs_of_sums, to_int8

Array = np.ndarray


def quantization(scale: float, zero_point: int) -> schema.QuantizationParametersT:
    """Scale and zero point of a whole tensor."""
    record = schema.QuantizationParametersT()
    record.scale, record.zeroPoint = [scale], [zero_point]
    return record


class RandomLceGraph(FloatGraph):
    """A graph with one method for each custom op of Larq Compute Engine."""

    def lce(
        self,
        kind: str,
        inputs: Sequence[Tensor | None],
        dims: Sequence[int],
        dtype: type = np.int32,
        options: dict[str, int] | None = None,
        int8: tuple[float, int] | None = None,
    ) -> Tensor:
        """Adds any of the ops; `int8` is scale and zero point of the output."""
        output = self.add_tensor(
            f"{kind.lower()}_{len(self.ops)}", dims, dtype, quantization=None if int8 is None else quantization(*int8)
        )
        data = None if options is None else np.frombuffer(bytes(flexbuffers.Dumps(options)), np.uint8)
        self.add_op(kind, inputs, [output], data)
        return output

    def lce_quantize(self, x: Tensor) -> Tensor:
        """Adds LceQuantize."""
        return self.lce("LceQuantize", [x], (*x.dims[:-1], -(-x.dims[-1] // 32)))

    def lce_conv(
        self,
        x: Tensor,
        channels_in: int,
        outputs: int,
        kernel: tuple[int, int] = (3, 3),
        *,
        groups: int = 1,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = SAME,
        pad_values: int = 0,
        activation: int = NONE,
        multiplier: Array | None = None,
        bias: Array | None = None,
        thresholds: Array | None = None,
        int8: tuple[float, int] | None = None,
    ) -> Tensor:
        """Adds LceBconv2d with random weights; it gives bits when there are thresholds, else int8 or float32."""
        weights = pack(self.kernel((outputs, *kernel, channels_in // groups)))
        size = []
        for axis in (0, 1):
            length, reach = x.dims[1 + axis], (kernel[axis] - 1) * dilation[axis]
            size.append(-(-(length if padding == SAME else length - reach) // stride[axis]))
        options = conv_options(
            channels_in,
            dilation_height_factor=dilation[0],
            dilation_width_factor=dilation[1],
            fused_activation_function=activation,
            pad_values=pad_values,
            padding=padding,
            stride_height=stride[0],
            stride_width=stride[1],
        )
        constants = [None if values is None else self.constant(values) for values in (multiplier, bias, thresholds)]
        last = outputs if thresholds is None else -(-outputs // 32)
        dtype = np.int32 if thresholds is not None else np.float32 if int8 is None else np.int8
        inputs = [x, self.constant(weights), *constants]
        return self.lce("LceBconv2d", inputs, (x.dims[0], *size, last), dtype, options, int8)

    def lce_pool(
        self, x: Tensor, window: tuple[int, int] = (2, 2), stride: tuple[int, int] = (2, 2), padding: int = VALID
    ) -> Tensor:
        """Adds LceBMaxPool2d."""
        size = [
            -(-(x.dims[1 + axis] if padding == SAME else x.dims[1 + axis] - window[axis] + 1) // stride[axis])
            for axis in (0, 1)
        ]
        options = {
            "filter_height": window[0],
            "filter_width": window[1],
            "padding": padding,
            "stride_height": stride[0],
            "stride_width": stride[1],
        }
        return self.lce("LceBMaxPool2d", [x], (x.dims[0], *size, x.dims[3]), options=options)

    def powers_of_two(self, channels: int) -> Array:
        """Multipliers of both signs with which no product is rounded."""
        return (2.0 ** self.rng.integers(-3, 3, channels) * self.rng.choice([-1, 1], channels)).astype(np.float32)


def run_lce(model: bytes, inputs: Sequence[Array]) -> list[Array]:
    """Evaluates a file that holds nothing but the custom ops of Larq Compute Engine."""
    (graph,) = read_model(model).graphs
    values = dict(zip(graph.inputs, inputs, strict=True))
    for op in graph.ops:
        arguments = [None if tensor is None else values.get(tensor, _constant(tensor)) for tensor in op.inputs]
        values[op.output] = _EVALUATE[op.kind](op, *arguments)
    return [values[tensor] for tensor in graph.outputs]


def _constant(tensor: Tensor) -> Array | None:
    return tensor.values if tensor.is_constant else None


def _quantization(tensor: Tensor) -> tuple[float, int]:
    record = tensor.record.quantization
    return float(record.scale[0]), int(record.zeroPoint[0])


def _options(op: Op) -> dict[str, int]:
    return flexbuffers.Loads(bytes(op.options))


def _quantize(op: Op, x: Array) -> Array:
    if x.dtype == np.bool_:
        return pack(np.where(x, 1, -1))
    tensor = op.input(0)
    assert tensor is not None
    return pack(x.astype(np.int32) - _quantization(tensor)[1] if x.dtype == np.int8 else x)


def _dequantize(op: Op, x: Array) -> Array:
    signs = unpack(x, op.output.dims[-1])
    if op.output.type_name == "bool":
        return signs > 0
    if op.output.type_name == "float32":
        return signs.astype(np.float32)
    scale, zero_point = _quantization(op.output)
    one = np.floor(1 / np.float32(scale) + np.float32(0.5))
    return (zero_point + signs * one).clip(-128, 127).astype(np.int8)


def _max_pool(op: Op, x: Array) -> Array:
    options = _options(op)
    return bnn_max_pool_2d(
        x,
        version=1,
        window_h=options["filter_height"],
        window_w=options["filter_width"],
        stride_h=options["stride_height"],
        stride_w=options["stride_width"],
        padding=options["padding"],
    )


def _convolution(
    op: Op, x: Array, weights: Array, multiplier: Array | None, bias: Array | None, thresholds: Array | None
) -> Array:
    options = _options(op)
    channels, groups = options["channels_in"], x.shape[3] // weights.shape[3]
    differing, pairs = differing_bits(unpack(x, channels), unpack(weights, channels // groups), options)
    if op.output.type_name == "int32":
        assert thresholds is not None
        return pack(np.where(differing > thresholds, -1, 1))
    multiplier = np.ones(len(weights), np.float32) if multiplier is None else multiplier
    bias = np.zeros(len(weights), np.float32) if bias is None else bias
    is_int8 = op.output.type_name == "int8"
    scale, zero_point = _quantization(op.output) if is_int8 else (1.0, 0)
    activation = options["fused_activation_function"]
    y = outputs_of_sums(differing, pairs, multiplier, bias, activation, scale, zero_point)
    return to_int8(y) if is_int8 else y


_EVALUATE = {
    "LceQuantize": _quantize,
    "LceDequantize": _dequantize,
    "LceBMaxPool2d": _max_pool,
    "LceBconv2d": _convolution,
}
