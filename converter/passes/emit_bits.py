"""A packed op whose output only a BnnQuantize reads computes the bits itself.

With binary x its multiplier, bias and activations become one integer threshold per channel; with real x it keeps them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..bits import pack_signs
from ..custom_ops import NO_ACTIVATION
from ..graph import Array, Graph, Op, Tensor
from ..patterns import constant
from ..thresholds import find_thresholds
from .base import Match, Pass, float_producer


@dataclass(frozen=True)
class EmitMatch(Match):
    """The packed op that takes over the output of the BnnQuantize behind it."""

    packed: Op


class EmitBits(Pass[EmitMatch]):
    """Fuses BnnQuantize into the op in front of it."""

    name = "emit bits"

    def match(self, graph: Graph, op: Op) -> EmitMatch | None:
        if op.kind != "BnnQuantize":
            return None
        packed = float_producer(op.input(0))
        return EmitMatch(op, packed) if packed is not None and graph.only_user(packed.output) is op else None

    def rewrite(self, graph: Graph, match: EmitMatch) -> None:
        packed = match.packed
        graph.absorb(packed, match.op)
        x, weights = packed.inputs[:2]
        assert x is not None
        assert weights is not None
        if x.type_name == "int32":
            graph.morph(packed, packed.kind, self._threshold_inputs(graph, packed, x, weights), self._options(packed))

    def _threshold_inputs(self, graph: Graph, packed: Op, x: Tensor, weights: Tensor) -> list[Tensor]:
        multiplier, bias = (constant(packed.input(index)) for index in (2, 3))
        assert multiplier is not None
        assert bias is not None
        thresholds, flipped = find_thresholds(
            multiplier,
            bias,
            _products_per_output(packed, weights),
            activation=packed.options["activation"],
            pre_activation=packed.options["pre_activation"],
        )
        name = weights.name
        if flipped.any():
            flips = np.where(flipped, -1, 0).astype(np.int32).reshape(-1, *[1] * (len(weights.dims) - 1))
            weights = graph.add_constant(name, weights.values ^ (flips & _used_bits(packed, x, weights)))
        return [x, weights, graph.add_constant(f"{name.removesuffix('weights')}thresholds", thresholds)]

    def _options(self, packed: Op) -> dict[str, int]:
        activations = {"activation": NO_ACTIVATION, "pre_activation": NO_ACTIVATION}
        return packed.options | activations


def _products_per_output(packed: Op, weights: Tensor) -> int:
    """The number of +-1 products in an accumulator, padded taps included."""
    taps = math.prod(weights.dims[1:3]) if packed.kind == "BnnConv2D" else 1
    return taps * packed.options["channels_in"] // packed.options.get("groups", 1)


def _used_bits(packed: Op, x: Tensor, weights: Tensor) -> Array:
    """The bits in use of a row of weights, as words; a dense op reads pixels with unused bits between them."""
    if packed.kind == "BnnConv2D":
        return pack_signs(np.ones(packed.options["channels_in"] // packed.options["groups"], np.bool_))
    pixels = weights.dims[1] // x.dims[-1]
    return np.tile(pack_signs(np.ones(packed.options["channels_in"] // pixels, np.bool_)), pixels)
