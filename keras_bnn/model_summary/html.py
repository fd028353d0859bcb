"""The summary as HTML: one table with bars, no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections import Counter
from html import escape

from keras_bnn.html_page import STYLE, bar, data_cell, definitions, document, legend
from keras_bnn.model_summary.layer_summary import LayerSummary, ModelSummary, sort_key
from keras_bnn.model_summary.table import columns, footer, kib_text, percent_text


def page(summary: ModelSummary) -> str:
    """Returns a whole HTML page."""
    return document(summary.name, fragment(summary))


def fragment(summary: ModelSummary) -> str:
    """Returns the summary as a part of a page, with its style: what a notebook shows."""
    notes = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in (*footer(summary), *summary.notes))
    return (
        f'<div class="keras-bnn">\n<style>\n{STYLE}</style>\n<h1>{escape(summary.name)}</h1>\n'
        f"{_totals(summary)}{_table(summary)}{notes}</div>\n"
    )


def _totals(summary: ModelSummary) -> str:
    """The bars above the table: the weights in float32 and packed, to one scale, and the multiply-accumulates."""
    whole = max(summary.float32_bytes, summary.packed_bytes, 1)
    rows = [
        ("float32", f"{kib_text(summary.float32_bytes)} KiB", bar({"32": summary.float32_bytes}, whole)),
        (
            "packed",
            f"{kib_text(summary.packed_bytes)} KiB, {summary.compression:.1f} times smaller",
            bar(_packed_by_bits(summary), whole),
        ),
    ]
    if summary.macs:
        rows.append(("MACs", legend(summary.macs), bar(summary.macs, sum(summary.macs.values()))))
    if summary.unique_filter_share is not None:
        share = summary.unique_filter_share
        rows.append(("unique filters", percent_text(share), bar({"1": round(1000 * share)}, 1000)))
    return definitions(rows)


def _table(summary: ModelSummary) -> str:
    figures = columns(summary)
    headers = ["layer", *(column.header for column in figures), "memory and MACs"]
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    most_bytes = max((layer.packed_bytes for layer in summary.layers), default=0)
    most_macs = max((sum(layer.macs.values()) for layer in summary.layers), default=0)
    rows = []
    for layer in summary.layers:
        cells = [_name(layer), *(data_cell(column.header, column.cell(layer)) for column in figures)]
        bars = bar(_memory(layer), most_bytes) + bar(layer.macs, most_macs)
        rows.append(f"<tr>{''.join(cells)}<td class='bars'>{bars}</td></tr>\n")
    total = "".join(data_cell(column.header, column.cell(summary)) for column in figures)
    return (
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n"
        f"<tfoot><tr><th>total</th>{total}<td class='bars'></td></tr></tfoot>\n</table>\n"
    )


def _name(layer: LayerSummary) -> str:
    calls = f", {layer.calls} calls" if layer.calls > 1 else ""
    return f"<th>{escape(layer.name)}<small>{escape(layer.kind)}{calls}</small></th>"


def _memory(layer: LayerSummary) -> dict[str, int]:
    """The packed bytes, in the shade of the layer's smallest weights."""
    return {str(min(layer.weights)): layer.packed_bytes} if layer.weights else {}


def _packed_by_bits(summary: ModelSummary) -> dict[str, int]:
    total: Counter[str] = Counter()
    for layer in summary.layers:
        total.update(_memory(layer))
    return dict(sorted(total.items(), key=lambda item: sort_key(item[0])))
