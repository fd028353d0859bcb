"""What docs/format.md means, in plain numpy: every custom op on unpacked +1 and -1, and whole packed files.

It shares no code with converter/ and cc_ops/ and knows no trick of theirs: bits are unpacked, multiplied and summed,
and packed again. Integer accumulators are int64; float32 results are rounded once per operation, because each numpy
call is one operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

Array = np.ndarray
Outputs = Array | tuple[Array, Array]

SAME, VALID, EXPLICIT = 0, 1, 2
NO_ACTIVATION, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
_ACTIVATION_RANGE = {RELU: (0.0, np.inf), RELU_N1_TO_1: (-1.0, 1.0), RELU6: (0.0, 6.0)}
_DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
}


def pack(values: Array) -> Array:
    """Pack values `[..., channels]` to int32 `[..., ceil(channels / 32)]`: a bit is set where the value is below 0."""
    channels = values.shape[-1]
    words = -(-channels // 32)
    bits = np.zeros((*values.shape[:-1], words * 32), np.uint8)
    bits[..., :channels] = values < 0
    return np.packbits(bits, axis=-1, bitorder="little").view("<i4").astype(np.int32)


def unpack(words: Array, channels: int | None = None) -> Array:
    """Unpack int32 `[..., words]` to int64 +1 and -1 `[..., channels]`; all bits when `channels` is None."""
    octets = np.ascontiguousarray(words, dtype="<i4").view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")
    return 1 - 2 * bits[..., :channels].astype(np.int64)


def activate(y: Array, activation: int) -> Array:
    """Clip to the activation's range with two comparisons, so that -0.0 stays as it is."""
    if activation == NO_ACTIVATION:
        return y
    low, high = (np.float32(limit) for limit in _ACTIVATION_RANGE[activation])
    y = np.where(y < low, low, y)
    return np.where(y > high, high, y)


def bnn_quantize(
    x: Array, multiplier: Array | None = None, bias: Array | None = None, *, version: int, zero_point: int = 0
) -> Array:
    """BnnQuantize: the sign bits of float32 or int8 values, or of `x * multiplier + bias`."""
    _check_version(version)
    if multiplier is not None:
        x = x * multiplier
        x = x + bias
    return pack(x if x.dtype == np.float32 else x.astype(np.int64) - zero_point)


def bnn_dequantize(x: Array, *, version: int, channels: int) -> Array:
    """BnnDequantize: float32 +1 and -1."""
    _check_version(version)
    return unpack(x, channels).astype(np.float32)


