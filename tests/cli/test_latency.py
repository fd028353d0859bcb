"""How calls are timed in turns."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from keras_bnn.cli.latency import measure, measure_blocks


def test_blocks_take_turns_of_ten_milliseconds() -> None:
    calls: list[tuple[str, int]] = []

    def block(name: str, seconds: list[float]) -> Callable[[int], list[float]]:
        def run(count: int) -> list[float]:
            calls.append((name, count))
            time.sleep(0.001)
            return (seconds * count)[:count]

        return run

    latencies = measure_blocks({"fast": block("fast", [0.001, 0.003]), "slow": block("slow", [0.02])}, 0.02)

    warm_up, turns = calls[:4], calls[4:]
    assert warm_up == [("fast", 3), ("fast", 1), ("slow", 3), ("slow", 1)]
    assert turns == [("fast", 10), ("slow", 1)] * (len(turns) // 2)
    assert len(turns) > 2
    assert latencies["fast"].median == pytest.approx(2000)
    assert (latencies["fast"].p10, latencies["fast"].p90) == pytest.approx((1000, 3000))
    assert latencies["slow"].median == pytest.approx(20000)
    assert (latencies["fast"].calls, latencies["slow"].calls) == (len(turns) * 5, len(turns) // 2)


def test_calls_are_timed() -> None:
    latency = measure({"sleep": lambda: time.sleep(0.002)}, 0.01)["sleep"]
    assert 2000 <= latency.p10 <= latency.median <= latency.p90
    assert latency.calls >= 1
