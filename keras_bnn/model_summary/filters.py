"""Filter repetition: how many binary 2-D filters of a layer are different (arXiv:1602.02830, on filter repetitions)."""

from __future__ import annotations

import numpy as np


def unique_filters(kernel: np.ndarray) -> tuple[int, int]:
    """Counts the 2-D filters of a binary kernel, and the different ones among them.

    A filter and its inverse count as one: the sums of the one are the negative sums of the other. A k x k filter has at
    most `2 ** (k * k - 1)` values then, so that a layer with many filters repeats them.

    Args:
        kernel: Array of shape `(height, width, ...)`; each index of the other dimensions is one filter. A negative
            number is -1, any other +1.

    Returns:
        The number of different filters, and of all filters.

    Example:

    >>> unique_filters(np.array([[1, -1, 1], [1, -1, -1]]).reshape(2, 1, 3))
    (2, 3)
    """
    negative = kernel.reshape(kernel.shape[0] * kernel.shape[1], -1) < 0
    canonical = np.packbits(negative ^ negative[0], axis=0)  # the first tap is +1
    return np.unique(canonical, axis=1).shape[1], negative.shape[1]
