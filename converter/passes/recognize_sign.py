"""sign(x) becomes BnnDequantize(BnnQuantize(x)): the bits beside the +1 and -1, at no change of any value.

A comparison with other numbers than 0 becomes the sign of a difference, which is 0 for equal numbers alone, as long as
none is so small that runtimes round it to 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Graph, Op
from ..patterns import Sign, feeds_binary_kernel, find_sign
from ..schema import schema
from .base import Match, Pass, Refusal, add_quantize

_SMALLEST_THRESHOLD = np.float32(2.0**-100)
"""Floats of this size differ by 2**-124 at least, which is no denormal number."""


@dataclass(frozen=True)
class SignMatch(Match):
    """A sign and what it is the sign of."""

    sign: Sign


class RecognizeSign(Pass[SignMatch]):
    """Finds signs that a binary kernel reads; other signs stay as they are."""

    name = "recognize sign"

    def match(self, graph: Graph, op: Op) -> SignMatch | Refusal | None:
        sign = find_sign(op)
        if sign is None:
            return self._refusal(op)
        x = sign.x
        if not x.dims or x.dims[-1] < 0 or not feeds_binary_kernel(op.output):
            return None
        if x.type_name != "float32":
            return Refusal(f"the sign is computed on {x.type_name}", "convert the float32 model")
        if not np.isfinite(sign.bias).all():
            return Refusal("a threshold of its sign is not finite", "use finite thresholds")
        if sign.bias.size > 1 and sign.bias.shape[-1] != sign.bias.size:
            return Refusal(
                f"the thresholds of its sign have the shape {list(sign.bias.shape)}", "use one threshold per channel"
            )
        sizes = np.abs(sign.bias)
        if np.any((sizes > 0) & (sizes < np.finfo(np.float32).tiny)):
            return Refusal("its sign is -1 at 0, where a bit is +1", "use x >= 0 or x < 0")
        if np.any((sizes > 0) & (sizes < _SMALLEST_THRESHOLD)):
            return Refusal("runtimes round differences from a threshold of its sign to 0", "use 0 or a larger one")
        return SignMatch(op, sign)

    def rewrite(self, graph: Graph, match: SignMatch) -> None:
        op, x = match.op, match.sign.x
        if match.sign.multiplier != 1:
            negated = graph.add_tensor(f"{op.name}/negated", x.dims)
            factor = graph.add_constant(f"{negated.name}/factor", np.float32(match.sign.multiplier))
            graph.add_op("MUL", [x, factor], [negated], schema.MulOptionsT(), before=op)
            x = negated
        if match.sign.bias.any():
            shifted = graph.add_tensor(f"{op.name}/shifted", x.dims)
            bias = graph.add_constant(f"{shifted.name}/bias", match.sign.bias)
            graph.add_op("ADD", [x, bias], [shifted], schema.AddOptionsT(), before=op)
            x = shifted
        bits = add_quantize(graph, x, before=op)
        graph.morph(op, "BnnDequantize", [bits], {"channels": x.dims[-1]})

    def _refusal(self, op: Op) -> Refusal | None:
        if op.kind != "SIGN" or not feeds_binary_kernel(op.output):
            return None
        return Refusal("SIGN maps 0 to 0, which is no bit", "use input_quantizer='ste_sign', which maps 0 to +1")
