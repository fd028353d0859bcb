"""Files as Larq Compute Engine writes them, and what its ops compute, in plain numpy.

The arithmetic is that of its kernels and not ours: it counts differing bits, puts the number of products, the scale and
the zero point of an int8 output into multiplier and bias in float64, and compares the count with a threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from keras_bnn.converter.flatbuffer import read_model
from keras_bnn.converter.graph import Op, Tensor
from support.float_graphs import NONE, SAME, VALID, FloatGraph

Array = np.ndarray

_LIMITS = {0: (-(2**40), 2**40), 1: (0, 2**40), 2: (-1, 1), 3: (0, 6)}


def quantization(scale: float, zero_point: int) -> schema.QuantizationParametersT:
    """Scale and zero point of a whole tensor."""
    record = schema.QuantizationParametersT()
    record.scale, record.zeroPoint = [scale], [zero_point]
    return record


class LceGraph(FloatGraph):
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
        share = self.rng.uniform(0.2, 0.8, (outputs, 1, 1, 1))
        bits = np.zeros((outputs, *kernel, -(-channels_in // groups // 32) * 32), np.uint8)
        bits[..., : channels_in // groups] = self.rng.random((outputs, *kernel, channels_in // groups)) < share
        weights = np.packbits(bits, axis=-1, bitorder="little").view("<i4").astype(np.int32)
        size = []
        for axis in (0, 1):
            length, reach = x.dims[1 + axis], (kernel[axis] - 1) * dilation[axis]
            size.append(-(-(length if padding == SAME else length - reach) // stride[axis]))
        options = {
            "channels_in": channels_in,
            "dilation_height_factor": dilation[0],
            "dilation_width_factor": dilation[1],
            "fused_activation_function": activation,
            "pad_values": pad_values,
            "padding": padding,
            "stride_height": stride[0],
            "stride_width": stride[1],
        }
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


def _bits(words: Array) -> Array:
    octets = np.ascontiguousarray(words, "<i4").view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little").astype(np.float64)


def _words(bits: Array) -> Array:
    padded = np.zeros((*bits.shape[:-1], -(-bits.shape[-1] // 32) * 32), np.uint8)
    padded[..., : bits.shape[-1]] = bits
    return np.packbits(padded, axis=-1, bitorder="little").view("<i4").astype(np.int32)


def _quantize(op: Op, x: Array) -> Array:
    if x.dtype == np.bool_:
        return _words(~x)
    tensor = op.input(0)
    assert tensor is not None
    return _words(x < (_quantization(tensor)[1] if x.dtype == np.int8 else 0))


def _dequantize(op: Op, x: Array) -> Array:
    negative = _bits(x)[..., : op.output.dims[-1]] == 1
    if op.output.type_name == "bool":
        return ~negative
    if op.output.type_name == "float32":
        return np.where(negative, np.float32(-1), np.float32(1))
    scale, zero_point = _quantization(op.output)
    one = math.floor(1 / np.float32(scale) + np.float32(0.5))
    return np.where(negative, max(-128, zero_point - one), min(127, zero_point + one)).astype(np.int8)


def _window(length: int, taps: int, stride: int, dilation: int, padding: int) -> tuple[int, int]:
    """Number of outputs, and pixels in front of the image."""
    reach = (taps - 1) * dilation + 1
    outputs = -(-(length if padding == SAME else length - reach + 1) // stride)
    return outputs, max((outputs - 1) * stride + reach - length, 0) // 2 if padding == SAME else 0


def _taps(x: Array, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: int) -> list:
    """For each tap of the kernel: the pixels it meets, 0 outside the image, and which of them lie inside."""
    places = []
    for axis in (0, 1):
        outputs, before = _window(x.shape[1 + axis], kernel[axis], stride[axis], dilation[axis], padding)
        steps = np.arange(outputs) * stride[axis] - before
        places.append([steps + tap * dilation[axis] for tap in range(kernel[axis])])
    found = []
    for rows in places[0]:
        for columns in places[1]:
            inside = (rows >= 0) & (rows < x.shape[1])
            inside = inside[:, None] & ((columns >= 0) & (columns < x.shape[2]))
            pixels = x[:, rows.clip(0, x.shape[1] - 1)][:, :, columns.clip(0, x.shape[2] - 1)]
            found.append((np.where(inside[..., None], pixels, 0), inside))
    return found


def _options(op: Op) -> dict[str, int]:
    return flexbuffers.Loads(bytes(op.options))


def _max_pool(op: Op, x: Array) -> Array:
    options = _options(op)
    kernel = (options["filter_height"], options["filter_width"])
    stride = (options["stride_height"], options["stride_width"])
    taps = _taps(_bits(x), kernel, stride, (1, 1), options["padding"])
    return _words(np.min([np.where(inside[..., None], bits, 1) for bits, inside in taps], axis=0))


def _convolution(
    op: Op, x: Array, weights: Array, multiplier: Array | None, bias: Array | None, thresholds: Array | None
) -> Array:
    options = _options(op)
    outputs, *kernel, words = weights.shape
    groups = x.shape[3] // words
    channels = options["channels_in"] // groups
    stride = (options["stride_height"], options["stride_width"])
    dilation = (options["dilation_height_factor"], options["dilation_width_factor"])
    filters = _bits(weights).reshape(groups, outputs // groups, -1, words * 32)
    counted_twice: Array | float = 0.0
    for tap, (bits, inside) in enumerate(_taps(_bits(x), tuple(kernel), stride, dilation, options["padding"])):
        parts = []
        for group, pixels in enumerate(np.split(bits, groups, axis=-1)):
            tap_filters = filters[group, :, tap]
            parts.append(pixels @ (1 - tap_filters.T) + (1 - pixels) @ tap_filters.T)
        differing = np.concatenate(parts, axis=-1)
        outside = channels if options["pad_values"] == 0 else 2 * differing
        counted_twice = counted_twice + np.where(inside[..., None], 2 * differing, outside)
    assert isinstance(counted_twice, np.ndarray)
    if op.output.type_name == "int32":
        assert thresholds is not None
        return _words(counted_twice > 2 * thresholds.astype(np.float64))
    products = math.prod(kernel) * channels
    low, high = _LIMITS[options["fused_activation_function"]]
    clamped = counted_twice.clip(products - high, products - low).astype(np.float32)
    factor = np.ones(outputs) if multiplier is None else multiplier.astype(np.float64)
    offset = np.zeros(outputs) if bias is None else bias.astype(np.float64)
    scale, zero_point = _quantization(op.output) if op.output.type_name == "int8" else (1.0, 0)
    fused_multiplier = (-factor / scale).astype(np.float32)
    fused_bias = ((offset + products * factor) / scale + zero_point).astype(np.float32)
    y = clamped * fused_multiplier
    y = y + fused_bias
    if op.output.type_name == "float32":
        return y
    rounded = np.trunc(y + np.copysign(np.float64(0.5), y))
    return rounded.clip(-128, 127).astype(np.int8)


_EVALUATE = {
    "LceQuantize": _quantize,
    "LceDequantize": _dequantize,
    "LceBMaxPool2d": _max_pool,
    "LceBconv2d": _convolution,
}
