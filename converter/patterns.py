"""What passes look for in a graph: constants, signs, binary kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .custom_ops import PACKED_KERNEL_OPS
from .graph import Array, Op, Tensor

SIGN_MOVES = {"EXPAND_DIMS", "MAX_POOL_2D", "PAD", "PADV2", "RESHAPE", "SPACE_TO_BATCH_ND", "SQUEEZE"}
"""Ops with one data input that compute the same on signs as on any numbers; a binary kernel behind them reads signs."""

KERNEL_CHANNEL_AXIS = {
    "BATCH_MATMUL": -1,
    "CONV_2D": 0,
    "CONV_3D": -1,
    "DEPTHWISE_CONV_2D": -1,
    "FULLY_CONNECTED": 0,
    "TRANSPOSE_CONV": 0,
}
"""Ops with a kernel, which is input 1, and the kernel's axis of output channels."""

_STOCK_KERNEL_OPS = ("CONV_2D", "FULLY_CONNECTED")
_DATA_INPUT = {"TRANSPOSE_CONV": 2}

_BLOCK = 2**20
"""Weights that are looked at in one go."""

_FOLDS: dict[str, Callable[..., Any]] = {
    "DEQUANTIZE": lambda values: values.astype(np.float32),
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "NEG": np.negative,
    "RESHAPE": lambda values, shape: values.reshape(shape),
    "SELECT": np.where,
    "SELECT_V2": np.where,
    "SIGN": np.sign,
    "TRANSPOSE": np.transpose,
}


def constant(tensor: Tensor | None) -> Array | None:
    """Returns the values of a constant, or of a computation on constants that converters leave in kernels."""
    if tensor is None:
        return None
    if tensor.is_constant:
        return tensor.values
    op = tensor.producer
    if op is None or op.kind not in _FOLDS:
        return None
    values = [constant(source) for source in op.inputs]
    if any(value is None for value in values) or (op.kind == "DEQUANTIZE" and values[0].dtype != np.float16):  # type: ignore[union-attr]
        return None
    return np.asarray(_FOLDS[op.kind](*values))


def constant_operand(op: Op) -> tuple[Tensor, Array] | None:
    """Returns the computed and the constant operand of an op with two operands, in either order."""
    for index in (0, 1):
        x, values = op.input(index), constant(op.input(1 - index))
        if values is not None and x is not None and constant(x) is None:
            return x, values
    return None


def constant_bytes(op: Op) -> int:
    """Returns the bytes of the constants that an op reads, also through computations on constants."""
    total = 0
    for tensor in op.inputs:
        if tensor is not None and tensor.buffer is not None:
            total += tensor.buffer.nbytes
        elif tensor is not None and tensor.producer is not None and constant(tensor) is not None:
            total += constant_bytes(tensor.producer)
    return total


def uniform(tensor: Tensor | None) -> float | None:
    """Returns the value that all elements of a tensor have, or None when they differ or are not known."""
    values = constant(tensor)
    if values is not None:
        return float(values.flat[0]) if values.size and np.all(values == values.flat[0]) else None
    op = tensor.producer if tensor is not None else None
    if op is None:
        return None
    if op.kind == "NEG":
        value = uniform(op.input(0))
        return None if value is None else -value
    return uniform(op.input({"BROADCAST_TO": 0, "FILL": 1}[op.kind])) if op.kind in ("BROADCAST_TO", "FILL") else None


def sign_input(op: Op | None) -> Tensor | None:
    """Returns x when `op` computes +1 for x >= 0 and else -1, in one of the forms that converters write."""
    if op is None or op.kind not in _SIGN_FORMS:
        return None
    x = _SIGN_FORMS[op.kind](op)
    if x is None or x.type_name != op.output.type_name or x.dims != op.output.dims:
        return None
    return x


def _select_sign(op: Op) -> Tensor | None:
    """where(x >= 0, 1, -1) or where(x < 0, -1, 1)."""
    condition, if_true, if_false = op.inputs
    comparison = _comparison_with_zero(condition)
    if comparison is None:
        return None
    x, is_negative = comparison
    expected = (-1.0, 1.0) if is_negative else (1.0, -1.0)
    return x if (uniform(if_true), uniform(if_false)) == expected else None


def _cast_sign(op: Op) -> Tensor | None:
    """cast(x >= 0) * 2 - 1."""
    scaled, one = op.inputs
    if scaled is None or scaled.producer is None or scaled.producer.kind != "MUL" or uniform(one) != 1.0:
        return None
    cast, two = scaled.producer.inputs
    if cast is None or cast.producer is None or cast.producer.kind != "CAST" or uniform(two) != 2.0:
        return None
    comparison = _comparison_with_zero(cast.producer.input(0))
    return comparison[0] if comparison is not None and not comparison[1] else None


