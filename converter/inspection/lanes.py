"""The graph beside the table: a tensor runs down in a lane from the op that computes it to the last that reads it.

Rows are the model's inputs, its ops and its outputs, from top to bottom. Lanes are numbered from the left; a tensor
takes the lane of the op that computes it, so that a chain of ops is one straight line and a shortcut runs beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A row: the tensors that it reads and computes, each a number."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Lane:
    """A lane in a row, and the tensor that runs in it."""

    place: int
    tensor: int


@dataclass(frozen=True)
class RowOfLanes:
    """The lanes of a row.

    Attributes:
        node: Where the op stands.
        through: The lanes of tensors that are read further down.
        inputs: The lanes from which the op reads.
        outputs: The lanes that begin here.
    """

    node: int
    through: tuple[Lane, ...]
    inputs: tuple[Lane, ...]
    outputs: tuple[Lane, ...]

    @property
    def width(self) -> int:
        """The number of lanes up to the last that is used."""
        places = (lane.place for lane in (*self.through, *self.inputs, *self.outputs))
        return max(self.node, *places, -1) + 1


def lay_out(nodes: Sequence[Node]) -> list[RowOfLanes]:
    """Returns the lanes of each row; what nothing reads has none.

    Args:
        nodes: The rows from top to bottom; what a node reads is computed above it.
    """
    last_reader = {tensor: row for row, node in enumerate(nodes) for tensor in node.inputs}
    lanes: list[int | None] = []  # the tensor in each lane
    rows = []
    for row, node in enumerate(nodes):
        inputs = tuple(Lane(lanes.index(tensor), tensor) for tensor in node.inputs if tensor in lanes)
        ending = [lane.place for lane in inputs if last_reader[lane.tensor] == row]
        for place in ending:
            lanes[place] = None
        through = tuple(Lane(place, tensor) for place, tensor in enumerate(lanes) if tensor is not None)
        place = min(ending) if ending else _free(lanes)
        outputs: list[Lane] = []
        for tensor in node.outputs:
            if tensor in last_reader:
                free = _free(lanes) if outputs else place
                lanes += [None] * (free + 1 - len(lanes))
                lanes[free] = tensor
                outputs.append(Lane(free, tensor))
        rows.append(RowOfLanes(place, through, inputs, tuple(outputs)))
    return rows


def _free(lanes: Sequence[int | None]) -> int:
    return next((place for place, tensor in enumerate(lanes) if tensor is None), len(lanes))
