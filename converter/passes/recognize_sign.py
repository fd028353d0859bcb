"""sign(x) becomes BnnDequantize(BnnQuantize(x)): the bits beside the +1 and -1, at no change of any value."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Graph, Op, Tensor
from ..patterns import feeds_binary_kernel, sign_input
from .base import Match, Pass, Refusal, add_quantize


@dataclass(frozen=True)
class SignMatch(Match):
    """A sign and what it is the sign of."""

    x: Tensor


class RecognizeSign(Pass[SignMatch]):
    """Finds signs that a binary kernel reads; other signs stay as they are."""

    name = "recognize sign"

    def match(self, graph: Graph, op: Op) -> SignMatch | Refusal | None:
        x = sign_input(op)
        if x is None:
            return self._refusal(op)
        if not x.dims or x.dims[-1] < 0 or not feeds_binary_kernel(op.output):
            return None
        if x.type_name != "float32":
            return Refusal(f"the sign is computed on {x.type_name}", "convert the float32 model")
        return SignMatch(op, x)

    def rewrite(self, graph: Graph, match: SignMatch) -> None:
        bits = add_quantize(graph, match.x, before=match.op)
        graph.morph(match.op, "BnnDequantize", [bits], {"channels": match.x.dims[-1]})

    def _refusal(self, op: Op) -> Refusal | None:
        if op.kind != "SIGN" or not feeds_binary_kernel(op.output):
            return None
        return Refusal("SIGN maps 0 to 0, which is no bit", "use input_quantizer='ste_sign', which maps 0 to +1")
