"""The summary as a table of characters."""

from __future__ import annotations

import textwrap

from keras_bnn.model_summary.layer_summary import ModelSummary
from keras_bnn.model_summary.table import columns, footer

_NAME_WIDTH = 28
_PARAGRAPH_WIDTH = 100


def text(summary: ModelSummary) -> str:
    """Returns the table, its totals and the notes. A header of several words takes several lines."""
    figures = columns(summary)
    names = [f"{layer.name}{f' ({layer.calls} calls)' if layer.calls > 1 else ''}" for layer in summary.layers]
    rows = [
        [_shortened(name), layer.kind, *(column.cell(layer) for column in figures)]
        for name, layer in zip(names, summary.layers, strict=True)
    ]
    total = ["total", "", *(column.cell(summary) for column in figures)]
    header = [name.split() for name in ("layer", "type", *(column.header for column in figures))]
    height = max(map(len, header))
    heads = [list(line) for line in zip(*([""] * (height - len(words)) + words for words in header), strict=True)]
    widths = [max(map(len, cells)) for cells in zip(*heads, *rows, total, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [summary.name, "", *(_line(cells, widths) for cells in heads), rule]
    lines += [*(_line(cells, widths) for cells in rows), rule, _line(total, widths), ""]
    for sentence in (*footer(summary), *summary.notes):
        lines += textwrap.wrap(sentence, _PARAGRAPH_WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


def _line(cells: list[str], widths: list[int]) -> str:
    """Names to the left, figures to the right."""
    aligned = [
        cell.ljust(w) if index < 2 else cell.rjust(w) for index, (cell, w) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"...{name[3 - _NAME_WIDTH :]}"
