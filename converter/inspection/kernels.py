"""What a kernel holds: signs or numbers, repeated filters, thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_bnn.unique_filters import by_input_channel, unique_filters

from ..bits import unpack_signs
from ..graph import Array, Op
from ..kernel_shape import BITS_KERNEL_OPS, KernelShape, kernel_shape
from ..limits import find_limits
from ..patterns import binary_kernel, constant
from ..tensor_bits import value_bits
from .histogram import Histogram, histogram


@dataclass(frozen=True)
class InspectedKernel:
    """The kernel of an op.

    Attributes:
        shape: Taps, input channels of a filter, filters: (height, width, channels, filters) of a convolution.
        is_binary: Whether all weights of a filter are +-1, or + and - one number.
        negative_share: Share of -1 among the weights, from 0 to 1; None for a real-valued kernel.
        weights: Of a binary kernel, how many filters have which share of -1, in percent; else the weights' histogram.
        filters: How many 2-D filters a binary kernel has, larger than 1x1; 0 for other kernels.
        unique_filters: How many of them are different from the others on the same input channel, a filter and its
            inverse counting as one (arXiv:1602.02830).
        thresholds: The sums below which a channel's output is -1; None for an op without thresholds. Channels that
            always give the same bit are left out.
        always_plus: How many channels give +1 for every input.
        always_minus: How many channels give -1 for every input.
        multipliers: What the sums of each channel are multiplied with; None for an op without.
    """

    shape: tuple[int, ...]
    is_binary: bool
    negative_share: float | None
    weights: Histogram | None
    filters: int
    unique_filters: int
    thresholds: Histogram | None
    always_plus: int
    always_minus: int
    multipliers: Histogram | None


def inspect_kernel(op: Op) -> InspectedKernel | None:
    """Returns what the kernel of an op holds; None for an op without a kernel that the file knows."""
    shape = kernel_shape(op)
    weights = constant(op.input(1)) if shape is not None else None
    if shape is None or weights is None:
        return None
    negative = _negative(op, shape, weights)
    unique, filters = (0, 0) if negative is None else _count_filters(op, shape, negative)
    limits = find_limits(op)
    bends = np.zeros(0) if limits is None else limits[np.abs(limits) != np.inf]
    return InspectedKernel(
        shape=(*shape.taps, shape.channels, shape.filters),
        is_binary=negative is not None,
        negative_share=None if negative is None else float(negative.mean()),
        weights=histogram(weights)
        if negative is None
        else histogram(100 * negative.reshape(shape.filters, -1).mean(axis=1), low=0, high=100),
        filters=filters,
        unique_filters=unique,
        thresholds=histogram(bends),
        always_plus=0 if limits is None else int((limits == -np.inf).sum()),
        always_minus=0 if limits is None else int((limits == np.inf).sum()),
        multipliers=_multipliers(op),
    )


def _negative(op: Op, shape: KernelShape, weights: Array) -> Array | None:
    """Where a binary kernel is -1, as [filters, taps ..., channels]; None for a real-valued kernel."""
    if op.kind not in BITS_KERNEL_OPS:
        kernel = binary_kernel(op)
        if kernel is None or not kernel.shows_signs or kernel.negative.size != shape.filters * shape.products:
            return None
        # layouts with the filters last have the channels in front of them, so that only the filters move
        return kernel.negative.reshape(shape.filters, *shape.taps, shape.channels)
    if op.kind == "BnnDepthwiseConv2D":
        return np.moveaxis(unpack_signs(weights, shape.filters), -1, 0)[..., None]
    if op.kind == "BnnFullyConnected":
        x = op.input(0)
        assert x is not None
        is_packed = value_bits(x) == 1 or x.type_name == "int32"
        pixels = max(weights.shape[1] // x.dims[-1], 1) if is_packed and x.dims[-1] > 0 else 1
        if shape.channels % pixels != 0:  # as of no image
            pixels = 1
        by_pixel = weights.reshape(shape.filters, pixels, -1)  # each pixel's last word may be partly used
        return unpack_signs(by_pixel, shape.channels // pixels).reshape(shape.filters, -1)
    return unpack_signs(weights, shape.channels)


def _count_filters(op: Op, shape: KernelShape, negative: Array) -> tuple[int, int]:
    if len(shape.taps) != 2 or shape.taps == (1, 1):
        return 0, 0
    kernel = np.where(np.moveaxis(negative, 0, -1), -1, 1).astype(np.int8)
    return unique_filters(by_input_channel(kernel, shape.groups))


def _multipliers(op: Op) -> Histogram | None:
    values = constant(op.input(2)) if op.kind in BITS_KERNEL_OPS else None
    return None if values is None or values.dtype != np.float32 else histogram(values)
