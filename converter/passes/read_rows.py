"""A flatten in front of BnnFullyConnected is dropped: the op reads its input as rows, wherever the dimensions lie."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Graph, Op, Tensor
from .base import Match, Pass
from .reshapes import reads_rows


@dataclass(frozen=True)
class FlattenMatch(Match):
    """A dense op and the tensor before the flatten."""

    x: Tensor


class ReadRows(Pass[FlattenMatch]):
    """Lets float32 dense ops read through a flatten; `read_bits` lays their weights out for packed pixels."""

    name = "read rows"

    def match(self, graph: Graph, op: Op) -> FlattenMatch | None:
        x = op.input(0)
        flatten = x.producer if x is not None else None
        if op.kind != "BnnFullyConnected" or x is None or x.type_name != "float32" or flatten is None:
            return None
        source = flatten.input(0)
        return FlattenMatch(op, source) if source is not None and reads_rows(flatten, [op]) else None

    def rewrite(self, graph: Graph, match: FlattenMatch) -> None:
        graph.set_input(match.op, 0, match.x)
