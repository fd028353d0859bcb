"""An inspection as a table of characters."""

from __future__ import annotations

from keras_bnn.count_text import short_count

from ..report import bytes_text, dims_text, macs_sentence, paragraph, short_name, table, without_common_scope
from .model import InspectedOp, Inspection

_HEADER = ("layer", "op", "output", "in", "out", "weights", "constants", "MACs")
_COLUMNS = (
    "in, out and weights are bits of a value: 1 for packed bits, 32+1 for an op that gives numbers and their signs."
)


def text(inspection: Inspection) -> str:
    """Returns the table, what can be packed, and what stands in the way elsewhere. Columns in, out, weights: bits."""
    count = len(inspection.ops)
    lines = [
        f"{inspection.path}: {bytes_text(inspection.file_bytes)}, {count} ops, "
        f"{inspection.packed_ops} with packed weights",
        "",
        *table(
            _HEADER,
            [(name, *_cells(inspection, op)) for name, op in zip(shown_names(inspection), inspection.ops, strict=True)],
            right=5,
        ),
    ]
    for sentence in (_COLUMNS, *totals(inspection), *remarks(inspection), *advice(inspection)):
        lines += ["", *paragraph(sentence)]
    return "\n".join(lines)


def totals(inspection: Inspection) -> list[str]:
    """Returns the totals, a sentence each."""
    share = inspection.unique_filter_share
    return [
        *([macs_sentence(inspection.macs)] if inspection.macs else []),
        *([] if share is None else [f"{share:.1%} of the binary 2-D filters are unique on their input channel."]),
    ]


def remarks(inspection: Inspection) -> list[str]:
    """Returns what the figures do not tell, a sentence each."""
    found = []
    unknown = sum(op.macs is None for op in inspection.ops)
    if unknown:
        ops = "1 op" if unknown == 1 else f"{unknown} ops"
        found.append(f"The multiply-accumulates of {ops} are not known, or depend on sizes that are free.")
    count = inspection.packable_ops
    if count:
        have = "op has" if count == 1 else "ops have"
        found.append(f"{count} {have} a binary kernel and could be packed: convert the file.")
    return found


def advice(inspection: Inspection) -> list[str]:
    """Returns what stands in the way of packing, and what is useless, a sentence each."""
    return [f"{op.kind} {short_name(op.name)}: {op.reason}." for op in inspection.ops if op.reason]


def shown_names(inspection: Inspection) -> list[str]:
    """Returns the ops' names without the model's."""
    return without_common_scope([op.layer for op in inspection.ops])


def output_bits_text(inspection: Inspection, op: InspectedOp) -> str:
    """Returns the bits of each output, for example "32+1"."""
    bits = [inspection.tensors[index].bits for index in op.outputs]
    return "+".join(str(one) for one in bits if one is not None)


def _cells(inspection: Inspection, op: InspectedOp) -> tuple[str, ...]:
    return (
        op.kind,
        dims_text(op.shape),
        _number(op.input_bits),
        output_bits_text(inspection, op),
        _number(op.weight_bits),
        bytes_text(op.constant_bytes) if op.constant_bytes else "",
        "?" if op.macs is None else short_count(op.macs),
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
