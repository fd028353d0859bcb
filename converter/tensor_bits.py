"""Which tensors are packed bits, and how many bits a value of any tensor takes."""

from __future__ import annotations

from .graph import Op, Tensor
from .kernel_shape import BITS_KERNEL_OPS, kernel_shape
from .larq_ops import LCE_MAX_POOL, LCE_QUANTIZE

_MOVES_WORDS = {"CONCATENATION", "EXPAND_DIMS", "PACK", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE"}


def packed_channels(tensor: Tensor | None) -> int | None:
    """Returns how many bits of a packed tensor's innermost dimension are in use; None where the values are no bits."""
    op = tensor.producer if tensor is not None else None
    if op is None or tensor is None or tensor.type_name != "int32":
        return None
    source = op.input(0)
    if op.kind in ("BnnQuantize", LCE_QUANTIZE):
        return source.dims[-1] if source is not None and source.dims else None
    if op.kind in ("BnnMaxPool2D", LCE_MAX_POOL):
        return packed_channels(source)
    if op.kind in BITS_KERNEL_OPS:
        shape = kernel_shape(op)
        return None if shape is None else shape.filters
    return _moved_channels(op, tensor) if op.kind in _MOVES_WORDS else None


def shape_in_channels(tensor: Tensor) -> tuple[int, ...]:
    """Returns a tensor's shape, in channels where the file has words; -1 for a free size."""
    channels = packed_channels(tensor)
    return tensor.dims if channels is None else (*tensor.dims[:-1], channels)


def data_type(tensor: Tensor) -> str:
    """Returns "bits" for a packed tensor, and the element type of any other."""
    return tensor.type_name if packed_channels(tensor) is None else "bits"


def value_bits(tensor: Tensor | None) -> int | None:
    """Returns the bits of one value: 1 for a packed tensor, else those of its type; None where these are not fixed."""
    if tensor is None:
        return None
    if packed_channels(tensor) is not None:
        return 1
    if tensor.type_name == "bool":
        return 8
    digits = tensor.type_name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) if digits.isdecimal() else None


def _moved_channels(op: Op, tensor: Tensor) -> int | None:
    """The channels behind an op on words: those of whole pixels, as often as pixels stand in a row."""
    for source in op.inputs:
        channels = packed_channels(source)
        if source is not None and channels is not None and tensor.dims and source.dims[-1] > 0:
            return channels * max(tensor.dims[-1] // source.dims[-1], 1)
    return None
