"""The summary as HTML: one table with bars, no scripts, nothing from elsewhere."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path

from keras_bnn.model_summary.layer_summary import LayerSummary, ModelSummary, sort_key
from keras_bnn.model_summary.table import columns, count_text, footer, kib_text, percent_text, short_count

_STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def page(summary: ModelSummary) -> str:
    """Returns a whole HTML page."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(summary.name)}</title>\n</head>\n<body>\n{fragment(summary)}</body>\n</html>\n"
    )


def fragment(summary: ModelSummary) -> str:
    """Returns the summary as a part of a page, with its style: what a notebook shows."""
    notes = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in (*footer(summary), *summary.notes))
    return (
        f'<div class="keras-bnn-summary">\n<style>\n{_STYLE}</style>\n<h1>{escape(summary.name)}</h1>\n'
        f"{_totals(summary)}{_table(summary)}{notes}</div>\n"
    )


def write(path: str | os.PathLike[str], text: str) -> None:
    """Writes a file whole or not at all."""
    target = Path(path)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, suffix=".tmp", delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)  # temporary files are private
    os.replace(file.name, target)


def _totals(summary: ModelSummary) -> str:
    """The bars above the table: the weights in float32 and packed, to one scale, and the multiply-accumulates."""
    whole = max(summary.float32_bytes, summary.packed_bytes, 1)
    rows = [
        ("float32", f"{kib_text(summary.float32_bytes)} KiB", _bar({"32": summary.float32_bytes}, whole)),
        (
            "packed",
            f"{kib_text(summary.packed_bytes)} KiB, {summary.compression:.1f} times smaller",
            _bar(_packed_by_bits(summary), whole),
        ),
    ]
    if summary.macs:
        rows.append(("MACs", _legend(summary.macs), _bar(summary.macs, sum(summary.macs.values()))))
    if summary.unique_filter_share is not None:
        share = summary.unique_filter_share
        rows.append(("unique filters", percent_text(share), _bar({"1": round(1000 * share)}, 1000)))
    cells = "".join(f"<dt>{name}</dt><dd>{bar}<span>{text}</span></dd>\n" for name, text, bar in rows)
    return f"<dl>\n{cells}</dl>\n"


def _legend(macs: Mapping[str, int]) -> str:
    items = (f'<i class="{_shade(pair)}"></i>{pair}: {short_count(count)}' for pair, count in macs.items())
    return " ".join(f"<span>{item}</span>" for item in items)


def _table(summary: ModelSummary) -> str:
    figures = columns(summary)
    headers = ["layer", *(column.header for column in figures), "memory and MACs"]
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    most_bytes = max((layer.packed_bytes for layer in summary.layers), default=0)
    most_macs = max((sum(layer.macs.values()) for layer in summary.layers), default=0)
    rows = []
    for layer in summary.layers:
        cells = [_name(layer), *(_cell(column.header, column.cell(layer)) for column in figures)]
        bars = _bar(_memory(layer), most_bytes) + _bar(layer.macs, most_macs)
        rows.append(f"<tr>{''.join(cells)}<td class='bars'>{bars}</td></tr>\n")
    total = "".join(_cell(column.header, column.cell(summary)) for column in figures)
    return (
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n"
        f"<tfoot><tr><th>total</th>{total}<td class='bars'></td></tr></tfoot>\n</table>\n"
    )


def _name(layer: LayerSummary) -> str:
    calls = f", {layer.calls} calls" if layer.calls > 1 else ""
    return f"<th>{escape(layer.name)}<small>{escape(layer.kind)}{calls}</small></th>"


def _cell(header: str, text: str) -> str:
    empty = "" if text else " class='empty'"
    return f'<td{empty} data-label="{escape(header)}">{escape(text)}</td>'


def _memory(layer: LayerSummary) -> dict[str, int]:
    """The packed bytes, in the shade of the layer's smallest weights."""
    return {str(min(layer.weights)): layer.packed_bytes} if layer.weights else {}


def _packed_by_bits(summary: ModelSummary) -> dict[str, int]:
    total: Counter[str] = Counter()
    for layer in summary.layers:
        total.update(_memory(layer))
    return dict(sorted(total.items(), key=lambda item: sort_key(item[0])))


def _bar(parts: Mapping[str, int], whole: int) -> str:
    """A bar of parts one behind the other; `whole` is its full length. Nothing where all parts are 0."""
    if not any(parts.values()):
        return ""
    spans = "".join(
        f'<b class="{_shade(name)}" style="width:{100 * count / whole:.2f}%" title="{name}: {count_text(count)}"></b>'
        for name, count in parts.items()
        if count
    )
    return f'<span class="bar">{spans}</span>'


def _shade(precision: str) -> str:
    """Full colour where all is bits, half where one factor is, grey where none is."""
    narrow = sum(bits == "1" for bits in precision.split("x"))
    return "real" if not narrow else "bits" if narrow == len(precision.split("x")) else "mixed"
