"""Thresholds of packed ops as limits of their sums."""

from __future__ import annotations

import numpy as np

from .graph import Array, Op
from .kernel_shape import BITS_KERNEL_OPS, kernel_shape
from .larq_ops import LCE_CONV
from .patterns import constant
from .tensor_bits import value_bits

_THRESHOLDS, _LCE_THRESHOLDS = 2, 4
_INT32 = np.iinfo(np.int32)


def find_limits(op: Op) -> Array | None:
    """Returns the sum of each channel below which its output is -1; None for an op without thresholds.

    It is -inf where every sum gives +1, and inf where every sum gives -1.
    """
    if op.kind not in BITS_KERNEL_OPS:
        return None
    values = constant(op.input(_LCE_THRESHOLDS if op.kind == LCE_CONV else _THRESHOLDS))
    shape = kernel_shape(op)
    if values is None or shape is None or values.dtype != np.int32 or len(values) != shape.filters:
        return None
    limits = values.astype(np.float64)
    if op.kind == LCE_CONV:  # it counts the products that are -1: more than the threshold of them give -1
        limits = shape.products - 2 * limits
        limits[values == _INT32.max], limits[values == _INT32.min] = -np.inf, np.inf
    else:
        limits[values == _INT32.min], limits[values == _INT32.max] = -np.inf, np.inf
    if value_bits(op.input(0)) == 1:  # the sums of +-1 lie between +-products
        limits[limits <= -shape.products], limits[limits > shape.products] = -np.inf, np.inf
    return limits
