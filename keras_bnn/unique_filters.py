"""Filter repetition: how many binary 2-D filters of a layer are different (arXiv:1602.02830, on filter repetitions)."""

from __future__ import annotations

import numpy as np

_BITS_BESIDE_CHANNEL = 32


def unique_filters(kernel: np.ndarray) -> tuple[int, int]:
    """Counts the 2-D filters of a binary kernel, and for each input channel the different ones among them.

    Two equal filters on the same input channel give the same sums, so that one of them need not be computed; on
    different channels they have nothing in common. A filter and its inverse count as one: the sums of the one are the
    negative sums of the other. A k x k filter has at most `2 ** (k * k - 1)` values then, so that a layer with many
    filters repeats them.

    Args:
        kernel: Array of shape `(height, width, input channels, filters)`, the filters of each input channel. A negative
            number is -1, any other +1.

    Returns:
        The number of different filters, those of all input channels added up, and of all filters.

    Example:

    >>> unique_filters(np.array([[1, -1, 1], [1, -1, -1]]).reshape(2, 1, 1, 3))
    (2, 3)
    >>> unique_filters(np.array([[1, -1, 1], [1, -1, -1]]).reshape(2, 1, 3, 1))
    (3, 3)
    """
    height, width, channels, filters = kernel.shape
    negative = kernel.reshape(height * width, channels * filters) < 0
    taps = negative ^ negative[0]  # the first tap is +1
    channel = np.repeat(np.arange(channels, dtype=np.uint32), filters)
    if len(taps) <= _BITS_BESIDE_CHANNEL:  # a filter as one number, which is some times faster
        keys = channel.astype(np.int64) << _BITS_BESIDE_CHANNEL
        for place, tap in enumerate(taps):
            keys |= tap.astype(np.int64) << place
        return len(np.unique(keys)), channels * filters
    octets = channel.view(np.uint8).reshape(-1, 4).T
    return np.unique(np.concatenate([octets, np.packbits(taps, axis=0)]), axis=1).shape[1], channels * filters


def by_input_channel(kernel: np.ndarray, groups: int = 1) -> np.ndarray:
    """Returns a convolution's kernel as `unique_filters` takes it: the filters of each input channel.

    Args:
        kernel: Array of shape `(height, width, input channels / groups, filters)`.
        groups: Group g reads the input channels behind those of the groups before it.

    Returns:
        Array of shape `(height, width, input channels, filters / groups)`.
    """
    height, width, channels, filters = kernel.shape
    grouped = kernel.reshape(height, width, channels, groups, filters // groups)
    return grouped.swapaxes(2, 3).reshape(height, width, groups * channels, filters // groups)
