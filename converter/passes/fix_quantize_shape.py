"""QUANTIZE and DEQUANTIZE get the shape of what they read: ai-edge-quantizer writes a batch of 1 where it is free."""

from __future__ import annotations

from ..graph import Graph, Op
from .base import Match, Pass


class FixQuantizeShape(Pass[Match]):
    """Repairs the shape in the file; the runtime works it out by itself, but passes compare shapes."""

    name = "fix quantize shape"

    def match(self, graph: Graph, op: Op) -> Match | None:
        x = op.input(0)
        if op.kind not in ("DEQUANTIZE", "QUANTIZE") or x is None or x.dims == op.output.dims:
            return None
        return Match(op)

    def rewrite(self, graph: Graph, match: Match) -> None:
        x = match.op.input(0)
        assert x is not None
        record = match.op.output.record
        record.shape, record.shapeSignature = x.record.shape, x.record.shapeSignature
