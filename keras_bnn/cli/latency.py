"""Measures how long calls take, several of them in turns, so that a busy moment of the machine meets all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

_BLOCK_SECONDS = 0.01  # long enough that a call finds its own data in the cache again
_WARM_UP_CALLS = 3


class Latency(NamedTuple):
    """How long one call takes, in microseconds.

    Attributes:
        median: Half of the calls were faster.
        p10: A tenth of the calls were faster.
        p90: Nine tenths of the calls were faster.
        calls: Number of calls that were timed.
    """

    median: float
    p10: float
    p90: float
    calls: int

    def __str__(self) -> str:
        return f"{self.median:.1f} us ({self.p10:.1f} to {self.p90:.1f})"


def measure(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, Latency]:
    """Times the calls in turns, in blocks of about ten milliseconds.

    Args:
        calls: The functions to time, by name.
        seconds: Time for each of them.
    """
    block_sizes = {}
    for name, call in calls.items():
        for _ in range(_WARM_UP_CALLS):
            call()
        block_sizes[name] = max(1, round(_BLOCK_SECONDS / _time(call)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end:
        for name, call in calls.items():
            times[name] += [_time(call) for _ in range(block_sizes[name])]
    return {name: summarize(np.array(values) * 1e6) for name, values in times.items()}


def summarize(microseconds: np.ndarray) -> Latency:
    """Returns what the times of the calls are like."""
    median, p10, p90 = np.percentile(microseconds, [50, 10, 90])
    return Latency(float(median), float(p10), float(p90), len(microseconds))


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
