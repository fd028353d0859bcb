"""Checks that a graph is whole: tests run it after every pass, and the converter before it writes."""

from __future__ import annotations

import math

from .bits import words_for
from .custom_ops import EXPLICIT, OPTIONS, SAME
from .graph import Graph, Op, Tensor, element_bytes
from .schema import TYPE_NAMES

_STOCK_OPS = {  # what passes read of stock ops: the options, and the number of inputs that are always there
    "ADD": ("AddOptionsT", 2),
    "BATCH_MATMUL": ("BatchMatMulOptionsT", 2),
    "BATCH_TO_SPACE_ND": (None, 3),
    "CONV_2D": ("Conv2DOptionsT", 2),
    "FULLY_CONNECTED": ("FullyConnectedOptionsT", 2),
    "MAX_POOL_2D": ("Pool2DOptionsT", 1),
    "MUL": ("MulOptionsT", 2),
    "PADV2": (None, 3),
    "SELECT": (None, 3),
    "SELECT_V2": (None, 3),
    "SPACE_TO_BATCH_ND": (None, 3),
    "SUB": (None, 2),
}
_IMAGE_OPS = ("CONV_2D", "MAX_POOL_2D", "BnnConv2D", "BnnMaxPool2D")


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
        _require(tensor.producer in (None, *graph.ops), f"the producer of {tensor} is not in the graph")
        for user in tensor.users:
            _require(user in graph.ops and tensor in user.inputs, f"{user} is listed as a user of {tensor}")
    for op in graph.ops:
        for source in op.inputs:
            if source is not None:
                _require(source in known, f"{op} reads {source}, which is not in the graph")
                _require(op in source.users, f"{op} is missing among the users of {source}")
                _require(source in ready, f"{op} reads {source} before it is computed")
        for tensor in op.outputs:
            _require(tensor in known and tensor.producer is op, f"{op} does not own its output {tensor}")
        ready.update(op.outputs)
        _check_stock_op(op)
        if op.kind in OPTIONS:
            _check_packed_op(op)
    for tensor in (*graph.inputs, *graph.outputs, *graph.pinned):
        _require(tensor in known, f"the graph's input or output {tensor} is not in the graph")


def _check_tensor(tensor: Tensor) -> None:
    _require(tensor.record.type in TYPE_NAMES, f"tensor {tensor.name!r} has the type {tensor.record.type}")
    size = element_bytes(tensor)
    if tensor.buffer is not None and size is not None and tensor.record.sparsity is None:
        _require(tensor.buffer.nbytes == size * math.prod(tensor.dims), f"{tensor} holds {tensor.buffer.nbytes} bytes")


def _check_stock_op(op: Op) -> None:
    options, inputs = _STOCK_OPS.get(op.kind, (None, 0))
    _require(options in (None, type(op.options).__name__), f"{op} has no {options}")
    _require(len(op.inputs) >= inputs and None not in op.inputs[:inputs], f"{op} has too few inputs")
    rank = 4 if op.kind in _IMAGE_OPS else 1 if op.kind == "FULLY_CONNECTED" else 0
    _require(all(len(tensor.dims) >= rank for tensor in op.inputs[:1] if tensor is not None), f"{op} lacks dimensions")
    if op.kind in ("CONV_2D", "MAX_POOL_2D"):
        _require(min(op.options.strideH, op.options.strideW) > 0, f"{op} has a stride below 1")


def _check_packed_op(op: Op) -> None:
    x, y = op.input(0), op.output
    expected = {"BnnConv2D": 3, "BnnFullyConnected": 3}.get(op.kind, 1)
    _require(None not in op.inputs and len(op.inputs) >= expected and x is not None and bool(x.dims), f"{op} reads {x}")
    assert x is not None
    if op.kind == "BnnQuantize":
        _check_dims(op, y, (*x.dims[:-1], words_for(x.dims[-1])), "int32")
    elif op.kind == "BnnDequantize":
        channels = op.options["channels"]
        _require(x.type_name == "int32" and x.dims[-1] == words_for(channels), f"{op} reads {x}")
        _check_dims(op, y, (*x.dims[:-1], channels), "float32")
    elif op.kind == "BnnMaxPool2D":
        window = [(op.options[f"window_{axis}"] - 1, op.options[f"stride_{axis}"]) for axis in "hw"]
        size = [_size(x.dims[1 + axis], *window[axis], op.options["padding"], 0) for axis in (0, 1)]
        _check_dims(op, y, (x.dims[0], *size, x.dims[-1]), "int32")
    else:
        _check_kernel_op(op, x, y)


def _check_kernel_op(op: Op, x: Tensor, y: Tensor) -> None:
    options, weights = op.options, op.input(1)
    assert weights is not None
    rank = 4 if op.kind == "BnnConv2D" else 2
    _require(weights.is_constant and len(weights.dims) == rank and 0 not in weights.dims, f"{op} has weights {weights}")
    channels, outputs = options["channels_in"], weights.dims[0]
    per_pixel = words_for(channels) if x.type_name == "int32" else channels
    if op.kind == "BnnConv2D":
        _require(x.dims[-1] == per_pixel, f"{op} with {channels} channels reads {x}")
        _require(weights.dims[3] == words_for(channels // options["groups"]), f"{op} has weights {weights}")
        leading = (x.dims[0], *(_conv_size(op, x, weights, axis) for axis in (0, 1)))
    else:
        row = weights.dims[1] if x.type_name == "int32" else channels
        _require(weights.dims[1] >= words_for(channels), f"{op} has weights {weights} for {channels} channels")
        leading = x.dims[:-1] if x.dims[-1] == row else (_rows(x, row),)
    is_packed = y.type_name == "int32"
    _check_dims(op, y, (*leading, words_for(outputs) if is_packed else outputs), "int32" if is_packed else "float32")
    has_thresholds = is_packed and x.type_name == "int32"
    for tensor in op.inputs[2:]:
        assert tensor is not None
        _require(tensor.is_constant and tensor.dims == (outputs,), f"{op} has the parameter {tensor}")
        _require((tensor.type_name == "int32") == has_thresholds, f"{op} has the parameter {tensor}")
    _require(len(op.inputs) == (3 if has_thresholds else 4), f"{op} has {len(op.inputs)} inputs")


def _conv_size(op: Op, x: Tensor, weights: Tensor, axis: int) -> int:
    letter, sides = "hw"[axis], (("top", "bottom"), ("left", "right"))[axis]
    reach = (weights.dims[1 + axis] - 1) * op.options[f"dilation_{letter}"]
    pads = sum(op.options[f"pad_{side}"] for side in sides) if op.options["padding"] == EXPLICIT else 0
    return _size(x.dims[1 + axis], reach, op.options[f"stride_{letter}"], op.options["padding"], pads)


def _size(length: int, reach: int, stride: int, padding: int, pads: int) -> int:
    if length < 0:
        return -1
    return -(-length // stride) if padding == SAME else (length + pads - reach - 1) // stride + 1


def _rows(x: Tensor, row: int) -> int:
    return -1 if -1 in x.dims else math.prod(x.dims) // row


def _check_dims(op: Op, tensor: Tensor, dims: tuple[int, ...], type_name: str) -> None:
    same = len(dims) == len(tensor.dims) and all(
        -1 in (one, other) or one == other for one, other in zip(dims, tensor.dims, strict=True)
    )
    _require(same and tensor.type_name == type_name, f"{op} computes {tensor}, expected {type_name}{list(dims)}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise BrokenGraphError(message)
