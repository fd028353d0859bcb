"""What passes look for in a graph: constants, signs, binary kernels."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from .constants import constant, constant_bytes, constant_operand, is_computed_constant, uniform
from .custom_ops import NO_ACTIVATION, PACKED_KERNEL_OPS
from .graph import Array, Op, Tensor
from .signs import Sign, find_sign, sign_input

__all__ = [
    "KERNEL_CHANNEL_AXIS",
    "SIGN_MOVES",
    "Kernel",
    "Sign",
    "bias_index",
    "binary_kernel",
    "channel_axis",
    "constant",
    "constant_bytes",
    "constant_operand",
    "data_index",
    "data_input",
    "feeds_binary_kernel",
    "find_sign",
    "is_computed_constant",
    "is_signed",
    "joins_channels",
    "sign_input",
    "uniform",
]

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

_STOCK_KERNEL_OPS = ("BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_CHECKED_AT_ONCE = 1 << 20

_kernels: WeakKeyDictionary[Op, tuple[str, Tensor, Kernel | None]] = WeakKeyDictionary()
"""What was found before, with what it was found in: passes look at a kernel many times."""


@dataclass(frozen=True)
class Kernel:
    """A binary kernel: `weights[o] = scale[o] * (-1 where negative[o], else +1)`, output channels first."""

    scale: Array
    negative: Array

    @property
    def shows_signs(self) -> bool:
        """Whether the kernel alone tells that it is binary: several weights a channel, of both signs."""
        return bool(self.negative[0].size > 1 and self.negative.any() and not self.negative.all())


def data_index(op: Op) -> int:
    """Returns which input an op with a kernel convolves or multiplies."""
    return 2 if op.kind == "TRANSPOSE_CONV" else 0


def data_input(op: Op) -> Tensor | None:
    """Returns what an op with a kernel convolves or multiplies."""
    return op.input(data_index(op))


def bias_index(op: Op) -> int:
    """Returns which input of an op with a kernel is its bias."""
    return 3 if op.kind == "TRANSPOSE_CONV" else 2


def channel_axis(op: Op) -> int:
    """Returns the axis of output channels in the kernel of an op that has one."""
    return -2 if op.kind == "BATCH_MATMUL" and op.options.adjY else KERNEL_CHANNEL_AXIS[op.kind]


def binary_kernel(op: Op) -> Kernel | None:
    """Returns the kernel of an op when its weights have one absolute value per output channel."""
    weights = op.input(1) if op.kind in KERNEL_CHANNEL_AXIS else None
    if weights is None:
        return None
    known = _kernels.get(op)
    if known is None or known[:2] != (op.kind, weights):
        known = _kernels[op] = (op.kind, weights, _find_kernel(weights, channel_axis(op)))
    return known[2]


def _find_kernel(tensor: Tensor, axis: int) -> Kernel | None:
    weights = constant(tensor)
    if weights is None or weights.ndim < 2 or weights.size == 0 or weights.dtype not in (np.float32, np.int8):
        return None
    weights = np.moveaxis(weights, axis, 0)
    flat = weights.reshape(len(weights), -1)
    scale = np.abs(flat[:, 0].astype(np.float32))
    if not np.isfinite(scale).all() or not _has_sizes(flat[:, :64], scale):
        return None  # most real-valued kernels show themselves in the first columns
    rows = max(_CHECKED_AT_ONCE // flat.shape[1], 1)
    for start in range(0, len(flat), rows):
        if not _has_sizes(flat[start : start + rows], scale[start : start + rows]):
            return None
    return Kernel(scale, weights < 0)


def _has_sizes(rows: Array, scale: Array) -> bool:
    return bool((np.abs(rows.astype(np.float32, copy=False)) == scale[:, None]).all())


def feeds_binary_kernel(tensor: Tensor) -> bool:
    """Returns whether a binary kernel reads the tensor, perhaps behind ops that signs can move through."""
    pending, seen = [tensor], {tensor}
    while pending:
        source = pending.pop()
        for op in source.users:
            if op.kind == "BnnQuantize":  # there is one only where a binary kernel reads it
                return True
            is_packable = _is_packable(op) and data_input(op) is source and binary_kernel(op) is not None
            if is_packable or (op.kind in PACKED_KERNEL_OPS and op.input(0) is source):
                return True
            moves = (op.kind in SIGN_MOVES and op.input(0) is source) or joins_channels(op)
            if moves and op.output not in seen:
                seen.add(op.output)
                pending.append(op.output)
    return False


def _is_packable(op: Op) -> bool:
    """Whether there is a packed op for this op, if its kernel is binary."""
    if op.kind == "TRANSPOSE_CONV":  # its padding depends on the sizes of the images
        x = data_input(op)
        return x is not None and -1 not in (*x.dims[1:], *op.output.dims[1:])
    return op.kind in _STOCK_KERNEL_OPS


def is_signed(tensor: Tensor | None) -> bool:
    """Returns whether the tensor comes from a sign, perhaps through ops that signs can move through."""
    op = tensor.producer if tensor is not None else None
    if op is None:
        return False
    if op.kind == "BnnDequantize" or find_sign(op) is not None:
        return True
    if joins_channels(op):
        return all(is_signed(source) for source in op.inputs)
    return op.kind in SIGN_MOVES and is_signed(op.input(0))


def joins_channels(op: Op) -> bool:
    """Returns whether an op concatenates float32 tensors along their channels."""
    if op.kind != "CONCATENATION" or op.options is None or op.options.fusedActivationFunction != NO_ACTIVATION:
        return False
    rank = len(op.output.dims)
    is_known = rank > 0 and all(source is not None and len(source.dims) == rank for source in op.inputs)
    return is_known and op.options.axis in (-1, rank - 1) and op.output.type_name == "float32"
