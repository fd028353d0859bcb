"""`inspect`: the ops of any .tflite file, packed or not."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .custom_ops import PACKED_KERNEL_OPS
from .flatbuffer import read_model
from .graph import Op, Tensor
from .passes import Refusal
from .passes.pack_kernel import find_packable
from .patterns import KERNEL_CHANNEL_AXIS, constant_bytes
from .report import bytes_text, dims_text, paragraph, short_name, table


@dataclass(frozen=True)
class InspectedOp:
    """One op of a file.

    Attributes:
        name: The first tensor that it computes.
        kind: The op.
        shape: The output's shape, in channels where the output is packed; -1 for a dynamic dimension.
        output_bits: Bits of one output value, or None where the type has no fixed size.
        weight_bits: Bits of one weight, or None for an op without a kernel.
        constant_bytes: Bytes of its constants.
        is_packable: Whether `convert` would pack its kernel.
        reason: Why a binary-looking op cannot be packed, or "".
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    output_bits: int | None
    weight_bits: int | None
    constant_bytes: int
    is_packable: bool
    reason: str


@dataclass(frozen=True)
class Inspection:
    """The ops of a .tflite file. `print` shows them as a table.

    Attributes:
        path: The file.
        file_bytes: Its size in bytes.
        ops: Its ops, in the order in which they run.
    """

    path: str
    file_bytes: int
    ops: tuple[InspectedOp, ...]

    @property
    def packed_ops(self) -> int:
        """The number of packed convolutions and dense ops."""
        return sum(op.weight_bits == 1 for op in self.ops)

    @property
    def packable_ops(self) -> int:
        """The number of ops that `convert` would pack."""
        return sum(op.is_packable for op in self.ops)

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it in plain Python types, ready for JSON."""
        return {"path": self.path, "file_bytes": self.file_bytes, "ops": [asdict(op) for op in self.ops]}

    def __str__(self) -> str:
        rows = [
            (
                op.name,
                op.kind,
                dims_text(op.shape),
                "" if op.output_bits is None else str(op.output_bits),
                "" if op.weight_bits is None else str(op.weight_bits),
                bytes_text(op.constant_bytes) if op.constant_bytes else "",
            )
            for op in self.ops
        ]
        lines = [
            f"{self.path}: {bytes_text(self.file_bytes)}, {len(self.ops)} ops, {self.packed_ops} with packed weights",
            "",
        ]
        lines += table(("tensor", "op", "output", "bits", "weight bits", "constants"), rows)
        if self.packable_ops:
            lines += ["", f"{self.packable_ops} ops have a binary kernel and could be packed: convert the file."]
        for op in self.ops:
            if op.reason:
                lines += ["", *paragraph(f"{op.kind} {short_name(op.name)}: {op.reason}.")]
        return "\n".join(lines)


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Lists the ops of a .tflite file, packed or not.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no .tflite file, or a damaged one.

    Example:

    >>> print(keras_bnn.converter.inspect("model.tflite"))  # doctest: +SKIP
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {os.fspath(path)}: pass the path of a .tflite file.")
    data = Path(path).read_bytes()
    model = read_model(data)
    ops = tuple(_inspect_op(op) for graph in model.graphs for op in graph.ops)
    return Inspection(os.fspath(path), len(data), ops)


def _inspect_op(op: Op) -> InspectedOp:
    output = op.outputs[0] if op.outputs else None
    channels = _packed_channels(output)
    dims = () if output is None else output.dims
    found = find_packable(op)
    return InspectedOp(
        name=op.name,
        kind=op.kind,
        shape=dims if channels is None else (*dims[:-1], channels),
        output_bits=_bits(output),
        weight_bits=_weight_bits(op),
        constant_bytes=constant_bytes(op),
        is_packable=found is not None and not isinstance(found, Refusal),
        reason=found.text if isinstance(found, Refusal) else "",
    )


def _packed_channels(tensor: Tensor | None) -> int | None:
    """The number of bits in use of a packed tensor's innermost dimension, or None where the values are no bits."""
    op = tensor.producer if tensor is not None else None
    if op is None or tensor is None or tensor.type_name != "int32":
        return None
    source = op.input(0)
    if op.kind == "BnnQuantize" and source is not None:
        return source.dims[-1]
    if op.kind == "BnnMaxPool2D":
        return _packed_channels(source)
    parameter = op.input(2) if op.kind in PACKED_KERNEL_OPS else None
    return None if parameter is None else parameter.dims[0]


def _bits(tensor: Tensor | None) -> int | None:
    if tensor is None:
        return None
    if _packed_channels(tensor) is not None:
        return 1
    if tensor.type_name == "bool":
        return 8
    digits = tensor.type_name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) if digits.isdecimal() else None


def _weight_bits(op: Op) -> int | None:
    if op.kind in PACKED_KERNEL_OPS:
        return 1
    return _bits(op.input(1)) if op.kind in KERNEL_CHANNEL_AXIS else None
