"""A reshape of a sign's condition becomes a reshape of what is compared: reshape(x >= 0) = reshape(x) >= 0.

TensorFlow writes the former behind a Conv1D, and PyTorch's exporter inside its signs.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..constants import constant_operand
from ..graph import Array, Graph, Op, Tensor
from ..patterns import feeds_binary_kernel
from ..signs import COMPARISONS, RESHAPES, sign_behind
from .base import Match, Pass


@dataclass(frozen=True)
class ConditionMatch(Match):
    """A reshape of booleans, the comparison in front of it and what that compares."""

    comparison: Op
    x: Tensor


class RaiseReshape(Pass[ConditionMatch]):
    """Moves a reshape inside a sign in front of it."""

    name = "raise reshape"

    def match(self, graph: Graph, op: Op) -> ConditionMatch | None:
        condition = op.input(0)
        comparison = condition.producer if op.kind in RESHAPES and condition is not None else None
        if comparison is None or comparison.kind not in COMPARISONS or graph.only_user(comparison.output) is not op:
            return None
        operand = constant_operand(comparison)
        if operand is None or operand[0].type_name != "float32" or not _applies(operand[1], operand[0], op.output):
            return None
        sign = sign_behind(op.output)
        if sign is None or not feeds_binary_kernel(sign.output):
            return None
        return ConditionMatch(op, comparison, operand[0])

    def rewrite(self, graph: Graph, match: ConditionMatch) -> None:
        op, comparison = match.op, match.comparison
        reshaped = graph.add_tensor(f"{op.name}/reshaped", op.output.dims)
        graph.add_op(op.kind, [match.x, *op.inputs[1:]], [reshaped], op.options, before=op)
        operands = [reshaped if tensor is match.x else tensor for tensor in comparison.inputs]
        graph.morph(op, comparison.kind, operands, comparison.options)


def _applies(values: Array, before: Tensor, after: Tensor) -> bool:
    """Whether what x is compared with, a scalar or one value a channel, fits behind the reshape too."""
    if values.size == 1:
        return values.ndim <= len(after.dims)
    return values.shape == before.dims[-1:] == after.dims[-1:]
