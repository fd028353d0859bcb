"""The cells of the summary's table, the same in the terminal and in HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keras_bnn.count_text import short_count
from keras_bnn.model_summary.layer_summary import LayerSummary, ModelSummary

Counts = LayerSummary | ModelSummary


@dataclass(frozen=True)
class Column:
    """One figure of each layer and of the model.

    Attributes:
        header: What it is.
        cell: Its text, or "" where there is nothing to tell.
    """

    header: str
    cell: Callable[[Counts], str]


def columns(summary: ModelSummary) -> list[Column]:
    """Returns the columns behind a layer's name and class; one for each precision that the model has."""
    result = [Column("input bits", lambda one: str(one.input_bits) if isinstance(one, LayerSummary) else "")]
    result.append(Column("output", lambda one: shape_text(one.output_shape) if isinstance(one, LayerSummary) else ""))
    for bits in summary.weights:
        result.append(Column(f"{bits}-bit weights", _weights_of(bits)))
    result.append(Column("packed KiB", lambda one: kib_text(one.packed_bytes)))
    result.append(Column("float32 KiB", lambda one: kib_text(one.float32_bytes)))
    for pair in summary.macs:
        result.append(Column(f"{pair} MACs", _macs_of(pair)))
    if summary.unique_filter_share is not None:
        result.append(Column("unique filters", _unique_filters))
    return result


def _weights_of(bits: int) -> Callable[[Counts], str]:
    return lambda one: count_text(one.weights.get(bits, 0))


def _macs_of(pair: str) -> Callable[[Counts], str]:
    return lambda one: short_count(one.macs.get(pair, 0))


def _unique_filters(one: Counts) -> str:
    if isinstance(one, ModelSummary):
        return percent_text(one.unique_filter_share)
    return percent_text(one.unique_filters / one.filters) if one.filters else ""


def footer(summary: ModelSummary) -> list[str]:
    """Returns the sentences below the table."""
    sentences = []
    if summary.packed_bytes:
        sentences.append(
            f"Weights: {summary.float32_bytes:,} bytes in float32, {summary.packed_bytes:,} in the packed file: "
            f"{summary.compression:.1f} times smaller."
        )
    if summary.macs:
        binary = sum(count for pair, count in summary.macs.items() if pair == "1x1")
        sentences.append(
            f"Multiply-accumulates (bits of the weight x bits of the input): {binary / sum(summary.macs.values()):.1%} "
            "are 1x1, XNOR and popcount."
        )
    return sentences


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Returns a shape for people, for example "28x28x32"; a free size is a star."""
    return "x".join("*" if size is None else str(size) for size in shape) or "scalar"


def count_text(count: int) -> str:
    """Returns a count with thousands separators; nothing for 0."""
    return f"{count:,}" if count else ""


def kib_text(count: int) -> str:
    """Returns bytes in KiB; nothing for 0."""
    return f"{count / 1024:,.2f}" if count else ""


def percent_text(share: float | None) -> str:
    """Returns a share from 0 to 1 in percent."""
    return "" if share is None else f"{share:.1%}"