def _shifted_sign(op: Op) -> Tensor | None:
    """sign(sign(x) + 0.1), larq's form."""
    shifted = op.input(0)
    if shifted is None or shifted.producer is None or shifted.producer.kind != "ADD":
        return None
    for index in (0, 1):
        sign, shift = shifted.producer.input(index), uniform(shifted.producer.input(1 - index))
        if sign is not None and sign.producer is not None and sign.producer.kind == "SIGN" and shift is not None:
            return sign.producer.input(0) if 0.0 < shift < 1.0 else None
    return None


_SIGN_FORMS: dict[str, Callable[[Op], Tensor | None]] = {
    "SELECT": _select_sign,
    "SELECT_V2": _select_sign,
    "SUB": _cast_sign,
    "SIGN": _shifted_sign,
}

_COMPARISONS = {  # (op, index of x): whether the comparison of x with 0 is x < 0 rather than x >= 0
    ("GREATER_EQUAL", 0): False,
    ("LESS_EQUAL", 1): False,
    ("LESS", 0): True,
    ("GREATER", 1): True,
}


def _comparison_with_zero(condition: Tensor | None) -> tuple[Tensor, bool] | None:
    op = condition.producer if condition is not None else None
    if op is None:
        return None
    for index in (0, 1):
        x = op.input(index)
        if x is not None and (op.kind, index) in _COMPARISONS and uniform(op.input(1 - index)) == 0.0:
            return x, _COMPARISONS[op.kind, index]
    return None


@dataclass(frozen=True)
class Kernel:
    """A binary kernel: `weights[o] = scale[o] * (-1 where negative[o], else +1)`, output channels first."""

    scale: Array
    negative: Array

    @property
    def shows_signs(self) -> bool:
        """Whether the kernel alone tells that it is binary: several weights a channel, of both signs."""
        return bool(self.negative[0].size > 1 and self.negative.any() and not self.negative.all())


def data_input(op: Op) -> Tensor | None:
    """Returns what an op with a kernel convolves or multiplies."""
    return op.input(_DATA_INPUT.get(op.kind, 0))


def binary_kernel(op: Op) -> Kernel | None:
    """Returns the kernel of an op when its weights have one absolute value per output channel."""
    axis = KERNEL_CHANNEL_AXIS.get(op.kind)
    weights = constant(op.input(1)) if axis is not None else None
    if weights is None or weights.ndim < 2 or weights.size == 0 or weights.dtype not in (np.float32, np.int8):
        return None
    weights = np.moveaxis(weights, axis, 0)  # type: ignore[arg-type]
    flat = weights.reshape(len(weights), -1)
    scale = np.abs(flat[:, 0].astype(np.float32))
    if not np.isfinite(scale).all() or not _has_sizes(flat[:, :64], scale):  # where most real-valued kernels differ
        return None
    step = max(1, _BLOCK // flat.shape[1])  # in blocks of channels, so that copies of large kernels stay small
    blocks = (slice(first, first + step) for first in range(0, len(flat), step))
    return Kernel(scale, weights < 0) if all(_has_sizes(flat[block], scale[block]) for block in blocks) else None


def _has_sizes(rows: Array, sizes: Array) -> bool:
    """Whether all values of a row have its absolute value."""
    return bool((np.abs(rows.astype(np.float32, copy=False)) == sizes[:, None]).all())


def feeds_binary_kernel(tensor: Tensor) -> bool:
    """Returns whether a binary kernel reads the tensor, perhaps behind ops that signs can move through."""
    for op in tensor.users:
        if op.kind == "BnnQuantize":  # there is one only where a binary kernel reads it
            return True
        is_kernel_op = op.kind in PACKED_KERNEL_OPS or (op.kind in _STOCK_KERNEL_OPS and binary_kernel(op) is not None)
        if is_kernel_op and op.input(0) is tensor:
            return True
        if op.kind in SIGN_MOVES and op.input(0) is tensor and feeds_binary_kernel(op.output):
            return True
    return False


def is_signed(tensor: Tensor | None) -> bool:
    """Returns whether the tensor comes from a sign, perhaps through ops that signs can move through."""
    op = tensor.producer if tensor is not None else None
    if op is None:
        return False
    if op.kind == "BnnDequantize" or sign_input(op) is not None:
        return True
    return op.kind in SIGN_MOVES and is_signed(op.input(0))
