"""MUL and ADD per channel in front of a sign become the sign's own multiplier and bias.

A batch normalization in front of a sign, or the trainable threshold of ReActNet's RSign. Others may read what it
computes as well: a sign of x is as cheap, and the op that computes x can give it beside x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..custom_ops import NO_ACTIVATION
from ..graph import Array, Graph, Op, Tensor
from ..patterns import constant_operand
from .base import Match, Pass, per_channel_values


@dataclass(frozen=True)
class ShiftMatch(Match):
    """A BnnQuantize, what it reads instead, and its multiplier and bias."""

    x: Tensor
    multiplier: Array
    bias: Array


class FoldShift(Pass[ShiftMatch]):
    """Folds what is computed for a sign alone."""

    name = "fold shift"

    def match(self, graph: Graph, op: Op) -> ShiftMatch | None:
        if op.kind != "BnnQuantize" or len(op.inputs) != 1:
            return None
        x = op.input(0)
        assert x is not None
        channels = x.dims[-1]
        multiplier, bias = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        folded = False
        for kind in ("ADD", "MUL"):
            operand = _operand(x, kind)
            if operand is None:
                continue
            x, values = operand
            multiplier, bias = (values, bias) if kind == "MUL" else (multiplier, values)
            folded = True
        return ShiftMatch(op, x, multiplier, bias) if folded else None

    def rewrite(self, graph: Graph, match: ShiftMatch) -> None:
        op = match.op
        name = op.name.removesuffix("/bits")
        multiplier = graph.add_constant(f"{name}/multiplier", match.multiplier)
        bias = graph.add_constant(f"{name}/bias", match.bias)
        graph.morph(op, op.kind, [match.x, multiplier, bias], {})


def _operand(y: Tensor, kind: str) -> tuple[Tensor, Array] | None:
    """Returns x and values per channel when y is x times or plus them."""
    op = y.producer
    if op is None or op.kind != kind or op.options.fusedActivationFunction != NO_ACTIVATION:
        return None
    operand = constant_operand(op)
    if operand is None or operand[0].dims != y.dims or operand[0].type_name != "float32":
        return None
    values = per_channel_values(operand[1], y.dims[-1])
    return None if values is None else (operand[0], values)
