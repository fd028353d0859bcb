"""The custom ops of Larq Compute Engine, as far as they are read: what a file holds, never what it computes.

Bits are laid out as in docs/format.md: a set bit is -1, channels innermost, 32 in a little-endian word.
"""

from __future__ import annotations

from typing import Any

from flatbuffers import flexbuffers

from .bits import words_for
from .graph import Op

LCE_QUANTIZE, LCE_DEQUANTIZE = "LceQuantize", "LceDequantize"
LCE_CONV, LCE_MAX_POOL = "LceBconv2d", "LceBMaxPool2d"
LCE_OPS = (LCE_QUANTIZE, LCE_DEQUANTIZE, LCE_CONV, LCE_MAX_POOL)
_CONV_INPUTS = 2


def lce_channels_in(op: Op) -> int:
    """Returns the number of input channels of an LceBconv2d.

    Raises:
        ValueError: when its options or weights are damaged.
    """
    x, weights = op.input(0), op.input(1) if len(op.inputs) >= _CONV_INPUTS else None
    channels = _options(op).get("channels_in")
    is_whole = isinstance(channels, int) and channels > 0 and x is not None and weights is not None
    if not is_whole or len(weights.dims) != 4 or weights.type_name != "int32" or 0 in weights.dims:  # type: ignore[union-attr]
        raise ValueError(f"{LCE_CONV} {op.name} has no options or weights to read: convert the model again.")
    return channels  # type: ignore[return-value]


def lce_groups(op: Op) -> int:
    """Returns the number of groups of an LceBconv2d; the channels of each of several fill whole words."""
    weights = op.input(1)
    assert weights is not None
    channels, words = lce_channels_in(op), weights.dims[3]
    return 1 if words == words_for(channels) else max(words_for(channels) // words, 1)


def _options(op: Op) -> dict[str, Any]:
    try:
        options = flexbuffers.Loads(bytes(op.options))
    except Exception:  # on damaged bytes flexbuffers raises whatever Python's struct and indexing do
        return {}
    return options if isinstance(options, dict) else {}
