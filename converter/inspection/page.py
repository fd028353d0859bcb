"""An inspection as one HTML page: totals, graph and table, kernels. No scripts, nothing from elsewhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from keras_bnn.count_text import short_count
from keras_bnn.html_page import STYLE, bar, data_cell, definitions, document, legend, shade

from ..report import bytes_text, dims_text
from .drawings import draw_histogram, draw_lanes, flow_shade, lanes_width
from .kernels import InspectedKernel
from .lanes import Node, lay_out
from .model import InspectedOp, InspectedTensor, Inspection
from .text import advice, remarks, shown_names

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_FIGURES = ("output", "weight bits", "constants", "MACs")
_LINES = {
    "bits": "packed bits",
    "mixed": "8-bit integers",
    "real": "floating point",
    "other": "shapes, indices, truth values",
}
_MARKS = {"bits": "computes on bits", "mixed": "bits meet numbers", "real": "computes on numbers"}


def page(inspection: Inspection) -> str:
    """Returns the whole page."""
    name = Path(inspection.path).name
    lead = (
        f"{bytes_text(inspection.file_bytes)}, {len(inspection.ops)} ops, {inspection.packed_ops} with packed weights"
    )
    hints = "".join(f'<p class="advice">{escape(sentence)}</p>\n' for sentence in advice(inspection))
    body = (
        f'<div class="keras-bnn">\n<style>\n{STYLE}{_STYLE}</style>\n<h1>{escape(name)}</h1>\n<p>{lead}</p>\n'
        f"{_totals(inspection)}{hints}{_graph(inspection)}{_kernels(inspection)}</div>\n"
    )
    return document(name, body)


def activation_bytes(inspection: Inspection) -> dict[str, int]:
    """Returns the bytes that the ops write, packed bits as words, by bits of a value; tensors of free sizes count 0."""
    written: Counter[str] = Counter()
    for tensor in inspection.tensors:
        first, *others = tensor.shape or (1,)
        if tensor.producer is None or tensor.bits is None or any(size < 0 for size in others):
            continue
        channels = [32 * math.ceil(others[-1] / 32)] if tensor.data == "bits" and others else others[-1:]
        written[str(tensor.bits)] += max(first, 1) * math.prod((*others[:-1], *channels)) * tensor.bits // 8
    return _ordered(written)


def _totals(inspection: Inspection) -> str:
    constants: Counter[str] = Counter()
    for op in inspection.ops:
        constants[str(op.weight_bits or 32)] += op.constant_bytes
    rows = [
        _row_of_bytes("constants", _ordered(constants), "bits of a weight"),
        _row_of_bytes("activations", activation_bytes(inspection), "bits of a value"),
    ]
    if inspection.macs:
        total = sum(inspection.macs.values())
        share = f"<span>{inspection.binary_mac_share:.1%} XNOR and popcount</span>"
        rows.append(("MACs", f"{legend(inspection.macs)} {share}", bar(inspection.macs, total)))
    if inspection.unique_filter_share is not None:
        unique = inspection.unique_filter_share
        rows.append(("unique filters", f"{unique:.1%}", bar({"1": round(1000 * unique)}, 1000)))
    notes = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in remarks(inspection))
    return definitions(rows) + notes


def _row_of_bytes(name: str, sizes: Mapping[str, int], what: str) -> tuple[str, str, str]:
    parts = " ".join(
        f'<span title="{what}: {bits}"><i class="{shade(bits)}"></i>{bits} bit: {bytes_text(size)}</span>'
        for bits, size in sizes.items()
    )
    return name, parts, bar(sizes, max(sum(sizes.values()), 1))


def _ordered(sizes: Mapping[str, int]) -> dict[str, int]:
    return {bits: size for bits, size in sorted(sizes.items(), key=lambda item: int(item[0])) if size}


def _graph(inspection: Inspection) -> str:
    tensors = inspection.tensors
    fed = [index for index, tensor in enumerate(tensors) if tensor.producer is None]
    returned = [index for index, tensor in enumerate(tensors) if tensor.is_output]
    nodes = [
        *(Node((), (index,)) for index in fed),
        *(Node(op.inputs, op.outputs) for op in inspection.ops),
        *(Node((index,), ()) for index in returned),
    ]
    ends = ["real"] * len(fed), ["real"] * len(returned)
    lanes = lay_out(nodes)
    drawings = draw_lanes(lanes, tensors, [*ends[0], *map(_op_shade, inspection.ops), *ends[1]])
    has_filters = inspection.unique_filter_share is not None
    headers = [*_FIGURES, *(["unique filters"] if has_filters else [])]
    rows = [_end_row(drawing, tensors[index], "input", headers) for drawing, index in zip(drawings, fed, strict=False)]
    for number, name in enumerate(shown_names(inspection)):
        rows.append(_op_row(inspection, number, name, drawings[len(fed) + number], headers))
    last = drawings[len(drawings) - len(returned) :]
    rows += [
        _end_row(drawing, tensors[index], "output", headers) for drawing, index in zip(last, returned, strict=True)
    ]
    head = "".join(f"<th>{header}</th>" for header in ("layer", "data", *headers, "constants and MACs"))
    return (
        f'<h2>Graph</h2>\n<div class="key">{_key(inspection)}</div>\n'
        f'<table class="graph" style="--lanes: {lanes_width(lanes)}px">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody>\n</table>\n"
    )


def _key(inspection: Inspection) -> str:
    """What the lines and the ops' marks mean, as far as there are any."""
    shades = {flow_shade(tensor) for tensor in inspection.tensors}
    lines = [
        (f'<line class="{kind}" x1="0" x2="22" y1="4" y2="4"/>', text)
        for kind, text in _LINES.items()
        if kind in shades
    ]
    marks = {_op_shade(op) for op in inspection.ops}
    circles = [
        (f'<circle class="{kind}" cx="11" cy="4" r="5"/>', text) for kind, text in _MARKS.items() if kind in marks
    ]
    return "".join(
        f'<span><svg viewBox="0 0 22 8">{drawing}</svg>{text}</span>' for drawing, text in [*lines, *circles]
    )


