"""RESHAPE to rows, FULLY_CONNECTED, RESHAPE back: one FULLY_CONNECTED that keeps the leading dimensions.

The stock converter writes a dense layer on rank 3 and more this way, with ops that compute the shapes at run time.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from ..graph import Graph, Op, Tensor
from ..patterns import binary_kernel
from .base import Match, Pass

VERSION_WITH_KEEP_NUM_DIMS = 5


@dataclass(frozen=True)
class RowsMatch(Match):
    """A dense op, the tensor before it became rows, and the reshape behind it."""

    x: Tensor
    restore: Op


class KeepRank(Pass[RowsMatch]):
    """Drops the two reshapes around a binary dense op."""

    name = "keep rank"

    def match(self, graph: Graph, op: Op) -> RowsMatch | None:
        if op.kind != "FULLY_CONNECTED" or binary_kernel(op) is None:
            return None
        rows, weights = op.input(0), op.input(1)
        flatten = rows.producer if rows is not None else None
        restore = graph.only_user(op.output)
        if flatten is None or flatten.kind != "RESHAPE" or restore is None or restore.kind != "RESHAPE":
            return None
        x = flatten.input(0)
        if x is None or rows is None or weights is None or len(rows.dims) != 2:
            return None
        keeps_dims = restore.output.dims == (*x.dims[:-1], weights.dims[0]) and x.dims[:-1].count(-1) <= 1
        return RowsMatch(op, x, restore) if keeps_dims and x.dims[-1] == weights.dims[1] else None

    def rewrite(self, graph: Graph, match: RowsMatch) -> None:
        match.op.options = copy.copy(match.op.options)
        match.op.options.keepNumDims = True
        match.op.version = max(match.op.version, VERSION_WITH_KEEP_NUM_DIMS)
        graph.absorb(match.op, match.restore)
        graph.set_input(match.op, 0, match.x)
