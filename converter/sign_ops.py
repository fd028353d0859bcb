"""The ops between a number and the packed op that reads its sign, where they have no form on bits."""

from __future__ import annotations

from collections.abc import Iterator

from .graph import Op, Tensor
from .patterns import find_sign, is_signed


def ops_of_sign(tensor: Tensor | None) -> Iterator[Op]:
    """Yields the ops that compute the sign that a tensor comes from, and those that move it; none for others."""
    op = tensor.producer if tensor is not None else None
    if op is None or not is_signed(tensor):
        return
    yield op
    sign = find_sign(op)
    if sign is not None:
        yield from _ops_between(op, sign.x)
    else:
        for source in op.inputs:
            yield from ops_of_sign(source)


def _ops_between(op: Op, x: Tensor) -> Iterator[Op]:
    """The inner ops of a sign's form: comparison, cast, products and sums with constants."""
    for source in op.inputs:
        if source is not None and source is not x and source.producer is not None:
            yield source.producer
            yield from _ops_between(source.producer, x)
