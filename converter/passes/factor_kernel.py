"""FULLY_CONNECTED with weights a[i] * sign[o, i] * b[o] becomes MUL by a and FULLY_CONNECTED with weights of +-b.

The stock converter multiplies a batch normalization in front of a binary kernel into it. Its shift has become part of
the bias, where it may stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Array, Graph, Op
from ..patterns import binary_kernel, constant, is_signed
from ..schema import schema
from .base import Match, Pass

_LEAST_SIZE = 4
"""Smaller matrices of real numbers may be such a product by chance."""

_TOLERANCE = 4 * np.finfo(np.float32).eps
"""The stock converter rounds twice: the kernel times a, and that times b."""


@dataclass(frozen=True)
class FactorMatch(Match):
    """A dense op, the scale of its inputs, and its binary kernel."""

    scale: Array
    weights: Array


class FactorKernel(Pass[FactorMatch]):
    """Takes the scale of the inputs out of dense kernels that are binary without it."""

    name = "factor kernel"

    def match(self, graph: Graph, op: Op) -> FactorMatch | None:
        if op.kind != "FULLY_CONNECTED" or binary_kernel(op) is not None or is_signed(op.input(0)):
            return None
        x, weights = op.input(0), constant(op.input(1))
        if x is None or x.type_name != "float32" or weights is None or weights.dtype != np.float32:
            return None
        if weights.ndim != 2 or min(weights.shape) < _LEAST_SIZE or x.dims[-1] != weights.shape[1]:
            return None
        if _factors(weights[:_LEAST_SIZE, :64]) is None:  # most kernels show themselves there
            return None
        factors = _factors(weights)
        if factors is None:
            return None
        outputs, inputs = factors
        negative = weights < 0
        if negative.all() or not negative.any():
            return None
        return FactorMatch(op, inputs, np.where(negative, -outputs[:, None], outputs[:, None]))

    def rewrite(self, graph: Graph, match: FactorMatch) -> None:
        op, x, kernel = match.op, match.op.input(0), match.op.input(1)
        assert x is not None
        assert kernel is not None
        scaled = graph.add_tensor(f"{kernel.name}/scaled", x.dims)
        scale = graph.add_constant(f"{kernel.name}/scale", match.scale)
        graph.add_op("MUL", [x, scale], [scaled], schema.MulOptionsT(), before=op)
        graph.set_input(op, 0, scaled)
        graph.set_input(op, 1, graph.add_constant(kernel.name, match.weights))


def _factors(weights: Array) -> tuple[Array, Array] | None:
    """Returns outputs and inputs with `abs(weights) = outputs[:, None] * inputs`, or None."""
    sizes = np.abs(weights)
    row, column = np.unravel_index(np.argmax(sizes), sizes.shape)
    largest = sizes[row, column]
    if not np.isfinite(largest) or largest == 0:
        return None
    outputs, inputs = sizes[:, column], sizes[row] / largest
    products = outputs[:, None] * inputs
    return (outputs, inputs) if np.all(np.abs(sizes - products) <= _TOLERANCE * products) else None
