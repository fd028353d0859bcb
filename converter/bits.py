"""Signs to bits and back, in the layout of docs/format.md."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

WORD_BITS = 32


def words_for(channels: int) -> int:
    """Returns the number of int32 words that hold `channels` bits."""
    return -(-channels // WORD_BITS)


def pack_signs(negative: Array) -> Array:
    """Packs the last axis into words: channel c is bit c mod 32 of word c div 32, unused bits are 0.

    Args:
        negative: Boolean array `[..., channels]`, True for -1.

    Returns:
        int32 array `[..., words]`.
    """
    packed = np.packbits(negative, axis=-1, bitorder="little")
    octets = np.zeros((*negative.shape[:-1], words_for(negative.shape[-1]) * (WORD_BITS // 8)), np.uint8)
    octets[..., : packed.shape[-1]] = packed
    return octets.view("<i4").astype(np.int32, copy=False)


def unpack_signs(words: Array, channels: int) -> Array:
    """Unpacks the last axis: the reverse of `pack_signs`.

    Args:
        words: int32 array `[..., words]`.
        channels: Number of bits in use.

    Returns:
        Boolean array `[..., channels]`, True for -1.
    """
    octets = np.ascontiguousarray(words, "<i4").view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little")[..., :channels].astype(np.bool_)
