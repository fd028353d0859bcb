"""Which reshapes leave packed channels as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..bits import WORD_BITS
from ..graph import Op
from ..signs import RESHAPES


def moves_bits(op: Op) -> bool:
    """Returns whether a reshape of channels is the same reshape of words.

    It is when the channels stay innermost, or when no word has unused bits before and after.
    """
    x = op.input(0)
    if op.kind not in RESHAPES or x is None or not x.dims or not op.output.dims or op.output.dims.count(-1) > 1:
        return False
    before, after = x.dims[-1], op.output.dims[-1]
    if op.kind != "RESHAPE":
        return before == after > 0 and len(op.inputs) <= 2
    return before > 0 and after > 0 and (before == after or before % WORD_BITS == after % WORD_BITS == 0)


def reads_rows(op: Op, users: Sequence[Op]) -> bool:
    """Returns whether a reshape is a flatten that its users, all BnnFullyConnected, can do without.

    BnnFullyConnected reads its input as rows, wherever the dimensions lie. It keeps leading dimensions only when the
    last one is a whole row, so such a reshape stays.
    """
    x = op.input(0)
    if op.kind != "RESHAPE" or x is None or len(op.output.dims) != 2 or len(x.dims) < 2:
        return False
    row = op.output.dims[-1]
    is_dense = bool(users) and all(user.kind == "BnnFullyConnected" for user in users)
    return is_dense and x.dims[-1] != row and ends_in_rows(x.dims, row)


def ends_in_rows(dims: Sequence[int], row: int) -> bool:
    """Returns whether whole last dimensions together are one row, as BnnFullyConnected reads its input."""
    return any(-1 not in dims[start:] and math.prod(dims[start:]) == row for start in range(len(dims)))
