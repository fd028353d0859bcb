"""Words of packed bits, put together and taken apart bit by bit."""

from __future__ import annotations

import numpy as np


def words_of(signs: np.ndarray) -> np.ndarray:
    """Packs the last axis of +-1 values: channel c is bit c mod 32 of word c div 32, and set for -1."""
    words = np.zeros((*signs.shape[:-1], -(-signs.shape[-1] // 32)), np.uint32)
    for channel in range(signs.shape[-1]):
        words[..., channel // 32] |= (signs[..., channel] < 0).astype(np.uint32) << np.uint32(channel % 32)
    return words.view(np.int32)


def signs_of(words: np.ndarray, channels: int) -> np.ndarray:
    """Returns the +-1 values that words hold."""
    places = [words.view(np.uint32)[..., channel // 32] >> np.uint32(channel % 32) for channel in range(channels)]
    return 1 - 2 * (np.stack(places, axis=-1) & 1).astype(np.int64)
