"""A packed op that reads float32 +1 and -1 from BnnDequantize reads the bits themselves.

A dense op reads them through a flatten too. Where the channels are no multiple of 32, each pixel ends in unused bits;
the weights are laid out again with 0 at the same places.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..bits import pack_signs, unpack_signs
from ..custom_ops import PACKED_KERNEL_OPS
from ..graph import Graph, Op, Tensor
from ..patterns import is_signed
from .base import Match, Pass, Refusal
from .reshapes import reads_rows


@dataclass(frozen=True)
class BitsMatch(Match):
    """A packed op, the bits it can read, and how many channels end in unused bits."""

    bits: Tensor
    channels: int


class ReadBits(Pass[BitsMatch]):
    """Connects packed ops by bits."""

    name = "read bits"

    def match(self, graph: Graph, op: Op) -> BitsMatch | Refusal | None:
        x = op.input(0)
        if op.kind not in PACKED_KERNEL_OPS or x is None or x.type_name != "float32":
            return None
        source = x.producer
        if source is None or not is_signed(x):
            return None
        if source.kind == "BnnDequantize":
            return BitsMatch(op, _bits(source), x.dims[-1])
        signs = source.input(0)
        dequantize = signs.producer if signs is not None else None
        if (
            signs is not None
            and dequantize is not None
            and dequantize.kind == "BnnDequantize"
            and reads_rows(source, [op])
        ):
            return BitsMatch(op, _bits(dequantize), signs.dims[-1])
        return Refusal(
            f"{source.kind} between its sign and itself does not work on bits, so it reads +1 and -1 as float32"
        )

    def rewrite(self, graph: Graph, match: BitsMatch) -> None:
        op = match.op
        weights = op.input(1)
        assert weights is not None
        if op.kind == "BnnFullyConnected" and match.channels != op.options["channels_in"]:
            negative = unpack_signs(weights.values, op.options["channels_in"])
            pixels = negative.reshape(len(negative), -1, match.channels)
            rows = pack_signs(pixels).reshape(len(negative), -1)
            graph.set_input(op, 1, graph.add_constant(weights.name, rows))
        graph.set_input(op, 0, match.bits)


def _bits(dequantize: Op) -> Tensor:
    bits = dequantize.input(0)
    assert bits is not None
    return bits
