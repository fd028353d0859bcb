"""PAD or PADV2 of height and width before a VALID convolution becomes the convolution's own padding."""

from __future__ import annotations

from dataclasses import dataclass

from ..custom_ops import VALID
from ..graph import Graph, Op
from ..patterns import constant, is_signed, uniform
from .base import Match, Pass, Refusal
from .fold_dilation import padding_options


@dataclass(frozen=True)
class PaddingMatch(Match):
    """A convolution, the op that pads its input, and the convolution's options afterwards."""

    pad: Op
    options: dict[str, int]


class FoldPadding(Pass[PaddingMatch]):
    """Folds padding by 0, +1 or -1 into a packed convolution."""

    name = "fold padding"

    def match(self, graph: Graph, op: Op) -> PaddingMatch | Refusal | None:
        if op.kind != "BnnConv2D" or op.options["padding"] != VALID:
            return None
        x, weights = op.input(0), op.input(1)
        assert weights is not None
        pad = x.producer if x is not None else None
        if pad is None or pad.kind not in ("PAD", "PADV2"):
            return None
        padding = padding_of(pad)
        if isinstance(padding, Refusal):
            return padding if is_signed(x) else None
        pads, value = padding
        options = op.options | padding_options(weights.dims[1:3], op.options, pads) | {"pad_value": value}
        return PaddingMatch(op, pad, options)

    def rewrite(self, graph: Graph, match: PaddingMatch) -> None:
        match.op.options = match.options
        graph.set_input(match.op, 0, match.pad.input(0))


def padding_of(pad: Op) -> tuple[tuple[int, int, int, int], int] | Refusal:
    """Returns (top, bottom, left, right) and the value of a PAD or PADV2 that a convolution can take over."""
    amounts = constant(pad.input(1))
    if amounts is None or amounts.shape != (4, 2) or amounts[[0, 3]].any():
        return Refusal(f"{pad.kind} before it pads more than height and width")
    value = 0.0 if pad.kind == "PAD" else uniform(pad.input(2))
    if value not in (0.0, 1.0, -1.0):
        return Refusal(f"{pad.kind} before it pads with {value}", "pad with 0, 1 or -1")
    (top, bottom), (left, right) = amounts[1].tolist(), amounts[2].tolist()
    return (top, bottom, left, right), int(value)
