"""The sign of values that are +1 and -1 already is dropped."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Graph, Op, Tensor
from ..patterns import uniform
from .base import Match, Pass


@dataclass(frozen=True)
class SameMatch(Match):
    """An op, and the tensor that already holds what it computes."""

    same: Tensor


class DropSign(Pass[SameMatch]):
    """Drops BnnQuantize behind BnnDequantize, and BnnDequantize behind BnnQuantize of signs."""

    name = "drop sign"

    def match(self, graph: Graph, op: Op) -> SameMatch | None:
        x = op.input(0)
        if x is None or x.producer is None or graph.is_kept(op.output) or not op.output.users:
            return None
        source = x.producer.input(0)
        if source is None:
            return None
        if _is_sign(op) and x.producer.kind == "BnnDequantize":
            return SameMatch(op, source)
        if op.kind == "BnnDequantize" and _is_sign(x.producer) and _holds_signs(source):
            return SameMatch(op, source)
        return None

    def rewrite(self, graph: Graph, match: SameMatch) -> None:
        graph.replace_uses(match.op.output, match.same)


def _is_sign(op: Op) -> bool:
    return op.kind == "BnnQuantize" and len(op.inputs) == 1


def _holds_signs(tensor: Tensor) -> bool:
    """Whether every value is +1 or -1."""
    op = tensor.producer
    if op is None:
        return False
    if op.kind == "BnnDequantize":
        return True
    source = op.input(0)
    if source is None or not (op.kind in ("EXPAND_DIMS", "MAX_POOL_2D", "RESHAPE", "SQUEEZE") or _pads_with_sign(op)):
        return False
    return _holds_signs(source)


def _pads_with_sign(op: Op) -> bool:
    return op.kind == "PADV2" and uniform(op.input(2)) in (1.0, -1.0)
