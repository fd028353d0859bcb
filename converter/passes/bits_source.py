"""The bits that a depthwise or transposed convolution can read, and what between it and them becomes part of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..custom_ops import VALID
from ..graph import Graph, Op, Tensor
from .base import Refusal
from .fold_dilation import dilated_options, padding_options
from .fold_padding import padding_of


@dataclass(frozen=True)
class BitsSource:
    """The bits, the options of the packed op that reads them, and the op behind it that becomes part of it, if any."""

    bits: Tensor
    options: dict[str, int]
    join: Op | None = None


def find_bits(graph: Graph, op: Op, x: Tensor, options: dict[str, int]) -> BitsSource | None:
    """Returns what a convolution of signs reads, or None where it is not signs alone.

    Args:
        graph: The graph.
        op: DEPTHWISE_CONV_2D or TRANSPOSE_CONV.
        x: What it convolves.
        options: The options of its packed op, as long as nothing is folded into it.
    """
    source, join = x.producer, None
    if op.kind == "DEPTHWISE_CONV_2D":
        behind, weights = graph.only_user(op.output), op.input(1)
        assert weights is not None
        size = weights.dims[1:3]
        if source is not None and source.kind == "SPACE_TO_BATCH_ND" and behind is not None:
            dilated = dilated_options(source, behind, options, size)
            if dilated is None or isinstance(dilated, Refusal):
                return None
            options, join, source = dilated, behind, _producer(source)
        if source is not None and source.kind in ("PAD", "PADV2") and options["padding"] == VALID:
            padding = padding_of(source)
            if isinstance(padding, Refusal):
                return None
            pads, value = padding
            options = options | padding_options(size, options, pads) | {"pad_value": value}
            source = _producer(source)
    bits = source.input(0) if source is not None and source.kind == "BnnDequantize" else None
    return BitsSource(bits, options, join) if bits is not None else None


def _producer(op: Op) -> Op | None:
    x = op.input(0)
    return x.producer if x is not None else None
