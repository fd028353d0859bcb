"""Two reshapes of words that undo each other are dropped, as between two Conv1D."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Graph, Op, Tensor
from ..signs import RESHAPES
from .base import Match, Pass


@dataclass(frozen=True)
class UndoneMatch(Match):
    """A reshape, and the tensor that already has its shape."""

    same: Tensor


class DropReshape(Pass[UndoneMatch]):
    """Lets the users of a reshaped reshape of bits read the bits as they were."""

    name = "drop reshape"

    def match(self, graph: Graph, op: Op) -> UndoneMatch | None:
        x = op.input(0)
        first = x.producer if x is not None and op.kind in RESHAPES else None
        source = first.input(0) if first is not None and first.kind in RESHAPES else None
        if source is None or source.producer is None or not source.producer.is_packed:
            return None
        if source.type_name != "int32" or graph.is_kept(op.output) or not op.output.users:
            return None
        is_same = source.dims == op.output.dims and source.dims.count(-1) <= 1
        return UndoneMatch(op, source) if is_same else None

    def rewrite(self, graph: Graph, match: UndoneMatch) -> None:
        graph.replace_uses(match.op.output, match.same)
