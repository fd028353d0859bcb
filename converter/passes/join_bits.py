"""CONCATENATION along the channels of signs becomes CONCATENATION of their words.

sign(concatenate(a, b)) = concatenate(sign(a), sign(b)), and so it is with words where only the last has unused bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bits import WORD_BITS, words_for
from ..graph import Graph, Op
from ..patterns import is_signed, joins_channels
from ..schema import schema
from .base import Match, Pass, Refusal, add_quantize


@dataclass(frozen=True)
class JoinMatch(Match):
    """The concatenation, and the BnnQuantize behind it where the sign stands there."""

    join: Op


class JoinBits(Pass[JoinMatch]):
    """Moves BnnQuantize in front of a concatenation and BnnDequantize behind it."""

    name = "join bits"

    def match(self, graph: Graph, op: Op) -> JoinMatch | Refusal | None:
        if op.kind == "BnnQuantize" and len(op.inputs) == 1:
            y = op.input(0)
            join = y.producer if y is not None and graph.only_user(y) is op else None
        else:
            join = op
        if join is None or not joins_channels(join) or (join is op and not all(map(is_signed, op.inputs))):
            return None
        sources = [source for source in join.inputs if source is not None]
        if join is op and any(source.producer is None or source.producer.kind != "BnnDequantize" for source in sources):
            return None
        broken = [source.dims[-1] for source in sources[:-1] if source.dims[-1] % WORD_BITS]
        if broken or sources[-1].dims[-1] < 0:
            return Refusal(
                f"it joins {' and '.join(str(source.dims[-1]) for source in sources)} channels, and the words of all "
                "but the last must be full",
                f"concatenate multiples of {WORD_BITS} channels, what is no multiple last",
            )
        return JoinMatch(op, join)

    def rewrite(self, graph: Graph, match: JoinMatch) -> None:
        op, join = match.op, match.join
        sources = [source for source in join.inputs if source is not None]
        options = schema.ConcatenationOptionsT()
        options.axis = len(join.output.dims) - 1
        if op is not join:
            graph.morph(op, "CONCATENATION", [add_quantize(graph, source, before=op) for source in sources], options)
            return
        bits = [source.producer.input(0) for source in sources if source.producer is not None]
        channels = join.output.dims[-1]
        words = graph.add_tensor(f"{op.name}/bits", (*join.output.dims[:-1], words_for(channels)), np.int32)
        graph.add_op("CONCATENATION", bits, [words], options, before=op)
        graph.morph(op, "BnnDequantize", [words], {"channels": channels})