def bnn_conv2d(
    x: Array,
    weights: Array,
    *parameters: Array,
    outputs: str,
    version: int,
    channels_in: int,
    groups: int = 1,
    activation: int = 0,
    pre_activation: int = 0,
    steps: int = 0,
    zero_point: int = 0,
    **window: int,
) -> Outputs:
    """BnnConv2D: `parameters` is (multiplier, bias, operands of the steps) or (thresholds,).

    `outputs` is "y", "bits" or "y bits".
    """
    _check_version(version)
    values = _real_values(x, channels_in, zero_point)
    kernel = unpack(weights, channels_in // groups)
    taps = _taps(values, kernel.shape[1:3], **window)
    kernel = kernel.reshape(len(kernel), -1, kernel.shape[-1])
    accumulators = [
        _accumulate([np.split(tap, groups, axis=-1)[group] for tap in taps], np.split(kernel, groups)[group])
        for group in range(groups)
    ]
    return _finish(np.concatenate(accumulators, axis=-1), parameters, outputs, activation, pre_activation, steps)


def bnn_depthwise_conv2d(
    x: Array,
    weights: Array,
    *parameters: Array,
    outputs: str,
    version: int,
    channels_in: int,
    activation: int = 0,
    pre_activation: int = 0,
    steps: int = 0,
    **window: int,
) -> Outputs:
    """BnnDepthwiseConv2D: parameters and outputs as for BnnConv2D."""
    _check_version(version)
    values = unpack(x, channels_in)
    channels_out = len(parameters[0])
    kernel = unpack(weights, channels_out)
    values = np.repeat(values, channels_out // channels_in, axis=-1)
    taps = _taps(values, kernel.shape[:2], **window)
    products = [tap * tap_weights for tap, tap_weights in zip(taps, kernel.reshape(-1, channels_out), strict=True)]
    return _finish(np.sum(products, axis=0), parameters, outputs, activation, pre_activation, steps)


def bnn_transpose_conv2d(
    x: Array,
    weights: Array,
    *parameters: Array,
    outputs: str,
    version: int,
    channels_in: int,
    stride_h: int = 1,
    stride_w: int = 1,
    pad_top: int = 0,
    pad_bottom: int = 0,
    pad_left: int = 0,
    pad_right: int = 0,
    activation: int = 0,
    pre_activation: int = 0,
    steps: int = 0,
) -> Outputs:
    """BnnTransposeConv2D: parameters and outputs as for BnnConv2D."""
    _check_version(version)
    values = unpack(x, channels_in)
    kernel = unpack(weights, channels_in)
    batch, height, width, _ = values.shape
    channels_out, kernel_height, kernel_width, _ = kernel.shape
    # Room for every row and column that a tap reaches and, with a negative pad behind, for those that none reaches.
    whole_height = (height - 1) * stride_h + kernel_height + max(-pad_bottom, 0)
    whole_width = (width - 1) * stride_w + kernel_width + max(-pad_right, 0)
    whole = np.zeros((batch, whole_height, whole_width, channels_out), np.int64)
    for r in range(kernel_height):
        for s in range(kernel_width):
            products = _accumulate([values], kernel[:, r, s][:, None])
            rows = slice(r, r + (height - 1) * stride_h + 1, stride_h)
            whole[:, rows, s : s + (width - 1) * stride_w + 1 : stride_w] += products
    bottom, right = whole_height - max(pad_bottom, 0), whole_width - max(pad_right, 0)
    accumulator = whole[:, pad_top:bottom, pad_left:right]
    return _finish(accumulator, parameters, outputs, activation, pre_activation, steps)


def bnn_fully_connected(
    x: Array,
    weights: Array,
    *parameters: Array,
    outputs: str,
    version: int,
    channels_in: int,
    activation: int = 0,
    pre_activation: int = 0,
    steps: int = 0,
    zero_point: int = 0,
) -> Outputs:
    """BnnFullyConnected: parameters and outputs as for BnnConv2D."""
    _check_version(version)
    is_packed = x.dtype == np.int32
    row = weights.shape[1] if is_packed else channels_in
    leading = x.shape[:-1] if x.shape[-1] == row else (-1,)
    x = x.reshape(*leading, row)
    if is_packed:
        # Unused bits may lie anywhere in a row: they are 0 in x and in the weights, so each one adds +1 * +1.
        accumulator = _accumulate([unpack(x)], unpack(weights)[:, None]) - (32 * row - channels_in)
    else:
        values = _real_values(x, channels_in, zero_point)
        accumulator = _accumulate([values], unpack(weights, channels_in)[:, None])
    return _finish(accumulator, parameters, outputs, activation, pre_activation, steps)


def bnn_max_pool_2d(
    x: Array,
    minimum: Array | None = None,
    *,
    version: int,
    window_h: int,
    window_w: int,
    padding: int,
    stride_h: int = 1,
    stride_w: int = 1,
) -> Array:
    """BnnMaxPool2D: the maximum of +1 and -1, or the minimum of the channels whose bit in `minimum` is set."""
    _check_version(version)
    turned = np.ones(1, np.int64) if minimum is None else unpack(minimum)
    # A pixel outside the image is -1, so it never decides.
    return pack(_max_pool(unpack(x) * turned, -1, (window_h, window_w), (stride_h, stride_w), padding) * turned)


class _Window:
    """Where a kernel or pooling window of `size` taps lies along one axis of the image."""

    def __init__(
        self, length: int, size: int, stride: int, dilation: int, padding: int, explicit: tuple[int, int] = (0, 0)
    ):
        reach = (size - 1) * dilation + 1
        self.size, self.stride, self.dilation = size, stride, dilation
        if padding == SAME:
            self.outputs = -(-length // stride)
            total = max((self.outputs - 1) * stride + reach - length, 0)
            self.pads = (total // 2, total - total // 2)
        else:
            self.pads = explicit if padding == EXPLICIT else (0, 0)
            self.outputs = (length + sum(self.pads) - reach) // stride + 1

    def pixels(self, tap: int) -> slice:
        """The padded image's pixels that one tap meets, one for each output."""
        first = tap * self.dilation
        return slice(first, first + (self.outputs - 1) * self.stride + 1, self.stride)


def _taps(
    values: Array,
    size: Sequence[int],
    *,
    padding: int,
    stride_h: int = 1,
    stride_w: int = 1,
    dilation_h: int = 1,
    dilation_w: int = 1,
    pad_top: int = 0,
    pad_bottom: int = 0,
    pad_left: int = 0,
    pad_right: int = 0,
    pad_value: int = 0,
) -> list[Array]:
    """The pixels that each tap of a convolution meets, one for each output, row by row of the kernel."""
    rows = _Window(values.shape[1], size[0], stride_h, dilation_h, padding, (pad_top, pad_bottom))
    columns = _Window(values.shape[2], size[1], stride_w, dilation_w, padding, (pad_left, pad_right))
    image = np.pad(values, ((0, 0), rows.pads, columns.pads, (0, 0)), constant_values=pad_value)
    return [image[:, rows.pixels(i), columns.pixels(j)] for i in range(rows.size) for j in range(columns.size)]


def _check_version(version: int) -> None:
    if version != 1:
        raise ValueError(f"option version is {version}, this reference evaluates 1")


def _real_values(x: Array, channels: int, zero_point: int) -> Array:
    """The numbers that a packed, float32, int8 or uint8 tensor stands for, without its scale."""
    if x.dtype == np.int32:
        return unpack(x, channels)
    return x if x.dtype == np.float32 else x.astype(np.int64) - zero_point


def _accumulate(taps: Sequence[Array], kernel: Array) -> Array:
    """Sum taps `[..., channels]` times kernel `[outputs, taps, channels]`: int64, or float32 in the written order."""
    shape = (*taps[0].shape[:-1], len(kernel))
    if taps[0].dtype == np.float32:
        signs = kernel.astype(np.float32)
        total = np.zeros(shape, np.float32)
        for tap, values in enumerate(taps):
            for channel in range(values.shape[-1]):
                total += values[..., channel, None] * signs[:, tap, channel]  # the product by +1 or -1 is exact
        return total
    # Products and sums of integers far below 2**53 are exact in float64 in any order, and a float64 matmul is fast.
    exact = kernel.astype(np.float64)
    sums = [values.astype(np.float64) @ exact[:, tap].T for tap, values in enumerate(taps)]
    return np.sum(sums, axis=0).astype(np.int64)


def _finish(
    accumulator: Array, parameters: Sequence[Array], outputs: str, activation: int, pre_activation: int, steps: int
) -> Outputs:
    if len(parameters) == 1:
        (thresholds,) = parameters
        if outputs != "bits" or activation or pre_activation or steps or accumulator.dtype == np.float32:
            raise ValueError("thresholds belong to packed output alone, without activations, of exact accumulators")
        return pack(np.where(accumulator < thresholds.astype(np.int64), -1, 1))
    multiplier, bias, *operands = parameters
    y = activate(accumulator.astype(np.float32), pre_activation)
    y = y * multiplier
    y = y + bias
    y = activate(y, activation)
    first = None
    for step in (int(digit, 16) for digit in reversed(f"{steps:x}" if steps else "")):
        if step == _FIRST_OUTPUT:
            if outputs != "y bits" or first is not None:
                raise ValueError("step 8 needs two outputs, and may come once")
            first = y
        else:
            y = _STEPS[step](y, operands.pop(0)) if step in _STEPS else activate(y, _STEP_ACTIVATIONS[step])
    if operands:
        raise ValueError(f"{len(operands)} operands are left over from the steps {steps:x}")
    if outputs == "y":
        return y
    return pack(y) if outputs == "bits" else (y if first is None else first, pack(y))


_FIRST_OUTPUT = 8
_STEPS: dict[int, Callable[[Array, Array], Array]] = {
    1: lambda y, a: y + a,
    2: lambda y, a: y * a,
    3: lambda y, a: y / a,
    4: lambda y, a: np.where(y < 0, y * a, y),
}
_STEP_ACTIVATIONS = {5: RELU, 6: RELU_N1_TO_1, 7: RELU6}


def quantize(y: Array, scale: float, zero_point: int) -> Array:
    """Float32 to int8: the quotient in float32, halves rounded away from 0."""
    quotient = y / np.float32(scale)
    rounded = np.trunc(quotient + np.copysign(np.float64(0.5), quotient))  # exact in float64
    return np.clip(rounded + zero_point, -128, 127).astype(np.int8)


def dequantize(q: Array, scale: float, zero_point: int) -> Array:
    """Int8 to float32, rounded once."""
    return (q.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)


def _max_pool(x: Array, outside: Any, window: tuple[int, int], strides: tuple[int, int], padding: int) -> Array:
    rows, columns = (_Window(x.shape[1 + axis], window[axis], strides[axis], 1, padding) for axis in (0, 1))
    image = np.pad(x, ((0, 0), rows.pads, columns.pads, (0, 0)), constant_values=outside)
    taps = [image[:, rows.pixels(i), columns.pixels(j)] for i in range(rows.size) for j in range(columns.size)]
    return np.max(taps, axis=0)


def run_packed(
    model: bytes, inputs: Sequence[Array], *, run_stock: Callable[[int, Sequence[Array]], Array] | None = None
) -> list[Array]:
    """Evaluate a packed .tflite file (its first subgraph) in numpy.

    Args:
        model: The file's bytes.
        inputs: One array for each input of the subgraph, in its order; the batch may differ from the file's.
        run_stock: Evaluates a stock op, given its place among the ops and its inputs; by default the few that are here.

    Returns:
        The outputs of the subgraph, in its order.

    Raises:
        ValueError: For a stock op that this reference does not know.
    """
    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    graph = parsed.subgraphs[0]
    values: dict[int, Array] = {}
    for index, tensor in enumerate(graph.tensors):
        data = parsed.buffers[tensor.buffer].data
        if data is not None:
            shape = () if tensor.shape is None else tuple(tensor.shape)
            values[index] = np.frombuffer(bytes(data), _DTYPES[tensor.type]).reshape(shape)
    values.update(zip(graph.inputs, inputs, strict=True))
    for place, operator in enumerate(graph.operators):
        code = parsed.operatorCodes[operator.opcodeIndex]
        arguments = [values[index] for index in operator.inputs if index >= 0]
        if code.customCode is not None:
            result = _run_custom(code.customCode.decode(), operator, graph.tensors, arguments)
        elif run_stock is not None:
            result = run_stock(place, arguments)
        else:
            result = _run_stock(max(code.builtinCode, code.deprecatedBuiltinCode), operator, arguments)
        results = result if isinstance(result, tuple) else (result,)
        for index, value in zip(operator.outputs, results, strict=True):
            values[index] = _as_stored(value, graph.tensors[index])
    return [values[index] for index in graph.outputs]


def _run_custom(
    name: str, operator: schema.OperatorT, tensors: list[schema.TensorT], arguments: list[Array]
) -> Outputs:
    options = flexbuffers.Loads(bytes(operator.customOptions))
    if arguments[0].dtype in (np.int8, np.uint8):
        options["zero_point"] = int(tensors[operator.inputs[0]].quantization.zeroPoint[0])
    if name in _KERNEL_OPS:
        types = [tensors[index].type for index in operator.outputs]
        options["outputs"] = " ".join("bits" if type_ == schema.TensorType.INT32 else "y" for type_ in types)
        operands = zip(arguments[4:], operator.inputs[4:], strict=True)
        arguments[4:] = [_as_real(value, tensors[index]) for value, index in operands]
    return (_KERNEL_OPS | _OTHER_OPS)[name](*arguments, **options)


_KERNEL_OPS: dict[str, Callable[..., Outputs]] = {
    "BnnConv2D": bnn_conv2d,
    "BnnDepthwiseConv2D": bnn_depthwise_conv2d,
    "BnnFullyConnected": bnn_fully_connected,
    "BnnTransposeConv2D": bnn_transpose_conv2d,
}
_OTHER_OPS: dict[str, Callable[..., Outputs]] = {
    "BnnQuantize": bnn_quantize,
    "BnnDequantize": bnn_dequantize,
    "BnnMaxPool2D": bnn_max_pool_2d,
}


def _quantization(tensor: schema.TensorT) -> tuple[float, int]:
    return float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])


def _as_real(value: Array, tensor: schema.TensorT) -> Array:
    return dequantize(value, *_quantization(tensor)) if value.dtype == np.int8 else value


def _as_stored(value: Array, tensor: schema.TensorT) -> Array:
    is_quantized = tensor.type == schema.TensorType.INT8 and value.dtype == np.float32
    return quantize(value, *_quantization(tensor)) if is_quantized else value


def _run_stock(code: int, operator: schema.OperatorT, arguments: list[Array]) -> Array:
    """The few stock float32 ops that stand beside ours in tests."""
    ops, options = schema.BuiltinOperator, operator.builtinOptions
    x = arguments[0]
    if code == ops.RESHAPE:
        return x.reshape(arguments[1] if len(arguments) > 1 else options.newShape)
    if code == ops.RELU:
        return activate(x, RELU)
    if code == ops.PRELU:
        return np.where(x < 0, x * arguments[1], x)
    if code == ops.CONCATENATION:
        return np.concatenate(arguments, axis=options.axis)
    if code == ops.ADD:
        return activate(x + arguments[1], options.fusedActivationFunction)
    if code == ops.MUL:
        return activate(x * arguments[1], options.fusedActivationFunction)
    if code == ops.MAX_POOL_2D:
        window, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
        pooled = _max_pool(x, -np.inf, window, strides, options.padding)
        return activate(pooled, options.fusedActivationFunction)
    names = {value: name for name, value in vars(ops).items() if isinstance(value, int)}
    raise ValueError(f"stock op {names.get(code, code)} has no reference here; add it to format_reference.py")
