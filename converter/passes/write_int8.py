"""A QUANTIZE that alone reads what a packed op computes is dropped: the op writes int8 itself.

Both round the quotient y / scale, halves away from 0.
"""

from __future__ import annotations

from ..custom_ops import PACKED_KERNEL_OPS
from ..graph import Graph, Op
from ..quantization import per_tensor
from .base import Match, Pass


class WriteInt8(Pass[Match]):
    """Lets packed ops and BnnDequantize write int8."""

    name = "write int8"

    def match(self, graph: Graph, op: Op) -> Match | None:
        y = op.input(0)
        packed = y.producer if y is not None else None
        if op.kind != "QUANTIZE" or y is None or packed is None or y.type_name != "float32":
            return None
        if packed.kind not in (*PACKED_KERNEL_OPS, "BnnDequantize") or graph.only_user(y) is not op:
            return None
        return Match(op) if op.output.type_name == "int8" and per_tensor(op.output) is not None else None

    def rewrite(self, graph: Graph, match: Match) -> None:
        y = match.op.input(0)
        assert y is not None
        assert y.producer is not None
        graph.absorb(y.producer, match.op)