def _end_row(drawing: str, tensor: InspectedTensor, what: str, headers: Sequence[str]) -> str:
    name = f"<th>{drawing}{escape(tensor.name)}<small>{what}</small></th>"
    cells = "".join(_cells(headers, {"output": dims_text(tensor.shape)}))
    data = f"<td class='data'><span>{_types([tensor.data])}</span></td>"
    return f"<tr class='end'>{name}{data}{cells}<td class='bars'></td></tr>\n"


def _op_row(inspection: Inspection, number: int, name: str, drawing: str, headers: Sequence[str]) -> str:
    op = inspection.ops[number]
    label = escape(name) if op.kernel is None else f'<a href="#kernel-{number}">{escape(name)}</a>'
    kind = ", ".join((op.kind, *op.steps))
    kernel = op.kernel
    cells = _cells(
        headers,
        {
            "output": dims_text(op.shape),
            "weight bits": "" if op.weight_bits is None else str(op.weight_bits),
            "constants": bytes_text(op.constant_bytes) if op.constant_bytes else "",
            "MACs": "?" if op.macs is None else short_count(op.macs),
            "unique filters": _unique_share(kernel) if kernel is not None else "",
        },
    )
    bars = bar({str(op.weight_bits or 32): op.constant_bytes}, max(one.constant_bytes for one in inspection.ops))
    bars += bar({op.precision: op.macs or 0}, max(one.macs or 0 for one in inspection.ops))
    return (
        f"<tr><th>{drawing}{label}<small>{escape(kind)}</small></th>"
        f"<td class='data'><span>{_data(inspection, op)}</span></td>"
        f"{''.join(cells)}<td class='bars'>{bars}</td></tr>\n"
    )


def _cells(headers: Sequence[str], texts: Mapping[str, str]) -> list[str]:
    return [data_cell(header, texts.get(header, "")) for header in headers]


def _unique_share(kernel: InspectedKernel) -> str:
    return f"{kernel.unique_filters / kernel.filters:.1%}" if kernel.filters else ""


def _data(inspection: Inspection, op: InspectedOp) -> str:
    read = dict.fromkeys(inspection.tensors[index].data for index in op.inputs)
    written = (inspection.tensors[index].data for index in op.outputs)
    return f"{_types(read)} \N{RIGHTWARDS ARROW} {_types(written)}"


def _types(names: Iterable[str]) -> str:
    return " + ".join(f"<em>{name}</em>" if name == "bits" else escape(name) for name in names)


def _op_shade(op: InspectedOp) -> str:
    """Filled where the op multiplies bits or moves bits, half where bits are made of numbers or read by them."""
    if op.precision:
        return shade(op.precision)
    bits = {op.input_bits, op.output_bits}
    return "bits" if bits == {1} else "mixed" if 1 in bits else "real"


def _kernels(inspection: Inspection) -> str:
    names = shown_names(inspection)
    cards = [
        _card(number, op, op.kernel, names[number]) for number, op in enumerate(inspection.ops) if op.kernel is not None
    ]
    return f'<h2>Kernels</h2>\n<div class="cards">\n{"".join(cards)}</div>\n' if cards else ""


def _card(number: int, op: InspectedOp, kernel: InspectedKernel, name: str) -> str:
    kind = "binary" if kernel.is_binary else "real-valued"
    size = f"{dims_text(kernel.shape)}, {kind}, {op.weight_bits} bit a weight"
    parts = [f"<h3>{escape(name)}</h3><small>{escape(op.kind)}, {size}</small>"]
    if kernel.weights is not None and kernel.negative_share is not None:
        parts.append(
            f"<h4>filters by their share of \N{MINUS SIGN}1 in percent; {kernel.negative_share:.1%} in all</h4>"
        )
        parts.append(draw_histogram(kernel.weights, "bits"))
    elif kernel.weights is not None:
        parts.append(f"<h4>weights</h4>{draw_histogram(kernel.weights, 'real')}")
    if kernel.filters:
        share = kernel.unique_filters / kernel.filters
        parts.append(f"<h4>{kernel.unique_filters:,} of {kernel.filters:,} filters are unique: {share:.1%}</h4>")
        parts.append(bar({"1": round(1000 * share)}, 1000))
    if kernel.thresholds is not None:
        parts.append(f"<h4>thresholds of the sums</h4>{draw_histogram(kernel.thresholds, 'bits')}")
    for count, sign in ((kernel.always_plus, "+1"), (kernel.always_minus, "\N{MINUS SIGN}1")):
        if count:
            parts.append(f"<h4>{count:,} of {kernel.shape[-1]:,} channels are always {sign}</h4>")
    if kernel.multipliers is not None:
        parts.append(f"<h4>multipliers</h4>{draw_histogram(kernel.multipliers, 'real')}")
    return f'<div class="card" id="kernel-{number}">{"".join(parts)}</div>\n'
