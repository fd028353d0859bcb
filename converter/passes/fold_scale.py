"""MUL and ADD with per-channel constants behind a packed op become its multiplier and bias.

The stock converter leaves them where batch normalization stands behind an activation or a reshaped convolution. Only
foldings that round exactly as before are made: MUL into a multiplier of 1 without bias, ADD into a bias of 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..custom_ops import NO_ACTIVATION
from ..graph import Array, Graph, Op, Tensor
from ..patterns import constant
from .base import Match, Pass, Refusal, float_producer

_MULTIPLIER, _BIAS = 2, 3
_LAST_KNOWN_ACTIVATION = 3


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

    def match(self, graph: Graph, op: Op) -> ScaleMatch | Refusal | None:
        if op.kind not in ("ADD", "MUL"):
            return None
        for index in (0, 1):
            values, y = constant(op.input(1 - index)), op.input(index)
            if values is not None and y is not None and not y.is_constant:
                return self._match(graph, op, y, values)
        return None

    def rewrite(self, graph: Graph, match: ScaleMatch) -> None:
        packed = match.packed
        graph.absorb(packed, match.op)
        packed.options = match.options
        for index, values in ((_MULTIPLIER, match.multiplier), (_BIAS, match.bias)):
            old = packed.input(index)
            assert old is not None
            graph.set_input(packed, index, graph.add_constant(old.name, values))

    def _match(self, graph: Graph, op: Op, y: Tensor, values: Array) -> ScaleMatch | Refusal | None:
        pool = y.producer
        if pool is not None and pool.kind == "MAX_POOL_2D" and float_producer(pool.input(0)) is not None:
            return Refusal(
                "a max-pool stands between it and its batch normalization, so that both compute in float32",
                "put MaxPooling2D behind BatchNormalization",
            )
        packed = float_producer(y)
        if packed is None or graph.only_user(y) is not op or op.output.dims != y.dims:
            return None
        if op.options.fusedActivationFunction > _LAST_KNOWN_ACTIVATION:
            return None
        old_multiplier, old_bias = (constant(packed.input(index)) for index in (_MULTIPLIER, _BIAS))
        per_channel = _per_channel(values, y.dims[-1])
        assert old_multiplier is not None
        assert old_bias is not None
        if per_channel is None or old_bias.any():
            return None
        options = packed.options | {"activation": int(op.options.fusedActivationFunction)}
        if op.kind == "ADD" and packed.options["activation"] == NO_ACTIVATION:
            return ScaleMatch(op, packed, old_multiplier, per_channel, options)
        if op.kind == "MUL" and np.all(old_multiplier == 1) and packed.options["pre_activation"] == NO_ACTIVATION:
            options["pre_activation"] = packed.options["activation"]
            return ScaleMatch(op, packed, per_channel, old_bias, options)
        return None


def _per_channel(values: Array, channels: int) -> Array | None:
    """Returns a constant as one value per channel, or None when it is more than that."""
    if values.size == 1:
        return np.full(channels, values.flat[0], np.float32)
    return values.reshape(-1) if values.shape[-1] == values.size == channels else None
