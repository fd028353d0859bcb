"""The profile of a file's ops as a table of characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_bnn.converter.report import dims_text, paragraph, table, without_common_scope
from keras_bnn.count_text import short_count

_HEADER = ("layer", "op", "input", "output", "MACs", "us", "share", "MACs/s", "of peak")


def profile_text(profile: dict[str, Any]) -> list[str]:
    """Returns the lines for one number of threads.

    Args:
        profile: What `profile_ops` returns.
    """
    ops, other, whole, threads = profile["ops"], profile["other"], profile["whole_us"], profile["threads"]
    names = without_common_scope([op["layer"] or op["output"] for op in ops])
    rows = [(name, *_cells(op)) for name, op in zip(names, ops, strict=True)]
    rows.append((_others(other["ops"]), *[""] * 4, f"{other['us']['median']:.1f}", f"{other['share']:.1%}", "", ""))
    peaks = [f"{short_count(round(speed))} {kind}" for kind, speed in profile["peak_macs_per_second"].items()]
    lines = [
        f"ops on {threads} thread{'s' if threads > 1 else ''}: medians of {whole['calls']:,} runs of "
        f"{whole['median']:.1f} us",
        *table(_HEADER, rows, right=5),
    ]
    if peaks:
        lines += paragraph(f"Peak of these kernels, multiply-accumulates per second: {', '.join(peaks)}.")
    return lines


def _cells(op: dict[str, Any]) -> tuple[str, ...]:
    speed, share = op["macs_per_second"], op["peak_share"]
    return (
        op["name"],
        _shape(op["input_shape"]),
        _shape(op["output_shape"]),
        short_count(op["macs"] or 0),
        f"{op['us']['median']:.1f}",
        f"{op['share']:.1%}",
        "" if speed is None else short_count(round(speed)),
        "" if share is None else f"{share:.0%}",
    )


def _shape(shape: Sequence[int] | None) -> str:
    return "" if shape is None else dims_text(shape)


def _others(kinds: dict[str, int]) -> str:
    count = sum(kinds.values())
    if count == 0:
        return "the runtime"
    return f"{count} other op{'s' if count > 1 else ''}"
