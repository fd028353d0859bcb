"""What a conversion did, as an object and as a table."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from keras_bnn.count_text import short_count

from .custom_ops import PACKED_KERNEL_OPS

WIDTH = 100


@dataclass(frozen=True)
class ReportedOp:
    """One op of the packed file, and what became of it.

    Attributes:
        name: The layer's name, as far as the file tells it.
        kind: The op.
        outcome: "packed" for an op that computes on bits; "left" for one that looks binary and is not packed;
            "unchanged" for one about which nothing is binary.
        input_type: "bits", or the element type of a real-valued input.
        output_types: The same for each output: "bits", "float32".
        input_bits: Bits of one value of the input, or None where the type has no fixed size.
        output_bits: The same for each output.
        shape: The first output's shape in channels, with -1 for a dynamic dimension.
        bytes_before: Bytes of constants in the float file, of the kernel's op and of the op whose output it gives now.
        bytes_after: Bytes of its constants in the packed file.
        macs: Multiply-accumulates, with 1 for a free batch; None where they are not known.
        precision: What it multiplies, bits of the weight x bits of the input, for example "1x1"; "" without products.
    """

    name: str
    kind: str
    outcome: str
    input_type: str
    output_types: tuple[str, ...]
    input_bits: int | None
    output_bits: tuple[int | None, ...]
    shape: tuple[int, ...]
    bytes_before: int
    bytes_after: int
    macs: int | None
    precision: str

    @property
    def output_type(self) -> str:
        """The first output's type."""
        return self.output_types[0] if self.output_types else ""

    @property
    def data(self) -> str:
        """What comes in and what goes out: "bits -> float32 + bits"."""
        return f"{self.input_type} -> {' + '.join(self.output_types)}"


