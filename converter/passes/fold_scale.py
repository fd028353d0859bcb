"""MUL and ADD with per-channel constants behind a packed op become its multiplier and bias.

The stock converter leaves them where batch normalization stands behind an activation or a reshaped convolution. Only
foldings that round exactly as before are made: MUL into a multiplier of 1 without bias, ADD into a bias of 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..custom_ops import ACTIVATIONS, NO_ACTIVATION
from ..graph import Array, Graph, Op
from ..patterns import constant, constant_operand
from .base import Match, Pass, float_producer, per_channel_values

_MULTIPLIER, _BIAS = 2, 3


@dataclass(frozen=True)
class ScaleMatch(Match):
    """A packed op, and the multiplier, bias and activations that it gets."""

    packed: Op
    multiplier: Array
    bias: Array
    options: dict[str, int]


class FoldScale(Pass[ScaleMatch]):
    """Folds what is left of a batch normalization."""

    name = "fold scale"

    def match(self, graph: Graph, op: Op) -> ScaleMatch | None:
        operand = constant_operand(op) if op.kind in ("ADD", "MUL") else None
        if operand is None:
            return None
        y, values = operand
        packed = float_producer(y)
        if packed is None or graph.only_user(y) is not op or op.output.dims != y.dims:
            return None
        return folded(op, packed, values)

    def rewrite(self, graph: Graph, match: ScaleMatch) -> None:
        packed = match.packed
        graph.absorb(packed, match.op)
        packed.options = match.options
        for index, values in ((_MULTIPLIER, match.multiplier), (_BIAS, match.bias)):
            old = packed.input(index)
            assert old is not None
            graph.set_input(packed, index, graph.add_constant(old.name, values))


def folded(op: Op, packed: Op, values: Array) -> ScaleMatch | None:
    """Returns what a packed op becomes with a MUL or ADD behind it, or None when that would round otherwise."""
    if op.options.fusedActivationFunction not in ACTIVATIONS or packed.options["steps"]:
        return None
    multiplier, bias = (constant(packed.input(index)) for index in (_MULTIPLIER, _BIAS))
    assert multiplier is not None
    assert bias is not None
    per_channel = per_channel_values(values, len(multiplier))
    if per_channel is None or bias.any():
        return None
    options = packed.options | {"activation": int(op.options.fusedActivationFunction)}
    if op.kind == "ADD" and packed.options["activation"] == NO_ACTIVATION:
        return ScaleMatch(op, packed, multiplier, per_channel, options)
    if op.kind == "MUL" and np.all(multiplier == 1) and packed.options["pre_activation"] == NO_ACTIVATION:
        options["pre_activation"] = packed.options["activation"]
        return ScaleMatch(op, packed, per_channel, bias, options)
    return None
