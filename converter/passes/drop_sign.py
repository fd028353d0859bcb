"""The sign of values that are +1 and -1 already is dropped."""

from __future__ import annotations

from dataclasses import dataclass

from ..custom_ops import NO_ACTIVATION
from ..graph import Graph, Op, Tensor
from ..patterns import uniform
from ..signs import RESHAPES
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
        is_same = source.type_name == op.output.type_name and op.kind == "BnnDequantize"
        return SameMatch(op, source) if is_same and _is_sign(x.producer) and _holds_signs(source) else None

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
    return source is not None and (op.kind in RESHAPES or _pools(op) or _pads_with_sign(op)) and _holds_signs(source)


def _pools(op: Op) -> bool:
    """A ReLU behind the pool would make 0 of -1."""
    return op.kind == "MAX_POOL_2D" and bool(op.options.fusedActivationFunction == NO_ACTIVATION)


def _pads_with_sign(op: Op) -> bool:
    return op.kind == "PADV2" and uniform(op.input(2)) in (1.0, -1.0)
