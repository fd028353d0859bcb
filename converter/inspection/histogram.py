"""Histograms of weights and thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 24


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each of some intervals of equal width.

    Attributes:
        low: The smallest value.
        high: The largest value.
        counts: The number of values in each interval from low to high.
    """

    low: float
    high: float
    counts: tuple[int, ...]


def histogram(values: np.ndarray, *, low: float | None = None, high: float | None = None) -> Histogram | None:
    """Returns the histogram of all finite values; None where there are none.

    Args:
        values: Numbers.
        low: Where the first interval begins, by default the smallest value.
        high: Where the last interval ends, by default the largest value.
    """
    values = values[np.isfinite(values)].astype(np.float64)
    if not values.size:
        return None
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    if low == high:
        return Histogram(low, high, (int(values.size),))
    counts, _ = np.histogram(values, BINS, (low, high))
    return Histogram(low, high, tuple(counts.tolist()))
