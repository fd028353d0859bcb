"""Max-pool and reshape of +1 and -1 work on the bits, and BnnDequantize moves behind them."""

from __future__ import annotations

import numpy as np

from ..bits import words_for
from ..custom_ops import NO_ACTIVATION
from ..graph import Graph, Op, Tensor
from ..signs import RESHAPES
from .base import Match, Pass, Refusal
from .reshapes import moves_bits, reads_rows


class LowerBits(Pass[Match]):
    """Moves BnnDequantize towards the outputs."""

    name = "lower bits"

    def match(self, graph: Graph, op: Op) -> Match | Refusal | None:
        x = op.input(0)
        if x is None or x.producer is None or x.producer.kind != "BnnDequantize":
            return None
        if op.kind == "MAX_POOL_2D":
            if op.options.fusedActivationFunction != NO_ACTIVATION:
                return Refusal("its fused activation keeps it in float32", "put the activation elsewhere")
            return Match(op)
        if op.kind not in RESHAPES or reads_rows(op, op.output.users):
            return None
        if not moves_bits(op):
            return Refusal(
                f"it splits or joins {x.dims[-1]} channels, whose words end in unused bits",
                "keep channels innermost, or use a multiple of 32",
            )
        return Match(op)

    def rewrite(self, graph: Graph, match: Match) -> None:
        op = match.op
        x = op.input(0)
        assert x is not None
        assert x.producer is not None
        channels = op.output.dims[-1]
        bits = graph.add_tensor(f"{op.name}/bits", (*op.output.dims[:-1], words_for(channels)), np.int32)
        source = x.producer.input(0)
        assert source is not None
        if op.kind == "MAX_POOL_2D":
            graph.add_op("BnnMaxPool2D", [source], [bits], pool_options(op), before=op)
        else:
            self._add_reshape(graph, op, source, bits)
        graph.morph(op, "BnnDequantize", [bits], {"channels": channels})

    def _add_reshape(self, graph: Graph, op: Op, source: Tensor, bits: Tensor) -> None:
        dims = op.options.squeezeDims if op.kind == "SQUEEZE" and op.options is not None else None
        squeezes_all = op.kind == "SQUEEZE" and (dims is None or len(dims) == 0)
        if op.kind == "RESHAPE" or squeezes_all:  # every dimension of 1, which a single word is too
            shape = graph.add_constant(f"{bits.name}/shape", np.array(bits.dims, np.int32))
            graph.add_op("RESHAPE", [source, shape], [bits], before=op)
        else:
            graph.add_op(op.kind, [source, *op.inputs[1:]], [bits], op.options, before=op)


def pool_options(op: Op) -> dict[str, int]:
    """Returns the options of BnnMaxPool2D for those of MAX_POOL_2D."""
    options = op.options
    return {
        "window_h": options.filterHeight,
        "window_w": options.filterWidth,
        "stride_h": options.strideH,
        "stride_w": options.strideW,
        "padding": options.padding,
    }
