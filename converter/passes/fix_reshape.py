"""A RESHAPE next to packed ops gets a constant shape in place of SHAPE, STRIDED_SLICE and PACK.

These ops read a float32 tensor only for its shape, and would keep it alive.
"""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Op
from ..patterns import is_signed
from .base import Match, Pass


class FixReshape(Pass[Match]):
    """Makes the shape constant where at most one dimension is dynamic; the runtime computes that one."""

    name = "fix reshape"

    def match(self, graph: Graph, op: Op) -> Match | None:
        x, shape = op.input(0), op.input(1)
        if op.kind != "RESHAPE" or x is None or shape is None or shape.is_constant or op.output.dims.count(-1) > 1:
            return None
        from_packed = is_signed(x) or (x.producer is not None and x.producer.is_packed)
        return Match(op) if from_packed or any(user.kind == "BnnQuantize" for user in op.output.users) else None

    def rewrite(self, graph: Graph, match: Match) -> None:
        shape = match.op.input(1)
        assert shape is not None
        graph.set_input(match.op, 1, graph.add_constant(shape.name, np.array(match.op.output.dims, np.int32)))
