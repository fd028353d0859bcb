"""The kernel of an op, whatever its layout in the file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .custom_ops import PACKED_KERNEL_OPS
from .graph import Op
from .larq_ops import LCE_CONV, lce_channels_in, lce_groups

KERNEL_OPS = frozenset(
    {
        *("BATCH_MATMUL", "CONV_2D", "CONV_3D", "CONV_3D_TRANSPOSE", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
        *("TRANSPOSE_CONV", LCE_CONV, *PACKED_KERNEL_OPS),
    }
)
"""The ops that multiply with a kernel, which is input 1."""

BITS_KERNEL_OPS = frozenset({LCE_CONV, *PACKED_KERNEL_OPS})
"""Those whose kernel is packed bits."""


@dataclass(frozen=True)
class KernelShape:
    """Sizes of a kernel.

    Attributes:
        filters: Output channels.
        taps: Kernel height, width and so on; empty for a dense op.
        channels: Input channels that one output channel reads.
        groups: How often the input channels are divided; as many as there are for a depthwise op.
    """

    filters: int
    taps: tuple[int, ...]
    channels: int
    groups: int = 1

    @property
    def products(self) -> int:
        """Products in one sum."""
        return math.prod(self.taps) * self.channels


def kernel_shape(op: Op) -> KernelShape | None:
    """Returns the sizes of an op's kernel; None for an op without one, or whose kernel has sizes that are free."""
    weights = op.input(1) if op.kind in KERNEL_OPS else None
    if weights is None or any(size < 1 for size in weights.dims):
        return None
    dims = weights.dims
    if op.kind in BITS_KERNEL_OPS:
        return _packed_shape(op, dims)
    if op.kind == "BATCH_MATMUL" and len(dims) >= 2:
        inner, outer = dims[-2:][::-1] if op.options.adjY else dims[-2:]
        return KernelShape(outer, (), inner)
    if op.kind == "FULLY_CONNECTED" and len(dims) == 2:
        return KernelShape(dims[0], (), dims[1])
    if op.kind in ("CONV_3D", "CONV_3D_TRANSPOSE") and len(dims) == 5:
        filters, channels = dims[3:] if op.kind == "CONV_3D_TRANSPOSE" else dims[:2:-1]
        return KernelShape(filters, dims[:3], channels)
    if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV") or len(dims) != 4:
        return None
    x = op.input(0)
    assert x is not None
    if op.kind == "DEPTHWISE_CONV_2D":
        return KernelShape(dims[3], dims[1:3], 1, max(x.dims[-1], 1))
    groups = max(x.dims[-1] // dims[3], 1) if op.kind == "CONV_2D" else 1
    return KernelShape(dims[0], dims[1:3], dims[3], groups)


def _packed_shape(op: Op, dims: tuple[int, ...]) -> KernelShape:
    if op.kind == LCE_CONV:
        channels, groups = lce_channels_in(op), lce_groups(op)
        return KernelShape(dims[0], dims[1:3], channels // groups, groups)
    channels = op.options["channels_in"]
    if op.kind == "BnnDepthwiseConv2D":
        per_channel = op.input(2)  # the channels' last word of weights may be partly used
        assert per_channel is not None
        return KernelShape(per_channel.dims[0], dims[:2], 1, channels)
    if op.kind == "BnnFullyConnected":
        return KernelShape(dims[0], (), channels)
    groups = op.options.get("groups", 1)
    return KernelShape(dims[0], dims[1:3], channels // groups, groups)
