"""The drawings of an inspection's page: lanes beside the table, and histograms."""

from __future__ import annotations

from collections.abc import Sequence

from .histogram import Histogram
from .lanes import Lane, RowOfLanes
from .model import InspectedTensor

_NODE_Y = 19
_BEND_Y = 2 * _NODE_Y
_WIDEST_LANES = 132
_SPACING = 14
_MARGIN = 8
_GAP = 10
_BARS_WIDTH, _BARS_HEIGHT = 240, 48


def lanes_width(rows: Sequence[RowOfLanes]) -> int:
    """Returns the pixels that the lanes of a graph take, with the gap to the text behind them."""
    return round(2 * _MARGIN + _GAP + _spacing(rows) * (max((row.width for row in rows), default=1) - 1))


def draw_lanes(rows: Sequence[RowOfLanes], tensors: Sequence[InspectedTensor], shades: Sequence[str]) -> list[str]:
    """Returns a drawing for each row; it fills the row's height, so that the rows together show the graph.

    Args:
        rows: The lanes.
        tensors: The tensors that they name.
        shades: The class of each row's node.
    """
    step, width = _spacing(rows), lanes_width(rows)
    return [_draw_row(row, tensors, shade, step, width) for row, shade in zip(rows, shades, strict=True)]


def flow_shade(tensor: InspectedTensor) -> str:
    """Returns the class of a line: bits, 8-bit numbers, floats, or what only computes shapes and indices."""
    if tensor.data == "bits":
        return "bits"
    if tensor.data in ("int8", "uint8"):
        return "mixed"
    return "real" if tensor.data.startswith("float") else "other"


def draw_histogram(histogram: Histogram, shade: str) -> str:
    """Returns the bars of a histogram, with the smallest and the largest value below."""
    most = max(histogram.counts)
    width = _BARS_WIDTH / len(histogram.counts)
    bars = ""
    for index, count in enumerate(histogram.counts):
        if count:
            height = max(_BARS_HEIGHT * count / most, 1)
            bars += f"M{index * width:.1f} {_BARS_HEIGHT}v-{height:.1f}h{width - 1:.1f}V{_BARS_HEIGHT}z"
    return (
        f'<svg class="histogram" viewBox="0 0 {_BARS_WIDTH} {_BARS_HEIGHT}" preserveAspectRatio="none" '
        f'aria-hidden="true"><path class="{shade}" d="{bars}"/></svg>'
        f'<div class="ends"><span>{histogram.low:.4g}</span><span>{histogram.high:.4g}</span></div>'
    )


def _spacing(rows: Sequence[RowOfLanes]) -> float:
    """Many lanes stand closer together."""
    lanes = max((row.width for row in rows), default=1)
    return min(_SPACING, _WIDEST_LANES / max(lanes - 1, 1))


def _draw_row(row: RowOfLanes, tensors: Sequence[InspectedTensor], shade: str, step: float, width: int) -> str:
    def x(place: int) -> float:
        return round(_MARGIN + step * place, 1)

    def kind(lane: Lane) -> str:
        return flow_shade(tensors[lane.tensor])

    node = x(row.node)
    parts = [_line(kind(lane), x(lane.place), 0) for lane in row.through]
    for lane in row.inputs:
        start = x(lane.place)
        parts.append(_curve(kind(lane), f"M{start} 0C{start} 12 {node} 7 {node} {_NODE_Y}"))
    for lane in row.outputs:
        end = x(lane.place)
        if end != node:
            parts.append(_curve(kind(lane), f"M{node} {_NODE_Y}C{node} 31 {end} 26 {end} {_BEND_Y}"))
        parts.append(_line(kind(lane), end, _BEND_Y if end != node else _NODE_Y))
    return (
        f'<svg class="lanes" width="{width}" aria-hidden="true">{"".join(parts)}'
        f'<circle class="{shade}" cx="{node}" cy="{_NODE_Y}" r="5"/></svg>'
    )


def _line(shade: str, x: float, y: int) -> str:
    return f'<line class="{shade}" x1="{x}" x2="{x}" y1="{y}" y2="100%"/>'


def _curve(shade: str, path: str) -> str:
    return f'<path class="{shade}" d="{path}"/>'
