"""Checks that a graph is whole: tests run it after every pass, and the converter before it writes."""

from __future__ import annotations

import math

from .bits import words_for
from .custom_ops import EXPLICIT, FIRST_OUTPUT, OPTIONS, PACKED_KERNEL_OPS, SAME, STEPS_WITH_OPERAND, steps_of
from .graph import Graph, Op, Tensor, element_bytes
from .kernel_shape import KERNEL_OPS
from .larq_ops import LCE_OPS
from .schema import TYPE_NAMES

_STOCK_OPS: dict[str, tuple[str | None, int]] = {
    **dict.fromkeys(("ABS", "CAST", "DEQUANTIZE", "LOGICAL_NOT", "NEG", "QUANTIZE", "RELU", "RELU6"), (None, 1)),
    **dict.fromkeys(("RELU_N1_TO_1", "RESHAPE", "SIGN", "SQRT", "SQUEEZE"), (None, 1)),
    **dict.fromkeys(("BROADCAST_TO", "DIV", "EXPAND_DIMS", "FILL", "PAD", "PRELU", "SUB", "TRANSPOSE"), (None, 2)),
    **dict.fromkeys(("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"), (None, 2)),
    **dict.fromkeys(("MAXIMUM", "MEAN", "MINIMUM"), (None, 2)),
    **dict.fromkeys(("BATCH_TO_SPACE_ND", "PADV2", "SELECT", "SELECT_V2", "SPACE_TO_BATCH_ND"), (None, 3)),
    "ADD": ("AddOptionsT", 2),
    "BATCH_MATMUL": ("BatchMatMulOptionsT", 2),
    "CONV_2D": ("Conv2DOptionsT", 2),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptionsT", 2),
    "FULLY_CONNECTED": ("FullyConnectedOptionsT", 2),
    "MAX_POOL_2D": ("Pool2DOptionsT", 1),
    "MUL": ("MulOptionsT", 2),
    "TRANSPOSE_CONV": ("TransposeConvOptionsT", 3),
}
"""What passes read of stock ops: the options, and the number of inputs that are always there."""

_OPTIONS_IF_ANY = {"CONCATENATION": "ConcatenationOptionsT", "SQUEEZE": "SqueezeOptionsT"}
"""Options that passes read where an op has some."""

_COMPUTING_OPS = {*_STOCK_OPS, *OPTIONS, *KERNEL_OPS, *LCE_OPS}
"""Ops that passes read and that compute something; some of the others, such as ASSIGN_VARIABLE, do not."""

_STOCK_KERNEL_RANKS = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 4}
_IMAGE_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "BnnConv2D", "BnnMaxPool2D")


class BrokenGraphError(AssertionError):
    """A graph that no file may hold."""


def check_graph(graph: Graph) -> None:
    """Checks producers, users, order and the shapes of packed ops.

    Raises:
        BrokenGraphError: with the first thing found wrong.
    """
    for tensor in graph.tensors:
        _check_tensor(tensor)
    known = set(graph.tensors)
    _require(len(known) == len(graph.tensors), "a tensor is listed twice")
    ready = {tensor for tensor in graph.tensors if tensor.producer is None}
    for tensor in graph.tensors:
        is_producer_known = tensor.producer is None or tensor.producer in graph.ops
        _require(is_producer_known, "the producer of {} is not in the graph", tensor)
        for user in tensor.users:
            _require(user in graph.ops and tensor in user.inputs, "{} is listed as a user of {}", user, tensor)
    for op in graph.ops:
        for source in op.inputs:
            if source is not None:
                _require(source in known, "{} reads {}, which is not in the graph", op, source)
                _require(op in source.users, "{} is missing among the users of {}", op, source)
                _require(source in ready, "{} reads {} before it is computed", op, source)
        for tensor in op.outputs:
            _require(tensor in known and tensor.producer is op, "{} does not own its output {}", op, tensor)
        for tensor in op.intermediates:
            _require(tensor in known, "{} works in {}, which is not in the graph", op, tensor)
            is_own = tensor.producer is None and not tensor.users
            _require(is_own, "{} works in {}, which other ops compute or read", op, tensor)
        _require(bool(op.outputs) or op.kind not in _COMPUTING_OPS, "{} computes nothing", op)
        ready.update(op.outputs)
        _check_stock_op(op)
        if op.kind in OPTIONS:
            _check_packed_op(op)
    for tensor in (*graph.inputs, *graph.outputs, *graph.pinned):
        _require(tensor in known, "the graph's input or output {} is not in the graph", tensor)


def _check_tensor(tensor: Tensor) -> None:
    _require(tensor.record.type in TYPE_NAMES, "tensor {!r} has the type {}", tensor.name, tensor.record.type)
    size = element_bytes(tensor)
    if tensor.buffer is not None and size is not None and tensor.record.sparsity is None:
        shape = () if tensor.record.shape is None else tuple(tensor.record.shape)
        is_whole = tensor.buffer.nbytes == size * math.prod(tensor.dims) and shape == tensor.dims
        _require(is_whole, "{} holds {} bytes", tensor, tensor.buffer.nbytes)


