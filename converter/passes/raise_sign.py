"""A sign moves in front of the max-pool, padding or reshape that it reads, so that these work on signs.

sign(max(a, b)) = max(sign(a), sign(b))      sign(pad(x, v)) = pad(sign(x), sign(v))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..custom_ops import NO_ACTIVATION
from ..graph import Graph, Op
from ..patterns import is_signed, uniform
from .base import Match, Pass, Refusal, add_quantize
from .reshapes import moves_bits, reads_rows


@dataclass(frozen=True)
class MoverMatch(Match):
    """The op in front of a BnnQuantize that gets signs to read."""

    mover: Op


class RaiseSign(Pass[MoverMatch]):
    """Lets the op in front of a BnnQuantize read signs; the BnnQuantize behind it then changes nothing."""

    name = "raise sign"

    def match(self, graph: Graph, op: Op) -> MoverMatch | Refusal | None:
        y = op.input(0)
        mover = y.producer if op.kind == "BnnQuantize" and len(op.inputs) == 1 and y is not None else None
        x = mover.input(0) if mover is not None else None
        if mover is None or y is None or x is None or graph.only_user(y) is not op or is_signed(x):
            return None
        if mover.kind == "MAX_POOL_2D":
            if mover.options.fusedActivationFunction != NO_ACTIVATION:
                return Refusal(
                    "the max-pool before its sign has a fused activation", "put the activation before the pool"
                )
            return MoverMatch(op, mover)
        if mover.kind in ("PAD", "PADV2"):
            is_known = mover.kind == "PAD" or (y.type_name == "float32" and uniform(mover.input(2)) is not None)
            return MoverMatch(op, mover) if is_known else None
        if moves_bits(mover) or reads_rows(mover, _users_of_sign(op)):
            return MoverMatch(op, mover)
        return None

    def rewrite(self, graph: Graph, match: MoverMatch) -> None:
        mover = match.mover
        x = mover.input(0)
        assert x is not None
        signs = graph.add_tensor(f"{x.name}/signs", x.dims)
        bits = add_quantize(graph, x, before=mover)
        graph.add_op("BnnDequantize", [bits], [signs], {"channels": x.dims[-1]}, before=mover)
        graph.set_input(mover, 0, signs)
        if mover.output.type_name != "float32":
            moved = graph.add_tensor(f"{mover.output.name}/signs", mover.output.dims)
            graph.release(mover, moved)
            graph.set_input(match.op, 0, moved)
        if mover.kind in ("PAD", "PADV2"):
            value = 0.0 if mover.kind == "PAD" else uniform(mover.input(2))
            sign = graph.add_constant(f"{mover.name}/value", np.float32(-1 if value is not None and value < 0 else 1))
            graph.morph(mover, "PADV2", [signs, mover.input(1), sign])


def _users_of_sign(quantize: Op) -> list[Op]:
    return [
        user
        for sign in quantize.output.users
        for user in (sign.output.users if sign.kind == "BnnDequantize" else [sign])
    ]
