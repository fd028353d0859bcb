"""Equal packed ops on the same tensor become one, so that several users of a sign share its bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Graph, Op
from ..quantization import per_tensor
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
        equal = [user for user in x.users if _computes_same(user, op)]
        first = min(equal, key=graph.ops.rank)
        return EqualMatch(op, first) if first is not op else None

    def rewrite(self, graph: Graph, match: EqualMatch) -> None:
        graph.replace_uses(match.op.output, match.first.output)


def _computes_same(one: Op, other: Op) -> bool:
    if one.kind != other.kind or one.options != other.options or len(one.inputs) != len(other.inputs):
        return False
    if one.output.type_name != other.output.type_name or per_tensor(one.output) != per_tensor(other.output):
        return False
    return one.input(0) is other.input(0) and all(
        a is b or (a is not None and b is not None and np.array_equal(a.values, b.values))
        for a, b in zip(one.inputs[1:], other.inputs[1:], strict=True)
    )