def _check_stock_op(op: Op) -> None:
    options, inputs = _STOCK_OPS.get(op.kind, (None, 0))
    kind = type(op.options).__name__
    _require(options in (None, kind), "{} has no {}", op, options)
    _require(op.options is None or _OPTIONS_IF_ANY.get(op.kind, kind) == kind, "{} has {}", op, kind)
    _require(len(op.inputs) >= inputs and None not in op.inputs[:inputs], "{} has too few inputs", op)
    rank = 4 if op.kind in _IMAGE_OPS else 1 if op.kind == "FULLY_CONNECTED" else 0
    _require(all(len(tensor.dims) >= rank for tensor in op.inputs[:1] if tensor is not None), "{} lacks dimensions", op)
    image, kernel = op.input(2), op.input(1)
    is_image = op.kind != "TRANSPOSE_CONV" or image is None or (len(image.dims) == len(op.output.dims) == 4)
    _require(is_image, "{} lacks dimensions", op)
    if op.kind in _STOCK_KERNEL_RANKS and kernel is not None and kernel.is_constant:
        _require(len(kernel.dims) == _STOCK_KERNEL_RANKS[op.kind], "{} has the kernel {}", op, kernel)
    if op.kind in ("CONV_2D", "MAX_POOL_2D"):
        _require(min(op.options.strideH, op.options.strideW) > 0, f"{op} has a stride below 1")


def _check_packed_op(op: Op) -> None:
    x = op.input(0)
    expected = 3 if op.kind in PACKED_KERNEL_OPS else 1
    _require(None not in op.inputs and len(op.inputs) >= expected and x is not None and bool(x.dims), f"{op} reads {x}")
    _require(len(op.outputs) == 1 or op.kind in PACKED_KERNEL_OPS, f"{op} has {len(op.outputs)} outputs")
    assert x is not None
    y = op.output
    if op.kind == "BnnQuantize":
        _check_dims(op, y, (*x.dims[:-1], words_for(x.dims[-1])), "int32")
        _require(len(op.inputs) in (1, 3), f"{op} has {len(op.inputs)} inputs")
        _check_parameters(op, op.inputs[1:], x.dims[-1], "float32")
    elif op.kind == "BnnDequantize":
        channels = op.options["channels"]
        _require(x.type_name == "int32" and x.dims[-1] == words_for(channels), f"{op} reads {x}")
        _check_dims(op, y, (*x.dims[:-1], channels), "float32", "int8")
    elif op.kind == "BnnMaxPool2D":
        window = [(op.options[f"window_{axis}"] - 1, op.options[f"stride_{axis}"]) for axis in "hw"]
        size = [_size(x.dims[1 + axis], *window[axis], op.options["padding"], 0) for axis in (0, 1)]
        _check_dims(op, y, (x.dims[0], *size, x.dims[-1]), "int32")
        _check_parameters(op, op.inputs[1:], x.dims[-1], "int32")
    else:
        _check_kernel_op(op, x)


_WEIGHTS_RANK = {"BnnConv2D": 4, "BnnDepthwiseConv2D": 3, "BnnFullyConnected": 2, "BnnTransposeConv2D": 4}


def _check_kernel_op(op: Op, x: Tensor) -> None:
    weights, channels = op.input(1), op.options["channels_in"]
    assert weights is not None
    rank = _WEIGHTS_RANK[op.kind]
    are_words = weights.is_constant and weights.type_name == "int32"
    _require(are_words and len(weights.dims) == rank and 0 not in weights.dims, f"{op} has weights {weights}")
    is_packed = x.type_name == "int32"
    per_pixel = words_for(channels) if is_packed else channels
    reads_rows = op.kind == "BnnFullyConnected"
    _require(reads_rows or (len(x.dims) == 4 and x.dims[-1] == per_pixel), f"{op} with {channels} channels reads {x}")
    leading = _LEADING[op.kind](op, x, weights)
    has_thresholds = len(op.inputs) == 3
    _require(not has_thresholds or x.type_name != "float32", f"{op} has thresholds for a real-valued sum")
    parameter = op.input(2)
    assert parameter is not None
    _require(len(parameter.dims) == 1, f"{op} has the parameter {parameter}")
    outputs = parameter.dims[0]
    if op.kind == "BnnDepthwiseConv2D":
        fits = outputs % channels == 0 and weights.dims[2] == words_for(outputs)
        _require(fits and is_packed, f"{op} has weights {weights} for {channels} channels")
    else:
        _require(weights.dims[0] == outputs, f"{op} has weights {weights} for {outputs} channels")
    _check_parameters(op, op.inputs[2:4], outputs, "int32" if has_thresholds else "float32")
    _check_steps(op, (*leading, outputs), has_thresholds=has_thresholds)


def _conv_leading(op: Op, x: Tensor, weights: Tensor) -> tuple[int, ...]:
    channels = op.options["channels_in"] // op.options["groups"]
    _require(weights.dims[3] == words_for(channels), f"{op} has weights {weights}")
    return (x.dims[0], *(_conv_size(op, x, weights.dims[1:3], axis) for axis in (0, 1)))


