"""Writes a .tflite file of custom ops with nothing but flatbuffers: the self-test runs where there is only a runtime.

The numbers below are those of the fields in TensorFlow Lite's schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np

SCALE, ZERO_POINT = 0.5, 3
"""The quantization of all int8 and uint8 tensors."""

_TYPES = {np.dtype(np.float32): 0, np.dtype(np.int32): 2, np.dtype(np.uint8): 3, np.dtype(np.int8): 9}
_CUSTOM = 32
_SCHEMA_VERSION = 3
_ABSENT = -1
_ALIGNMENT = 16


@dataclass(eq=False)
class Tensor:
    """A tensor of the file: a constant if it has values. The first size of the shape of any other is free."""

    shape: tuple[int, ...]
    dtype: Any
    values: np.ndarray | None = None


@dataclass(eq=False)
class Op:
    """A custom op; None where an optional input is absent. `options` is a flexbuffer map."""

    kind: str
    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor]
    options: bytes


@dataclass(eq=False)
class File:
    """A graph of custom ops, in the order in which they run."""

    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)

    def add_tensor(self, shape: Sequence[int], dtype: Any, values: np.ndarray | None = None) -> Tensor:
        """Adds a tensor."""
        self.tensors.append(Tensor(tuple(shape), dtype, values))
        return self.tensors[-1]

    def write(self) -> bytes:
        """Returns the file's bytes."""
        builder = _Builder(1024)
        index = {tensor: i for i, tensor in enumerate(self.tensors)}
        constants = {tensor: tensor.values for tensor in self.tensors if tensor.values is not None}
        buffer = {tensor: i + 1 for i, tensor in enumerate(constants)}  # buffer 0 is the empty one
        tensors = [builder.tensor(tensor, buffer.get(tensor, 0)) for tensor in self.tensors]
        operators = [
            builder.table(
                {
                    0: ("Uint32", i),
                    1: builder.vector(np.array([_ABSENT if x is None else index[x] for x in op.inputs], np.int32)),
                    2: builder.vector(np.array([index[y] for y in op.outputs], np.int32)),
                    5: builder.bytes(op.options),
                }
            )
            for i, op in enumerate(self.ops)
        ]
        graph = builder.table(
            {
                0: builder.tables(tensors),
                1: builder.vector(np.array([index[x] for x in self.inputs], np.int32)),
                2: builder.vector(np.array([index[y] for y in self.outputs], np.int32)),
                3: builder.tables(operators),
            }
        )
        codes = [
            builder.table({0: ("Int8", _CUSTOM), 1: builder.text(op.kind), 2: ("Int32", 1), 3: ("Int32", _CUSTOM)})
            for op in self.ops
        ]
        buffers = [builder.table({}), *(builder.table({0: builder.bytes(x.tobytes())}) for x in constants.values())]
        model = {1: builder.tables(codes), 2: builder.tables([graph]), 4: builder.tables(buffers)}
        builder.Finish(builder.table({0: ("Uint32", _SCHEMA_VERSION), **model}), b"TFL3")
        return bytes(builder.Output())


_Field = tuple[str, int]


class _Builder(flatbuffers.Builder):
    """Each method that writes something in a place of its own returns the field that refers to it."""

    def table(self, fields: Mapping[int, _Field]) -> int:
        self.StartObject(max(fields, default=-1) + 1)
        for slot, (kind, value) in fields.items():
            getattr(self, f"Prepend{kind}Slot")(slot, value, 0)
        return int(self.EndObject())

    def tables(self, offsets: Sequence[int]) -> _Field:
        self.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.PrependUOffsetTRelative(offset)
        return "UOffsetTRelative", self.EndVector()

    def vector(self, values: np.ndarray) -> _Field:
        self.Prep(_ALIGNMENT, values.nbytes)
        return "UOffsetTRelative", self.CreateNumpyVector(values)

    def bytes(self, values: bytes) -> _Field:
        return self.vector(np.array(bytearray(values), np.uint8))

    def text(self, text: str) -> _Field:
        return "UOffsetTRelative", self.CreateString(text)

    def tensor(self, tensor: Tensor, buffer: int) -> int:
        """Writes a tensor's table."""
        fields = {
            0: self.vector(np.array(tensor.shape, np.int32)),
            1: ("Int8", _TYPES[np.dtype(tensor.dtype)]),
            2: ("Uint32", buffer),
        }
        if tensor.values is None:
            fields[7] = self.vector(np.array((-1, *tensor.shape[1:]), np.int32))
        if np.dtype(tensor.dtype).itemsize == 1:
            scale, zero_point = self.vector(np.array([SCALE], "f")), self.vector(np.array([ZERO_POINT], np.int64))
            fields[4] = "UOffsetTRelative", self.table({2: scale, 3: zero_point})
        return self.table(fields)
