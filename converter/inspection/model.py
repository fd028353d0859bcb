"""What an inspection tells: the ops of a file, and the tensors that flow between them."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from keras_bnn.whole_file import write_whole

from ..multiply_accumulates import added_by_precision
from .kernels import InspectedKernel


@dataclass(frozen=True)
class InspectedTensor:
    """A tensor that is fed or computed.

    Attributes:
        name: Its name in the file.
        data: "bits" for packed bits, else the element type: "float32", "int8".
        bits: Bits of one value, or None where the type has no fixed size.
        shape: Its shape, in channels where the file has packed words; -1 for a free size.
        producer: The index of the op that computes it, or None for an input.
        users: The indices of the ops that read it.
        is_output: Whether the model returns it.
    """

    name: str
    data: str
    bits: int | None
    shape: tuple[int, ...]
    producer: int | None
    users: tuple[int, ...]
    is_output: bool


@dataclass(frozen=True)
class InspectedOp:
    """One op of a file.

    Attributes:
        name: The first tensor that it computes.
        layer: The layer's name, as far as the file tells it.
        kind: The op.
        steps: What follows the sums of a packed op, in this order: activations, "add", "multiply", "PReLU" and so on.
        inputs: The indices of the tensors that it reads, constants apart.
        outputs: The indices of the tensors that it computes.
        shape: The first output's shape, in channels where the output is packed; -1 for a free size.
        input_bits: Bits of one value of the data that it reads, or None where the type has no fixed size.
        output_bits: Bits of one value of its first output, or None where the type has no fixed size.
        weight_bits: Bits of one weight, or None for an op without a kernel.
        constant_bytes: Bytes of its constants.
        macs: Multiply-accumulates, with 1 for a free batch; None where they are not known.
        precision: What it multiplies, bits of the weight x bits of the input, for example "1x1"; "" without products.
        kernel: What its kernel holds, or None.
        is_packable: Whether `convert` would pack its kernel.
        reason: Why a binary-looking op is not or cannot be packed, or what is useless about it, and the remedy; or "".
    """

    name: str
    layer: str
    kind: str
    steps: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shape: tuple[int, ...]
    input_bits: int | None
    output_bits: int | None
    weight_bits: int | None
    constant_bytes: int
    macs: int | None
    precision: str
    kernel: InspectedKernel | None
    is_packable: bool
    reason: str


@dataclass(frozen=True)
class Inspection:
    """The ops of a .tflite file. `print` shows them as a table, `to_html` as a page.

    Attributes:
        path: The file.
        file_bytes: Its size in bytes.
        ops: Its ops, in the order in which they run.
        tensors: What flows between them.
    """

    path: str
    file_bytes: int
    ops: tuple[InspectedOp, ...]
    tensors: tuple[InspectedTensor, ...]

    @property
    def packed_ops(self) -> int:
        """The number of ops with packed weights: convolutions and dense ops."""
        return sum(op.weight_bits == 1 for op in self.ops)

    @property
    def packable_ops(self) -> int:
        """The number of ops that `convert` would pack."""
        return sum(op.is_packable for op in self.ops)

    @property
    def macs(self) -> dict[str, int]:
        """The multiply-accumulates that are known, by bits of the weight x bits of the input."""
        return added_by_precision((op.precision, op.macs) for op in self.ops)

    @property
    def binary_mac_share(self) -> float | None:
        """Share of "1x1" among the multiply-accumulates, from 0 to 1; None without any."""
        macs = self.macs
        return macs.get("1x1", 0) / sum(macs.values()) if macs else None

    @property
    def constant_bytes(self) -> int:
        """Bytes of the constants of all ops; a constant that several ops read counts for each."""
        return sum(op.constant_bytes for op in self.ops)

    @property
    def unique_filter_share(self) -> float | None:
        """Share of binary 2-D filters that are unique on their input channel, from 0 to 1; None without any."""
        kernels = [op.kernel for op in self.ops if op.kernel is not None]
        filters = sum(kernel.filters for kernel in kernels)
        return sum(kernel.unique_filters for kernel in kernels) / filters if filters else None

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it in plain Python types, ready for JSON."""
        return {
            "path": self.path,
            "file_bytes": self.file_bytes,
            "packed_ops": self.packed_ops,
            "packable_ops": self.packable_ops,
            "macs": self.macs,
            "binary_mac_share": self.binary_mac_share,
            "unique_filter_share": self.unique_filter_share,
            "ops": [asdict(op) for op in self.ops],
            "tensors": [asdict(tensor) for tensor in self.tensors],
        }

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Returns one HTML page that needs nothing else: the graph with its bits and floats, sizes, histograms.

        Args:
            path: Where to write the page, whole or not at all; None writes nothing.

        Raises:
            FileNotFoundError: when there is no folder to write to.
        """
        from .page import page

        text = page(self)
        if path is not None:
            write_whole(path, text.encode(errors="backslashreplace"))
        return text

    def __str__(self) -> str:
        from .text import text

        return text(self)
