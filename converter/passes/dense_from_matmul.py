"""BATCH_MATMUL with a constant binary kernel becomes FULLY_CONNECTED, which computes the same and has a packed op."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Array, Graph, Op
from ..patterns import binary_kernel, constant, is_signed
from ..schema import schema
from .base import Match, Pass, Refusal
from .keep_rank import VERSION_WITH_KEEP_NUM_DIMS


@dataclass(frozen=True)
class MatMulMatch(Match):
    """A product and its kernel, output channels first."""

    weights: Array


class DenseFromMatMul(Pass[MatMulMatch]):
    """Rewrites BATCH_MATMUL of any rank by one binary matrix."""

    name = "dense from matmul"

    def match(self, graph: Graph, op: Op) -> MatMulMatch | Refusal | None:
        x, kernel = op.input(0), binary_kernel(op) if op.kind == "BATCH_MATMUL" else None
        if x is None or kernel is None or not (kernel.shows_signs or is_signed(x)):
            return None
        if op.options.adjX or len(x.dims) < 2:
            return Refusal("BATCH_MATMUL transposes its input", "transpose it with an op of its own")
        weights = constant(op.input(1))
        assert weights is not None
        if weights.size != weights.shape[-1] * weights.shape[-2]:
            return Refusal(
                f"it multiplies by {weights.size // weights[0].size} matrices", "use one dense layer for each"
            )
        weights = weights.reshape(weights.shape[-2:])
        weights = weights if op.options.adjY else weights.T
        if x.type_name != "float32" or weights.dtype != np.float32 or op.output.dims != (*x.dims[:-1], len(weights)):
            return None
        return MatMulMatch(op, weights)

    def rewrite(self, graph: Graph, match: MatMulMatch) -> None:
        op, kernel = match.op, match.op.input(1)
        assert kernel is not None
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = True
        weights = graph.add_constant(kernel.name, match.weights)
        graph.morph(op, "FULLY_CONNECTED", [op.input(0), weights, None], options)
        op.version = VERSION_WITH_KEEP_NUM_DIMS
