"""A packed op that reads float32 +1 and -1 from BnnDequantize reads the bits themselves.

A dense op may read a whole image as one row. Where the channels are no multiple of 32, each pixel ends in unused bits;
the weights are laid out again with 0 at the same places.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..bits import pack_signs, unpack_signs
from ..custom_ops import PACKED_KERNEL_OPS
from ..graph import Graph, Op, Tensor
from ..patterns import is_signed
from .base import Match, Pass, Refusal


@dataclass(frozen=True)
class BitsMatch(Match):
    """A packed op and the bits it can read."""

    bits: Tensor


class ReadBits(Pass[BitsMatch]):
    """Connects packed ops by bits."""

    name = "read bits"

    def match(self, graph: Graph, op: Op) -> BitsMatch | Refusal | None:
        x = op.input(0)
        if op.kind not in PACKED_KERNEL_OPS or x is None or x.type_name != "float32" or not is_signed(x):
            return None
        source = x.producer
        assert source is not None
        bits = source.input(0)
        if source.kind == "BnnDequantize" and bits is not None:
            return BitsMatch(op, bits)
        return Refusal(
            f"{source.kind} between its sign and itself does not work on bits, so it reads +1 and -1 as float32"
        )

    def rewrite(self, graph: Graph, match: BitsMatch) -> None:
        op = match.op
        x, weights, channels = op.input(0), op.input(1), op.options["channels_in"]
        assert x is not None
        assert weights is not None
        if op.kind == "BnnFullyConnected" and x.dims[-1] != channels:
            negative = unpack_signs(weights.values, channels)
            pixels = negative.reshape(len(negative), -1, x.dims[-1])
            rows = pack_signs(pixels).reshape(len(negative), -1)
            graph.set_input(op, 1, graph.add_constant(weights.name, rows))
        graph.set_input(op, 0, match.bits)
