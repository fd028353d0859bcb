"""A sign with multiplier and bias moves in front of the max-pool that it reads, also where a multiplier is negative.

The sign of `max(a, b) * m + c` is the maximum of both signs where m is positive, their minimum where it is negative:
then the larger of a and b is the more negative one afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..bits import pack_signs
from ..custom_ops import NO_ACTIVATION
from ..graph import Graph, Op
from .base import Match, Pass, add_quantize
from .lower_bits import pool_options


@dataclass(frozen=True)
class PooledSignMatch(Match):
    """A BnnQuantize with multiplier and bias, and the max-pool in front of it."""

    pool: Op


class PoolSigns(Pass[PooledSignMatch]):
    """Pools bits in place of numbers."""

    name = "pool signs"

    def match(self, graph: Graph, op: Op) -> PooledSignMatch | None:
        y = op.input(0)
        pool = y.producer if op.kind == "BnnQuantize" and len(op.inputs) == 3 and y is not None else None
        if pool is None or y is None or pool.kind != "MAX_POOL_2D" or graph.only_user(y) is not op:
            return None
        return PooledSignMatch(op, pool) if pool.options.fusedActivationFunction == NO_ACTIVATION else None

    def rewrite(self, graph: Graph, match: PooledSignMatch) -> None:
        op, pool = match.op, match.pool
        x, multiplier = pool.input(0), op.input(1)
        assert x is not None
        assert multiplier is not None
        bits = add_quantize(graph, x, *op.inputs[1:], before=pool)
        inputs, falls = [bits], multiplier.values < 0
        if falls.any():
            inputs.append(graph.add_constant(f"{op.name}/minimum", pack_signs(falls)))
        graph.morph(op, "BnnMaxPool2D", inputs, pool_options(pool))
