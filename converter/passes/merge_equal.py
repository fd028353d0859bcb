"""Equal packed ops on the same tensor become one, so that several users of a sign share its bits."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Graph, Op
from .base import Match, Pass

_KINDS = ("BnnDequantize", "BnnMaxPool2D", "BnnQuantize")


@dataclass(frozen=True)
class EqualMatch(Match):
    """An op and the earlier one that computes the same."""

    first: Op


class MergeEqual(Pass[EqualMatch]):
    """Merges equal BnnQuantize, BnnDequantize and BnnMaxPool2D ops."""

    name = "merge equal"

    def match(self, graph: Graph, op: Op) -> EqualMatch | None:
        x = op.input(0)
        if op.kind not in _KINDS or x is None or len(x.users) < 2 or graph.is_kept(op.output):
            return None
        equal = [user for user in x.users if user.kind == op.kind and user.options == op.options]
        first = min(equal, key=graph.ops.index)
        return EqualMatch(op, first) if first is not op else None

    def rewrite(self, graph: Graph, match: EqualMatch) -> None:
        graph.replace_uses(match.op.output, match.first.output)
