"""MUL and ADD with per-channel constants move in front of the max-pool that they read, where they can be folded.

    max(a, b) * m = max(a * m, b * m)  for m >= 0        max(a, b) + c = max(a + c, b + c)

Rounding is monotone, so both sides are equal bit for bit. A negative m would turn the maximum into a minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..custom_ops import NO_ACTIVATION
from ..graph import Graph, Op
from ..patterns import constant_operand
from .base import Match, Pass, Refusal, float_producer
from .fold_scale import folded


@dataclass(frozen=True)
class PoolMatch(Match):
    """A MUL or ADD and the max-pool in front of it."""

    pool: Op


class RaiseScale(Pass[PoolMatch]):
    """Moves batch normalization from behind a max-pool to the packed op in front of it."""

    name = "raise scale"

    def match(self, graph: Graph, op: Op) -> PoolMatch | Refusal | None:
        operand = constant_operand(op) if op.kind in ("ADD", "MUL") else None
        if operand is None:
            return None
        y, values = operand
        pool = y.producer
        if pool is None or pool.kind != "MAX_POOL_2D" or pool.options.fusedActivationFunction != NO_ACTIVATION:
            return None
        packed = float_producer(pool.input(0))
        if packed is None or folded(op, packed, values) is None or op.output.dims != y.dims:
            return None
        if graph.only_user(y) is not op or graph.only_user(packed.output) is not pool:
            return None
        if op.kind == "MUL" and not np.all(values >= 0):
            negative = np.count_nonzero(~(values >= 0))
            return Refusal(
                f"a max-pool stands before it and {negative} of its {values.size} factors are negative, so that it "
                "cannot move in front and both compute in float32",
                "put MaxPooling2D behind BatchNormalization",
            )
        return PoolMatch(op, pool)

    def rewrite(self, graph: Graph, match: PoolMatch) -> None:
        op, pool = match.op, match.pool
        x = pool.input(0)
        assert x is not None
        moved = graph.add_tensor(f"{op.name}/before_pool", x.dims)
        inputs = [x if tensor is pool.output else tensor for tensor in op.inputs]
        graph.add_op(op.kind, inputs, [moved], op.options, before=pool)
        graph.set_input(pool, 0, moved)
        graph.absorb(pool, op)
