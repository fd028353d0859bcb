"""SPACE_TO_BATCH_ND, convolution, BATCH_TO_SPACE_ND become one dilated convolution.

TensorFlow writes a dilated convolution this way when the batch is dynamic. Splitting an image into interleaved ones and
joining them again changes no sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..custom_ops import EXPLICIT, SAME, VALID
from ..graph import Graph, Op
from ..patterns import constant
from .base import Match, Pass, Refusal, float_producer


@dataclass(frozen=True)
class DilationMatch(Match):
    """The convolution between the two ops, and what it becomes."""

    conv: Op
    split: Op
    options: dict[str, int]


class FoldDilation(Pass[DilationMatch]):
    """Folds the two ops around a packed convolution into its dilation."""

    name = "fold dilation"

    def match(self, graph: Graph, op: Op) -> DilationMatch | Refusal | None:
        if op.kind != "BATCH_TO_SPACE_ND":
            return None
        conv = float_producer(op.input(0))
        if conv is None or conv.kind != "BnnConv2D" or graph.only_user(conv.output) is not op:
            return None
        if any(constant(operand) is None for operand in conv.inputs[2:]):
            return None  # a shortcut lies in interleaved images too
        x, weights = conv.input(0), conv.input(1)
        assert weights is not None
        split = x.producer if x is not None else None
        if split is None or split.kind != "SPACE_TO_BATCH_ND":
            return None
        options = dilated_options(split, op, conv.options, weights.dims[1:3])
        if options is None or isinstance(options, Refusal):
            return options
        return DilationMatch(op, conv, split, options)

    def rewrite(self, graph: Graph, match: DilationMatch) -> None:
        graph.absorb(match.conv, match.op)
        match.conv.options = match.options
        graph.set_input(match.conv, 0, match.split.input(0))


def dilated_options(
    split: Op, join: Op, options: dict[str, int], size: Sequence[int]
) -> dict[str, int] | Refusal | None:
    """Returns the options of a packed convolution that takes over the two ops around it.

    Args:
        split: SPACE_TO_BATCH_ND in front of it.
        join: What stands behind it; None is returned where that is no BATCH_TO_SPACE_ND.
        options: The options of the packed convolution as it is.
        size: Rows and columns of its kernel.
    """
    if join.kind != "BATCH_TO_SPACE_ND":
        return None
    constants = [constant(tensor) for tensor in (*split.inputs[1:], *join.inputs[1:])]
    if any(values is None for values in constants):
        return Refusal("the block of its dilation is computed at run time", "fix the size of the model's input image")
    block, pads, join_block, crops = (np.asarray(values).tolist() for values in constants)
    steps = {options[key] for key in ("stride_h", "stride_w", "dilation_h", "dilation_w")}
    if len(block) != 2 or block != join_block or steps != {1} or options["padding"] != VALID:
        return Refusal("SPACE_TO_BATCH_ND before it is no plain dilation")
    top, left = pads[0][0] - crops[0][0], pads[1][0] - crops[1][0]
    bottom, right = pads[0][1] - crops[0][1], pads[1][1] - crops[1][1]
    if min(top, left, bottom, right) < 0:
        return Refusal("BATCH_TO_SPACE_ND behind it crops more than was padded")
    dilated = options | {"dilation_h": block[0], "dilation_w": block[1]}
    return dilated | padding_options(size, dilated, (top, bottom, left, right))


def padding_options(size: Sequence[int], options: dict[str, int], pads: tuple[int, int, int, int]) -> dict[str, int]:
    """Returns the padding options for (top, bottom, left, right): SAME where its pads are these at every image size."""
    reach = [(length - 1) * options[f"dilation_{axis}"] for length, axis in zip(size, "hw", strict=True)]
    same = tuple(pad for total in reach for pad in (total // 2, total - total // 2))
    if not any(pads):
        return {"padding": VALID}
    if pads == same and options["stride_h"] == options["stride_w"] == 1:
        return {"padding": SAME}
    names = ("pad_top", "pad_bottom", "pad_left", "pad_right")
    return {"padding": EXPLICIT, **dict(zip(names, pads, strict=True))}
