"""What a conversion did, as an object and as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

WIDTH = 100


@dataclass(frozen=True)
class PackedOp:
    """One op that computes on bits.

    Attributes:
        name: The layer's name, as far as the file tells it.
        kind: The custom op.
        input_type: "bits", or the element type of a real-valued input.
        output_type: "bits" or "float32".
        shape: The output's shape in channels, with -1 for a dynamic dimension.
        bytes_before: Bytes of its constants in the float file.
        bytes_after: Bytes of its constants in the packed file.
    """

    name: str
    kind: str
    input_type: str
    output_type: str
    shape: tuple[int, ...]
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class LeftOp:
    """One place that looks binary and computes on numbers all the same.

    Attributes:
        name: The tensor that it computes.
        kind: The op.
        reason: What is in the way.
        remedy: What to do about it, or "".
    """

    name: str
    kind: str
    reason: str
    remedy: str

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.kind} {short_name(self.name)}: {self.reason}{remedy}."


@dataclass(frozen=True)
class Comparison:
    """How the outputs of the packed file compare with those of another one.

    Attributes:
        equal_samples: How many samples agree up to float32 rounding.
        largest_difference: The largest absolute difference of an output.
        equal_argmax: Share of equal arg-max over the last axis, from 0 to 1; None when no output has classes.
    """

    equal_samples: int
    largest_difference: float
    equal_argmax: float | None


@dataclass(frozen=True)
class Verification:
    """The packed file against its reference on random inputs.

    Attributes:
        samples: Number of samples; 0 when nothing was run.
        exact: Against the reference with exact sums (batch normalization apart from the +-1 weights), as in Keras.
        reference: Against the reference file as it is, whose signs are noise where a sum is exactly 0.
        remark: What the figures mean, or why nothing was run, or "".
    """

    samples: int
    exact: Comparison | None
    reference: Comparison | None
    remark: str

    def lines(self) -> list[str]:
        """Returns the lines of a table."""
        rows = [
            (
                name,
                f"{one.equal_samples} of {self.samples}",
                f"{one.largest_difference:.3g}",
                "" if one.equal_argmax is None else f"{one.equal_argmax:.1%}",
            )
            for name, one in (("exact float32", self.exact), ("the reference file", self.reference))
            if one is not None
        ]
        header = ("verified against", "samples equal up to rounding", "largest difference", "equal arg-max")
        return [*(table(header, rows) if rows else []), *paragraph(self.remark)]


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did. `print(report)` shows it as a table.

    Attributes:
        packed: The ops that compute on bits now.
        left: What looks binary and was not packed, or not wholly, with the reason and the remedy.
        unchanged: How many ops of each kind were left alone because nothing about them is binary.
        reference_bytes: Size of the float .tflite file in bytes.
        packed_bytes: Size of the packed .tflite file in bytes.
        verification: The comparison of both files, or None when there was none.
        path: Where the packed file was written, or None.
        model: The packed .tflite file.
        reference: The float .tflite file, which runs on any runtime without keras-bnn.
    """

    packed: tuple[PackedOp, ...]
    left: tuple[LeftOp, ...]
    unchanged: dict[str, int]
    reference_bytes: int
    packed_bytes: int
    verification: Verification | None
    path: str | None
    model: bytes = field(repr=False)
    reference: bytes = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns all but the two files in plain Python types, ready for JSON."""
        return {
            "packed": [asdict(op) for op in self.packed],
            "left": [asdict(op) for op in self.left],
            "unchanged": dict(self.unchanged),
            "reference_bytes": self.reference_bytes,
            "packed_bytes": self.packed_bytes,
            "verification": None if self.verification is None else asdict(self.verification),
            "path": self.path,
        }

    def __str__(self) -> str:
        lines = [f"{self.path or 'packed model'}: {self._sizes()}", ""]
        rows = [
            (op.name, op.kind, f"{op.input_type} -> {op.output_type}", dims_text(op.shape), _change(op))
            for op in self.packed
        ]
        lines += table(("packed", "op", "data", "output", "constants"), rows)
        for left in self.left:
            lines += ["", *paragraph(left.sentence)]
        if self.unchanged:
            counts = ", ".join(f"{count} {kind}" for kind, count in self.unchanged.items())
            lines += ["", *paragraph(f"Not binary, unchanged: {counts}.")]
        if self.verification is not None:
            lines += ["", *self.verification.lines()]
        return "\n".join(lines)

    def _sizes(self) -> str:
        before, after = bytes_text(self.reference_bytes), bytes_text(self.packed_bytes)
        if self.model == self.reference:
            return f"already packed, {after}, unchanged"
        return f"{before} -> {after}, {self.reference_bytes / self.packed_bytes:.1f} times smaller"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a table, at most WIDTH characters wide; the first column gives way."""
    all_rows = [tuple(header), *rows]
    widths = [max(len(row[index]) for row in all_rows) for index in range(len(header))]
    widths[0] = max(min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1)), 12)
    lines = []
    for row in all_rows:
        cells = [_shortened(row[0], widths[0]), *row[1:]]
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    return [lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]]


def paragraph(text: str) -> list[str]:
    """Returns a text in lines of at most WIDTH characters."""
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def short_name(name: str) -> str:
    """Returns the first of the names that the stock converter joins when it fuses ops."""
    return name.split(";")[0]


def bytes_text(count: int) -> str:
    """Returns a size for people, for example "21.5 kB"; 1 kB is 1000 bytes."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.2f} MB"


def dims_text(dims: Sequence[int]) -> str:
    """Returns a shape for people, for example "?x12x12x64"."""
    return "x".join("?" if size < 0 else str(size) for size in dims) or "scalar"


def _change(op: PackedOp) -> str:
    if op.bytes_before == op.bytes_after:
        return bytes_text(op.bytes_after)
    return f"{bytes_text(op.bytes_before)} -> {bytes_text(op.bytes_after)}"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else "..." + text[len(text) - width + 3 :]
