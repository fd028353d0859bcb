"""Measures how long calls take, several of them in turns, so that a busy moment of the machine meets all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
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
    return measure_blocks({name: partial(time_calls, call) for name, call in calls.items()}, seconds)


def measure_blocks(blocks: Mapping[str, Callable[[int], list[float]]], seconds: float) -> dict[str, Latency]:
    """Does so with calls that are timed elsewhere, such as in another process.

    Args:
        blocks: By name, functions that make a number of calls and return the seconds of each.
        seconds: Time for each of them.
    """
    block_sizes = {}
    for name, block in blocks.items():
        block(_WARM_UP_CALLS)
        block_sizes[name] = max(1, round(_BLOCK_SECONDS / block(1)[0]))
    times: dict[str, list[float]] = {name: [] for name in blocks}
    end = time.perf_counter() + seconds * len(blocks)
    while time.perf_counter() < end:
        for name, block in blocks.items():
            times[name] += block(block_sizes[name])
    return {name: summarize(np.array(values) * 1e6) for name, values in times.items()}


def time_calls(call: Callable[[], object], count: int) -> list[float]:
    """The seconds of each of `count` calls."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def summarize(microseconds: np.ndarray) -> Latency:
    """Returns what the times of the calls are like."""
    median, p10, p90 = np.percentile(microseconds, [50, 10, 90])
    return Latency(float(median), float(p10), float(p90), len(microseconds))
