"""What a graph computes from constants alone: the stock converter leaves such ops in kernels, scales and shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from .custom_ops import NO_ACTIVATION
from .graph import NUMPY_TYPES, Array, Op, Tensor
from .quantization import real_values

_MOVES: dict[str, Callable[..., Any]] = {
    "BROADCAST_TO": lambda op, values, shape: np.broadcast_to(values, tuple(shape)),
    "EXPAND_DIMS": lambda op, values, axis: np.expand_dims(values, int(axis.item())),
    "FILL": lambda op, shape, value: np.broadcast_to(value, tuple(shape)),
    "RESHAPE": lambda op, values, shape=None: values.reshape(tuple(op.output.dims if shape is None else shape)),
    "SELECT": lambda op, condition, one, two: _select(condition, one, two),
    "SELECT_V2": lambda op, condition, one, two: np.where(condition, one, two),
    "SQUEEZE": lambda op, values: values.reshape(op.output.dims),
    "TRANSPOSE": lambda op, values, order: np.transpose(values, order),
}
"""Ops that only move values, whatever their type."""

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "ABS": np.abs,
    "ADD": np.add,
    "DIV": np.divide,
    "EQUAL": np.equal,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
    "LOGICAL_NOT": np.logical_not,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "MUL": np.multiply,
    "NEG": np.negative,
    "NOT_EQUAL": np.not_equal,
    "RELU": lambda values: np.maximum(values, 0),
    "RELU6": lambda values: np.clip(values, 0, 6),
    "RELU_N1_TO_1": lambda values: np.clip(values, -1, 1),
    "SIGN": np.sign,
    "SQRT": np.sqrt,
    "SUB": np.subtract,
}
"""Ops that round at most once, as numpy does. On quantized types they mean something else."""

_values: WeakKeyDictionary[Tensor, Array] = WeakKeyDictionary()
"""What was computed before: passes change no tensor's values, and ask for a kernel's many times."""

_others: WeakSet[Tensor] = WeakSet()
"""Computed tensors that were found to be no constants, so that nobody looks behind them again."""


def constant(tensor: Tensor | None) -> Array | None:
    """Returns the values of a constant, or of a computation on constants that converters leave in kernels."""
    if tensor is None:
        return None
    if tensor.is_constant:
        is_plain = tensor.record.type in NUMPY_TYPES and tensor.record.sparsity is None
        return tensor.values if is_plain else None
    if tensor in _values:
        return _values[tensor]
    if tensor.producer is None or tensor in _others:
        return None
    values = _evaluate(tensor)
    if values is None:
        _others.add(tensor)
    else:
        _values[tensor] = values
    return values


def is_computed_constant(tensor: Tensor | None) -> bool:
    """Returns whether ops compute the tensor from constants alone."""
    return tensor is not None and not tensor.is_constant and constant(tensor) is not None


def constant_operand(op: Op) -> tuple[Tensor, Array] | None:
    """Returns the computed and the constant operand of an op with two operands, in either order."""
    for index in (0, 1):
        x, values = op.input(index), constant(op.input(1 - index))
        if values is not None and x is not None and constant(x) is None:
            return x, values
    return None


def constant_bytes(op: Op) -> int:
    """Returns the bytes of the constants that an op reads, also through computations on constants."""
    pending, seen = [op], {op}
    total = 0
    while pending:
        for tensor in {tensor for tensor in pending.pop().inputs if tensor is not None}:
            producer = tensor.producer
            if tensor.buffer is not None:
                total += tensor.buffer.nbytes
            elif producer is not None and producer not in seen and constant(tensor) is not None:
                seen.add(producer)
                pending.append(producer)
    return total


def uniform(tensor: Tensor | None) -> float | None:
    """Returns the value that all elements of a tensor have, or None when they differ or are not known."""
    op = tensor.producer if tensor is not None else None
    if op is not None and op.kind == "NEG":
        value = uniform(op.input(0))
        return None if value is None else -value
    if op is not None and op.kind in ("BROADCAST_TO", "FILL"):  # the shape may be computed at run time
        return uniform(op.input({"BROADCAST_TO": 0, "FILL": 1}[op.kind]))
    values = constant(tensor)
    if values is None or not values.size:
        return None
    flat = values.reshape(-1)
    for part in (flat[:64], flat):  # most tensors of several values show themselves in the first ones
        if not np.all(part == flat[0]):
            return None
    return float(flat[0])


def _evaluate(tensor: Tensor) -> Array | None:
    """Evaluates each op below the tensor once, and drops what no other op there needs any more."""
    order = _ops_below(tensor)
    if order is None:
        return None
    readers = Counter(source for op in order for source in op.inputs)
    values: dict[Tensor | None, Array] = {}
    for op in order:
        result = _fold(op, [_known(source, values) for source in op.inputs if source is not None])
        if result is None:
            return None
        values[op.output] = result
        for source in op.inputs:
            readers[source] -= 1
            if not readers[source]:
                values.pop(source, None)
    return values[tensor]


def _known(tensor: Tensor, values: dict[Tensor | None, Array]) -> Array:
    if tensor.is_constant:
        return tensor.values
    return values[tensor] if tensor in values else _values[tensor]


def _ops_below(tensor: Tensor) -> list[Op] | None:
    """The ops that compute a tensor from constants, in an order in which they run, or None where there is another."""
    order: list[Op] = []
    done: set[Op] = set()
    pending: list[tuple[Tensor, bool]] = [(tensor, False)]
    while pending:
        current, is_ready = pending.pop()
        op = current.producer
        if op is None or op.kind not in _FOLDED or len(op.outputs) != 1 or current in _others:
            return None
        if op in done:
            continue
        if is_ready:
            done.add(op)
            order.append(op)
            continue
        pending.append((current, True))
        pending += [
            (source, False)
            for source in op.inputs
            if source is not None and not source.is_constant and source not in _values
        ]
    return order


def _fold(op: Op, operands: list[Any]) -> Array | None:
    if op.kind in _MOVES:
        return np.asarray(_MOVES[op.kind](op, *operands))
    if op.kind == "CAST":
        dtype = NUMPY_TYPES.get(op.output.record.type)
        return None if dtype is None else operands[0].astype(dtype)
    if op.kind == "DEQUANTIZE":
        return real_values(op.input(0))
    if any(values.dtype in (np.int8, np.uint8) for values in operands):
        return None
    if op.kind in ("DIV", "MEAN") and operands[0].dtype != np.float32:
        return None  # runtimes round quotients of integers towards 0
    if getattr(op.options, "fusedActivationFunction", NO_ACTIVATION) != NO_ACTIVATION:
        return None
    if op.kind == "MEAN":
        axes = tuple(int(axis) for axis in operands[1].reshape(-1))
        means = operands[0].mean(axis=axes, dtype=np.float64, keepdims=bool(getattr(op.options, "keepDims", False)))
        return np.asarray(means).astype(operands[0].dtype)
    with np.errstate(all="ignore"):
        return np.asarray(_ARITHMETIC[op.kind](*operands))


def _select(condition: Array, one: Array, two: Array) -> Array | None:
    """SELECT: a condition of rank 1 chooses whole rows."""
    if condition.ndim == 1 and one.ndim > 1:
        condition = condition.reshape(-1, *[1] * (one.ndim - 1))
    return np.where(condition, one, two)


_FOLDED = frozenset(("CAST", "DEQUANTIZE", "MEAN", *_MOVES, *_ARITHMETIC))