@dataclass(frozen=True)
class LeftOp:
    """One place that looks binary and computes on numbers all the same, or that computes what it need not.

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
        ops: The ops of the packed file, in the order in which they run, and what became of each.
        left: What looks binary and was not packed, or not wholly, with the reason and the remedy.
        advice: What computes more than it need, with the reason and the remedy: a sign that is constant, binary weights
            that read numbers.
        replaced: How many ops of each kind, kernels apart, are gone because packed ops do their work.
        reference_bytes: Size of the float .tflite file in bytes.
        packed_bytes: Size of the packed .tflite file in bytes.
        verification: The comparison of both files, or None when there was none.
        path: Where the packed file was written, or None.
        model: The packed .tflite file.
        reference: The float .tflite file, which runs on any runtime without keras-bnn.
    """

    ops: tuple[ReportedOp, ...]
    left: tuple[LeftOp, ...]
    advice: tuple[LeftOp, ...]
    replaced: dict[str, int]
    reference_bytes: int
    packed_bytes: int
    verification: Verification | None
    path: str | None
    model: bytes = field(repr=False)
    reference: bytes = field(repr=False)

    @property
    def packed(self) -> tuple[ReportedOp, ...]:
        """The ops with packed weights."""
        return tuple(op for op in self.ops if op.outcome == "packed" and op.kind in PACKED_KERNEL_OPS)

    @property
    def unchanged(self) -> dict[str, int]:
        """How many ops of each kind were left alone because nothing about them is binary."""
        return dict(Counter(op.kind for op in self.ops if op.outcome == "unchanged"))

    @property
    def macs(self) -> dict[str, int]:
        """The multiply-accumulates of the packed file, by bits of the weight x bits of the input."""
        from .multiply_accumulates import added_by_precision  # needs the schema, which the tables below do without

        return added_by_precision((op.precision, op.macs) for op in self.ops)

    def to_dict(self) -> dict[str, Any]:
        """Returns all but the two files in plain Python types, ready for JSON."""
        return {
            "ops": [asdict(op) for op in self.ops],
            "packed": [asdict(op) for op in self.packed],
            "left": [asdict(op) for op in self.left],
            "advice": [asdict(op) for op in self.advice],
            "unchanged": self.unchanged,
            "replaced": dict(self.replaced),
            "macs": self.macs,
            "reference_bytes": self.reference_bytes,
            "packed_bytes": self.packed_bytes,
            "verification": None if self.verification is None else asdict(self.verification),
            "path": self.path,
        }

    def __str__(self) -> str:
        lines = [f"{self.path or 'packed model'}: {self._sizes()}", ""]
        packed = self.packed
        others = tuple(op for op in self.ops if op not in packed and op.macs != 0)
        names = without_common_scope([short_name(op.name) for op in (*packed, *others)])
        for what, ops, shown in (("packed", packed, names), ("not packed", others, names[len(packed) :])):
            rows = [(name, *_cells(op)) for name, op in zip(shown, ops, strict=False)]
            if rows:
                lines += [*table((what, "op", "data", "output", "constants", "MACs"), rows, right=2), ""]
        if self.macs:
            lines += paragraph(macs_sentence(self.macs))
        for one in (*self.left, *self.advice):
            lines += ["", *paragraph(one.sentence)]
        for what, counts in (("Replaced by packed ops", self.replaced), ("Not binary, unchanged", self.unchanged)):
            if counts:
                kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
                lines += ["", *paragraph(f"{what}: {kinds}.")]
        if self.verification is not None:
            lines += ["", *self.verification.lines()]
        return "\n".join(lines)

    def _sizes(self) -> str:
        before, after = bytes_text(self.reference_bytes), bytes_text(self.packed_bytes)
        if self.model == self.reference:
            return f"already packed, {after}, unchanged"
        return f"{before} -> {after}, {self.reference_bytes / self.packed_bytes:.1f} times smaller"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: int = 0) -> list[str]:
    """Returns the lines of a table, at most WIDTH characters wide; the first column gives way.

    Args:
        header: Names of the columns.
        rows: Their cells.
        right: How many columns, the last ones, stand to the right: figures.
    """
    all_rows = [tuple(header), *rows]
    widths = [max(len(row[index]) for row in all_rows) for index in range(len(header))]
    widths[0] = max(min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1)), 12)
    lines = []
    for row in all_rows:
        cells = [_shortened(row[0], widths[0]), *row[1:]]
        aligned = [
            cell.ljust(width) if index < len(cells) - right else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(aligned).rstrip())
    return [lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]]


def paragraph(text: str) -> list[str]:
    """Returns a text in lines of at most WIDTH characters."""
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def macs_sentence(macs: Mapping[str, int]) -> str:
    """Returns the multiply-accumulates in one sentence.

    Args:
        macs: Counts by bits of the weight x bits of the input.
    """
    total = sum(macs.values())
    parts = ", ".join(f"{short_count(count)} {pair}" for pair, count in macs.items())
    return (
        f"Multiply-accumulates (bits of the weight x bits of the input): {parts}; {macs.get('1x1', 0) / total:.1%} are "
        "1x1, XNOR and popcount."
    )


def without_common_scope(names: Sequence[str]) -> list[str]:
    """Returns names without the outermost scope, where most of them have the same one: the model's name."""
    scopes = Counter(scope for scope, slash, _ in (name.partition("/") for name in names) if slash)
    scope, count = max(scopes.items(), key=lambda item: item[1], default=("", 0))
    return [name.removeprefix(f"{scope}/") for name in names] if 2 * count > len(names) else list(names)


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


def _cells(op: ReportedOp) -> tuple[str, ...]:
    size = bytes_text(op.bytes_after)
    if op.bytes_before != op.bytes_after:
        size = f"{bytes_text(op.bytes_before)} -> {size}"
    macs = "?" if op.macs is None else short_count(op.macs)
    return (op.kind, op.data.replace(" + ", "+"), dims_text(op.shape), size, macs)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else "..." + text[len(text) - width + 3 :]
