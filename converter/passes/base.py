"""What every pass is: a place it looks for, and what it writes there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np

from ..bits import words_for
from ..custom_ops import PACKED_KERNEL_OPS
from ..graph import Array, Graph, Op, Tensor


@dataclass(frozen=True)
class Match:
    """A place where a pass applies; subclasses add what the pass found there."""

    op: Op


@dataclass(frozen=True)
class Refusal:
    """A place that looks right for a pass, and why the pass leaves it alone.

    Attributes:
        reason: What is in the way.
        remedy: What the user can do about it, or "".
    """

    reason: str
    remedy: str = ""

    @property
    def text(self) -> str:
        """Reason and remedy."""
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


M = TypeVar("M", bound=Match)


class Pass(ABC, Generic[M]):
    """One rewriting. A second run on its own result finds nothing more to do."""

    name: ClassVar[str]

    @abstractmethod
    def match(self, graph: Graph, op: Op) -> M | Refusal | None:
        """Returns the match at `op`, a refusal with its reason, or None when the pass has no business there."""

    @abstractmethod
    def rewrite(self, graph: Graph, match: M) -> None:
        """Rewrites the graph at a match."""


def add_quantize(graph: Graph, x: Tensor, *parameters: Tensor | None, before: Op) -> Tensor:
    """Adds BnnQuantize of x, perhaps with multiplier and bias, and returns the packed tensor."""
    bits = graph.add_tensor(f"{x.name}/bits", (*x.dims[:-1], words_for(x.dims[-1])), "int32")
    graph.add_op("BnnQuantize", [x, *parameters], [bits], {}, before=before)
    return bits


def per_channel_values(values: Array, channels: int) -> Array | None:
    """Returns a constant as one float32 value per channel, or None when it is more than that or of another type."""
    if values.dtype != np.float32:
        return None
    if values.size == 1:
        return np.full(channels, values.flat[0], np.float32)
    return values.reshape(-1) if values.shape[-1] == values.size == channels else None


def float_producer(tensor: Tensor | None) -> Op | None:
    """Returns the op with a packed kernel that computes a float32 tensor, if one does.

    None for an op that computes bits beside it: they are the signs of this tensor, and not of what it would become.
    """
    op = tensor.producer if tensor is not None else None
    if op is None or op.kind not in PACKED_KERNEL_OPS or len(op.outputs) != 1:
        return None
    return op if op.output.type_name == "float32" else None
