"""What follows a reshaped convolution channel by channel moves in front of the reshape, where it can be folded.

TensorFlow writes a Conv1D as a convolution of images of one row, and batch normalization behind the reshape.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Array, Graph, Op, Tensor
from ..patterns import constant, constant_operand
from ..signs import RESHAPES
from .base import Match, Pass, float_producer, per_channel_values

_WITH_OPERAND = ("ADD", "DIV", "MUL", "SUB")
_ACTIVATIONS = ("RELU", "RELU6", "RELU_N1_TO_1")


@dataclass(frozen=True)
class ChannelwiseMatch(Match):
    """An op, the reshape in front of it, and the op's constant operand, one value a channel, with its place."""

    reshape: Op
    values: Array | None = None
    index: int = 1


class LowerReshape(Pass[ChannelwiseMatch]):
    """Moves the reshape behind a packed op behind the steps that follow it."""

    name = "lower reshape"

    def match(self, graph: Graph, op: Op) -> ChannelwiseMatch | None:
        found = _channelwise(op)
        reshape = found[0].producer if found is not None else None
        if found is None or reshape is None or reshape.kind not in RESHAPES:
            return None
        y, values, index = found
        packed = float_producer(reshape.input(0))
        if packed is None or graph.only_user(packed.output) is not reshape or graph.only_user(y) is not op:
            return None
        if op.output.dims != y.dims or y.dims[-1:] != packed.output.dims[-1:]:
            return None
        if values is None:
            return ChannelwiseMatch(op, reshape)
        per_channel = per_channel_values(values, y.dims[-1])
        return ChannelwiseMatch(op, reshape, per_channel, index) if per_channel is not None else None

    def rewrite(self, graph: Graph, match: ChannelwiseMatch) -> None:
        op, reshape = match.op, match.reshape
        x = reshape.input(0)
        assert x is not None
        moved = graph.add_tensor(f"{op.name}/before_reshape", x.dims)
        inputs: list[Tensor] = [x]
        if match.values is not None:
            inputs.insert(match.index, graph.add_constant(f"{moved.name}/operand", match.values))
        graph.add_op(op.kind, inputs, [moved], op.options, before=reshape)
        graph.set_input(reshape, 0, moved)
        graph.absorb(reshape, op)


def _channelwise(op: Op) -> tuple[Tensor, Array | None, int] | None:
    """What is computed and what is constant of an op that may treat each channel alone, and the constant's place."""
    x = op.input(0)
    if x is None or op.kind in _ACTIVATIONS:
        return (x, None, 1) if x is not None else None
    if op.kind == "PRELU":
        slope = constant(op.input(1))
        return (x, slope, 1) if slope is not None else None
    operand = constant_operand(op) if op.kind in _WITH_OPERAND else None
    return (*operand, 1 if operand[0] is x else 0) if operand is not None else None
