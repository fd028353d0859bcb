"""What the project's HTML pages share: the frame, the style, bars. No scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from keras_bnn.count_text import short_count

__all__ = ["STYLE", "bar", "data_cell", "definitions", "document", "legend", "shade"]

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
"""The style sheet; it concerns what stands in an element of the class "keras-bnn" alone."""


def document(title: str, body: str) -> str:
    """Returns a whole page.

    Args:
        title: Its title, as text.
        body: What it shows, as HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def definitions(rows: list[tuple[str, str, str]]) -> str:
    """Returns a list of named bars: name and explanation as HTML, bar behind the explanation."""
    cells = "".join(f"<dt>{name}</dt><dd>{bars}<span>{explanation}</span></dd>\n" for name, explanation, bars in rows)
    return f"<dl>\n{cells}</dl>\n"


def legend(macs: Mapping[str, int]) -> str:
    """Returns the counts of multiply-accumulates, each with its shade."""
    items = (f'<i class="{shade(pair)}"></i>{pair}: {short_count(count)}' for pair, count in macs.items())
    return " ".join(f"<span>{item}</span>" for item in items)


def data_cell(header: str, text: str) -> str:
    """Returns a cell that brings its header along where the screen is too narrow for a table."""
    empty = "" if text else " class='empty'"
    return f'<td{empty} data-label="{escape(header)}">{escape(text)}</td>'


def bar(parts: Mapping[str, int], whole: int) -> str:
    """Returns a bar of parts one behind the other; nothing where all parts are 0.

    Args:
        parts: Sizes by precision: "1", "32", or bits of the weight x bits of the input, "1x1".
        whole: The size that the full length stands for.
    """
    if not any(parts.values()):
        return ""
    spans = "".join(
        f'<b class="{shade(name)}" style="width:{100 * count / whole:.2f}%" title="{name}: {count:,}"></b>'
        for name, count in parts.items()
        if count
    )
    return f'<span class="bar">{spans}</span>'


def shade(precision: str) -> str:
    """Full colour where all is bits, half where one factor is, grey where none is."""
    narrow = sum(bits == "1" for bits in precision.split("x"))
    return "real" if not narrow else "bits" if narrow == len(precision.split("x")) else "mixed"