def _depthwise_leading(op: Op, x: Tensor, weights: Tensor) -> tuple[int, ...]:
    return (x.dims[0], *(_conv_size(op, x, weights.dims[:2], axis) for axis in (0, 1)))


def _transpose_leading(op: Op, x: Tensor, weights: Tensor) -> tuple[int, ...]:
    _require(
        weights.dims[3] == words_for(op.options["channels_in"]) and x.type_name == "int32",
        f"{op} has weights {weights}",
    )
    sizes = [x.dims[0]]
    for axis, (letter, before, after) in enumerate((("h", "top", "bottom"), ("w", "left", "right"))):
        length, pads = x.dims[1 + axis], op.options[f"pad_{before}"] + op.options[f"pad_{after}"]
        whole = (length - 1) * op.options[f"stride_{letter}"] + weights.dims[1 + axis]
        sizes.append(whole - pads if length > 0 else -1)
    return tuple(sizes)


def _rows_leading(op: Op, x: Tensor, weights: Tensor) -> tuple[int, ...]:
    channels = op.options["channels_in"]
    row = weights.dims[1] if x.type_name == "int32" else channels
    _require(weights.dims[1] >= words_for(channels), f"{op} has weights {weights} for {channels} channels")
    return x.dims[:-1] if x.dims[-1] == row else (_rows(x, row),)


_LEADING = {
    "BnnConv2D": _conv_leading,
    "BnnDepthwiseConv2D": _depthwise_leading,
    "BnnFullyConnected": _rows_leading,
    "BnnTransposeConv2D": _transpose_leading,
}


def _check_steps(op: Op, dims: tuple[int, ...], *, has_thresholds: bool) -> None:
    """Checks the outputs of a kernel op, of which y has these dims, and the operands of its steps."""
    steps, operands = steps_of(op.options), op.inputs[4:]
    bits, y = op.outputs[-1], op.output
    gives_bits = bits.type_name == "int32"
    if gives_bits:
        _check_dims(op, bits, (*dims[:-1], words_for(dims[-1])), "int32")
    if not gives_bits or len(op.outputs) == 2:
        _check_dims(op, y, dims, "float32", "int8")
    _require(len(op.outputs) <= 2 and (gives_bits or len(op.outputs) == 1), f"{op} computes {op.outputs}")
    _require(not has_thresholds or (gives_bits and len(op.outputs) == 1 and not steps), f"{op} has thresholds")
    _require(steps.count(FIRST_OUTPUT) <= len(op.outputs) - 1, f"{op} has the steps {steps}")
    with_operand = [step for step in steps if step in STEPS_WITH_OPERAND]
    _require(len(with_operand) == len(operands), f"{op} has {len(operands)} operands for the steps {steps}")
    for operand in operands:
        assert operand is not None
        if operand.is_constant:
            _check_parameters(op, (operand,), dims[-1], "float32")
        else:
            per_image = (dims[0], 1, 1, dims[-1])
            is_per_image = len(dims) == 4 and _agree(operand.dims, per_image)
            _require(is_per_image or _agree(operand.dims, dims), f"{op} has the operand {operand}")
            _require(operand.type_name in ("float32", "int8"), f"{op} has the operand {operand}")


def _check_parameters(op: Op, parameters: tuple[Tensor | None, ...], channels: int, type_name: str) -> None:
    for tensor in parameters:
        assert tensor is not None
        fits = tensor.is_constant and tensor.dims == (channels,) and tensor.type_name == type_name
        _require(fits, f"{op} has the parameter {tensor}")


def _conv_size(op: Op, x: Tensor, kernel: tuple[int, ...], axis: int) -> int:
    letter, sides = "hw"[axis], (("top", "bottom"), ("left", "right"))[axis]
    reach = (kernel[axis] - 1) * op.options[f"dilation_{letter}"]
    pads = sum(op.options[f"pad_{side}"] for side in sides) if op.options["padding"] == EXPLICIT else 0
    return _size(x.dims[1 + axis], reach, op.options[f"stride_{letter}"], op.options["padding"], pads)


def _size(length: int, reach: int, stride: int, padding: int, pads: int) -> int:
    if length < 0:
        return -1
    return -(-length // stride) if padding == SAME else (length + pads - reach - 1) // stride + 1


def _rows(x: Tensor, row: int) -> int:
    return -1 if -1 in x.dims else math.prod(x.dims) // row


def _check_dims(op: Op, tensor: Tensor, dims: tuple[int, ...], *type_names: str) -> None:
    fits = _agree(dims, tensor.dims) and tensor.type_name in type_names
    _require(fits, f"{op} computes {tensor}, expected {' or '.join(type_names)}{list(dims)}")


def _agree(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes are the same where both are known."""
    return len(one) == len(other) and all(a == b or -1 in (a, b) for a, b in zip(one, other, strict=True))


def _require(condition: bool, message: str, *things: object) -> None:
    """Raises unless the condition holds; only then are things put into the message, since their names take time."""
    if not condition:
        raise BrokenGraphError(message.format(*things) if things else message)
