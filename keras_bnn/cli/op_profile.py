"""Where the time of a packed file goes: what each of its ops takes, and how near it comes to what the CPU can do."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_bnn.cli.latency import summarize

if TYPE_CHECKING:
    from keras_bnn.converter import InspectedOp, Inspection
    from keras_bnn.runtime import Interpreter, OpProfile

_WARM_UP_RUNS = 3
_SUMS_NO_PRODUCTS = "BnnDepthwiseConv2D"  # its inner loop is not the one whose peak is measured


def profile_ops(
    interpreter: Interpreter, inspection: Inspection | None, threads: int, batch: int, seconds: float
) -> dict[str, Any]:
    """Times each packed op, and all others together.

    Args:
        interpreter: One with `profile=True`, which has run once.
        inspection: What its file holds, or None where there is no schema to read it with.
        threads: Its number of threads.
        batch: Samples of a run.
        seconds: How long to measure.

    Returns:
        An item of `profile` in the JSON, as docs/benchmark.md describes it.
    """
    from keras_bnn.runtime import measure_peak

    whole, ours = _measure(interpreter, seconds)
    rest = summarize(whole - ours.sum(axis=1))
    median = summarize(whole).median
    ops = interpreter.profile()
    found = [_find(op, inspection) for op in ops]
    peaks = {f"1x{bits}": measure_peak(bits, threads) for bits in sorted({_peak_bits(op) for op in found} - {0})}
    others = Counter(op.kind for op in inspection.ops if op not in found) if inspection else {}
    return {
        "threads": threads,
        "whole_us": summarize(whole)._asdict(),
        "peak_macs_per_second": peaks,
        "ops": [
            {
                "partition": op.partition,
                "node": op.node,
                "name": op.name,
                "output": op.output,
                "us": latency._asdict(),
                "share": latency.median / median,
                **_work(inspected, inspection, batch, latency.median, peaks),
            }
            for op, inspected, latency in zip(ops, found, map(summarize, ours.T), strict=True)
        ],
        "other": {"ops": dict(others), "us": rest._asdict(), "share": rest.median / median},
    }


def _measure(interpreter: Interpreter, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the microseconds of each run, [runs], and of the ops in it, [runs, ops]."""
    for _ in range(_WARM_UP_RUNS):
        interpreter.invoke()
    whole: list[int] = []
    ours: list[list[int]] = []
    end = time.perf_counter() + seconds
    while not whole or time.perf_counter() < end:
        start = time.perf_counter_ns()
        interpreter.invoke()
        whole.append(time.perf_counter_ns() - start)
        ours.append([op.nanoseconds for op in interpreter.profile()])
    return np.array(whole) / 1e3, np.array(ours) / 1e3


def _find(op: OpProfile, inspection: Inspection | None) -> InspectedOp | None:
    """Returns the op in the file; None for one of another subgraph, such as a loop's."""
    found = inspection.ops[op.node] if inspection and op.node < len(inspection.ops) else None
    return found if found is not None and (found.kind, found.name) == (op.name, op.output) else None


def _peak_bits(op: InspectedOp | None) -> int:
    """Returns the bits of the inputs whose peak the op is compared with; 0 for none."""
    if op is None or op.weight_bits != 1 or op.kind == _SUMS_NO_PRODUCTS:
        return 0
    return op.input_bits or 0


def _work(
    op: InspectedOp | None, inspection: Inspection | None, batch: int, microseconds: float, peaks: dict[str, float]
) -> dict[str, Any]:
    """Returns what the file tells of an op, and how fast it was."""
    if op is None or inspection is None:
        keys = ("layer", "input_shape", "output_shape", "precision", "macs", "macs_per_second", "peak_share")
        return dict.fromkeys(keys)

    def sizes(shape: tuple[int, ...]) -> list[int]:
        return [batch if size < 0 else size for size in shape]

    macs = None if op.macs is None else op.macs * (batch if op.shape[0] < 0 else 1)
    speed = 1e6 * macs / microseconds if macs and microseconds else None
    peak = peaks.get(f"1x{_peak_bits(op)}")
    return {
        "layer": op.layer,
        "input_shape": sizes(inspection.tensors[op.inputs[0]].shape),
        "output_shape": sizes(op.shape),
        "precision": op.precision,
        "macs": macs,
        "macs_per_second": speed,
        "peak_share": speed / peak if speed and peak else None,
    }
