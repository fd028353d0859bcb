"""The object graph that passes work on: ops and tensors that know their producer and users.

    tensor.producer -> op -> op.outputs          an op is created by Graph.add_op and changed by Graph.morph
    tensor.users    -> ops that read the tensor  both keep producer and users right, so no pass handles an index

A pass changes how an op computes its outputs (`morph`) or lets it take over those of the op behind it (`absorb`); the
tensors themselves stay. So the names of outputs and signatures survive every rewriting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .attachments import Attachment
from .custom_ops import fill_options
from .linked_sequence import LinkedSequence
from .schema import TYPE_NAMES, schema

Array = np.ndarray

CUSTOM_PREFIX = "Bnn"
"""Custom ops of docs/format.md start with this; their options are a dict of integers."""

# Ops that act beyond their outputs: never removed just because nothing reads them.
_STATEFUL = {"ASSIGN_VARIABLE", "CALL", "CALL_ONCE", "HASHTABLE_IMPORT", "IF", "VAR_HANDLE", "WHILE"}

NUMPY_TYPES = {
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT64: np.float64,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.UINT16: np.uint16,
    schema.TensorType.UINT32: np.uint32,
    schema.TensorType.UINT64: np.uint64,
    schema.TensorType.BOOL: np.bool_,
}
_TENSOR_TYPES = {np.dtype(dtype): code for code, dtype in NUMPY_TYPES.items()}


class Tensor:
    """One tensor of a graph.

    Attributes:
        record: The schema's TensorT: name, type, quantization and all that passes do not touch.
        buffer: The constant's bytes as a uint8 array, or None for a tensor that is computed or fed.
        producer: The op that computes it, or None for inputs and constants.
        users: The ops that read it, each once, in no particular order.
    """

    def __init__(self, record: Any, buffer: Array | None = None):
        self.record = record
        self.buffer = buffer
        self.producer: Op | None = None
        self.users: LinkedSequence[Op] = LinkedSequence()

    @property
    def name(self) -> str:
        """The name in the file."""
        name = self.record.name or ""
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else name

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape, with -1 for each dimension that is only known at run time."""
        signature = self.record.shapeSignature
        dims = self.record.shape if signature is None or len(signature) == 0 else signature
        return () if dims is None else tuple(int(size) for size in dims)

    @property
    def type_name(self) -> str:
        """The element type, for example "float32"."""
        return TYPE_NAMES[self.record.type]

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its values."""
        return self.buffer is not None

    @property
    def values(self) -> Array:
        """The constant's values, read-only.

        Raises:
            ValueError: when the tensor is no constant, or of a type that numpy does not have.
        """
        dtype = NUMPY_TYPES.get(self.record.type)
        if self.buffer is None or dtype is None:
            raise ValueError(f"tensor {self.name!r} ({self.type_name}) has no constant values that numpy can hold")
        shape = self.record.shape
        values = np.ascontiguousarray(self.buffer).view(np.dtype(dtype).newbyteorder("<"))
        values = values.astype(dtype, copy=False).reshape(() if shape is None else tuple(shape))
        values.flags.writeable = False
        return values

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.type_name}{list(self.dims)})"


class Op:
    """One op of a graph.

    Attributes:
        kind: The builtin op's name ("CONV_2D") or the custom op's ("BnnConv2D").
        version: The op's version number in the file.
        options: The schema's options object of a builtin op; a dict of integers for ops of docs/format.md; the raw
            bytes (uint8 array) for other custom ops; None without options.
        record: The schema's OperatorT: all else, kept as it was read.
    """

    def __init__(self, kind: str, options: Any = None, version: int = 1, record: Any = None):
        self.kind = kind
        self.options = options
        self.version = version
        self.record = record if record is not None else schema.OperatorT()
        self._inputs: tuple[Tensor | None, ...] = ()
        self._outputs: tuple[Tensor, ...] = ()
        self.intermediates: tuple[Tensor, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What the op reads; None where an optional input is absent."""
        return self._inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What the op computes."""
        return self._outputs

    @property
    def output(self) -> Tensor:
        """The first output."""
        return self._outputs[0]

    @property
    def name(self) -> str:
        """The op's name for people: its first output's."""
        return self._outputs[0].name if self._outputs else self.kind

    @property
    def is_packed(self) -> bool:
        """Whether it is a custom op of docs/format.md."""
        return self.kind.startswith(CUSTOM_PREFIX)

    def input(self, index: int) -> Tensor | None:
        """Input number `index`, or None when the op has fewer."""
        return self._inputs[index] if index < len(self._inputs) else None

    def __repr__(self) -> str:
        return f"Op({self.kind}, {self.name!r})"


class Graph:
    """One subgraph: ops in an order in which they can run, and the tensors between them."""

    def __init__(self, name: str = "main"):
        self.name = name
        self.ops: LinkedSequence[Op] = LinkedSequence()
        self.tensors: LinkedSequence[Tensor] = LinkedSequence()
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.pinned: set[Tensor] = set()
        """Tensors that signatures name: they stay, like inputs and outputs."""
        self.record: Any = schema.SubGraphT()

    def add_tensor(
        self, name: str, dims: Sequence[int], dtype: Any = np.float32, *, quantization: Any = None
    ) -> Tensor:
        """Adds a tensor that an op computes or the user feeds.

        Args:
            name: Its name in the file.
            dims: Its shape, with -1 for a dimension that is only known at run time.
            dtype: Its numpy type.
            quantization: The schema's QuantizationParametersT, or None.
        """
        record = schema.TensorT()
        record.name = name
        record.type = _TENSOR_TYPES[np.dtype(dtype)]
        record.hasRank = True
        record.shape = [1 if size < 0 else int(size) for size in dims]
        if any(size < 0 for size in dims):
            record.shapeSignature = [int(size) for size in dims]
        record.quantization = quantization
        return self._adopt(Tensor(record))

    def add_input(self, name: str, dims: Sequence[int], dtype: Any = np.float32) -> Tensor:
        """Adds a tensor that the user feeds."""
        tensor = self.add_tensor(name, dims, dtype)
        self.inputs.append(tensor)
        return tensor

    def add_constant(self, name: str, values: Any, *, quantization: Any = None) -> Tensor:
        """Adds a constant with the given numpy values."""
        values = np.asarray(values)
        tensor = self.add_tensor(name, values.shape, values.dtype, quantization=quantization)
        little_endian = np.array(values, values.dtype.newbyteorder("<"), order="C")  # its own: the caller may go on
        tensor.buffer = little_endian.reshape(-1).view(np.uint8)
        tensor.buffer.flags.writeable = False
        return tensor

    def add_op(
        self,
        kind: str,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],
        options: Any = None,
        *,
        before: Op | None = None,
    ) -> Op:
        """Adds an op.

        Args:
            kind: A builtin op's name or a custom op's.
            inputs: The tensors it reads.
            outputs: The tensors it computes, none of which has a producer yet.
            options: See `Op.options`.
            before: The op in front of which it runs; by default it runs last.
        """
        op = Op(kind, fill_options(kind, options))
        if before is None:
            self.ops.append(op)
        else:
            self.ops.insert_before(before, op)
        self.connect(op, inputs, outputs)
        return op

    def connect(self, op: Op, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> None:
        """Gives a new op its tensors."""
        for tensor in outputs:
            if tensor.producer is not None:
                raise ValueError(f"{tensor} is already computed by {tensor.producer}")
            tensor.producer = op
        op._outputs = tuple(outputs)
        self._set_inputs(op, inputs)

    def morph(self, op: Op, kind: str, inputs: Sequence[Tensor | None], options: Any = None) -> None:
        """Makes `op` compute its outputs in another way; what only fed the old way is removed."""
        before = op.inputs
        op.kind, op.options, op.version, op.record = kind, fill_options(kind, options), 1, schema.OperatorT()
        self._set_inputs(op, inputs)
        self._discard(before)

    def absorb(self, op: Op, successor: Op) -> None:
        """Makes `op` compute the outputs of `successor` in place of its own, which `successor` alone reads."""
        before = successor.inputs
        old = [tensor for tensor in op.outputs if tensor in before]
        self._set_inputs(successor, ())
        self.ops.remove(successor)
        index = op.outputs.index(old[0])
        op._outputs = (*op.outputs[:index], *successor.outputs, *op.outputs[index + 1 :])
        for tensor in op.outputs:
            tensor.producer = op
        for tensor in old:
            self.tensors.remove(tensor)
        self._discard([tensor for tensor in before if tensor not in old])

    def join(self, op: Op, successor: Op) -> None:
        """Makes `op` compute the outputs of `successor`, which reads an output of it, behind its own."""
        before = successor.inputs
        self._set_inputs(successor, ())
        self.ops.remove(successor)
        op._outputs += successor.outputs
        for tensor in successor.outputs:
            tensor.producer = op
        self._discard(before)

    def release(self, op: Op, output: Tensor) -> None:
        """Makes a one-output op compute another tensor, so that a new op can compute its old output."""
        op.output.producer = None
        output.producer = op
        op._outputs = (output,)

    def set_input(self, op: Op, index: int, tensor: Tensor | None) -> None:
        """Makes `op` read another tensor; what only fed the old one is removed."""
        before = op.inputs
        self._set_inputs(op, (*before[:index], tensor, *before[index + 1 :]))
        self._discard(before)

    def replace_uses(self, old: Tensor, new: Tensor) -> None:
        """Makes every op that reads `old` read `new`; what only fed `old` is removed."""
        for op in list(old.users):
            self._set_inputs(op, [new if tensor is old else tensor for tensor in op.inputs])
        self._discard([old])

    def remove_unused(self) -> None:
        """Removes the ops whose outputs nothing reads, and then what only they needed."""
        self._discard([tensor for op in self.ops for tensor in op.outputs])

    def is_kept(self, tensor: Tensor) -> bool:
        """Whether the user sees the tensor: an input, an output or part of a signature."""
        return tensor in self.pinned or tensor in self.inputs or tensor in self.outputs

    def only_user(self, tensor: Tensor) -> Op | None:
        """The one op that reads the tensor, or None when several do or the user sees it."""
        return tensor.users[0] if len(tensor.users) == 1 and not self.is_kept(tensor) else None

    def find(self, kind: str) -> list[Op]:
        """All ops of a kind, in the order in which they run."""
        return [op for op in self.ops if op.kind == kind]

    def tensor(self, name: str) -> Tensor:
        """The tensor with this name.

        Raises:
            KeyError: when there is none or several.
        """
        found = [tensor for tensor in self.tensors if tensor.name == name]
        if len(found) != 1:
            raise KeyError(f"{len(found)} tensors are named {name!r}")
        return found[0]

    def _adopt(self, tensor: Tensor) -> Tensor:
        self.tensors.append(tensor)
        return tensor

    def _set_inputs(self, op: Op, inputs: Sequence[Tensor | None]) -> None:
        for tensor in _present(op.inputs):
            if op in tensor.users:
                tensor.users.remove(op)
        op._inputs = tuple(inputs)
        for tensor in _present(inputs):
            if op not in tensor.users:
                tensor.users.append(op)

    def _discard(self, tensors: Sequence[Tensor | None]) -> None:
        """Removes the tensors that nothing reads any more, and then what only they needed."""
        pending = list(_present(tensors))
        while pending:
            tensor = pending.pop()
            if tensor.users or self.is_kept(tensor) or tensor not in self.tensors:
                continue
            op = tensor.producer
            if op is None:
                self.tensors.remove(tensor)
                continue
            if op.kind in _STATEFUL or any(output.users or self.is_kept(output) for output in op.outputs):
                continue
            self.ops.remove(op)
            for output in (*op.outputs, *op.intermediates):
                self.tensors.remove(output)
            pending += _present(op.inputs)
            self._set_inputs(op, ())


@dataclass
class Signature:
    """A named entry point: the user's names for inputs and outputs of a graph."""

    key: str
    graph: Graph
    inputs: list[tuple[str, Tensor]]
    outputs: list[tuple[str, Tensor]]


@dataclass
class Model:
    """A whole .tflite file.

    Attributes:
        graphs: The subgraphs, the main one first.
        signatures: Named entry points.
        metadata: Named byte strings (uint8 arrays), kept as they are.
        attachments: The files behind the model, kept as they are.
        record: The schema's ModelT: all else, kept as it was read.
    """

    graphs: list[Graph] = field(default_factory=lambda: [Graph()])
    signatures: list[Signature] = field(default_factory=list)
    metadata: list[tuple[str, Array | None]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    record: Any = field(default_factory=schema.ModelT)

    @property
    def ops(self) -> Iterator[Op]:
        """The ops of all graphs."""
        return (op for graph in self.graphs for op in graph.ops)


def element_bytes(tensor: Tensor) -> int | None:
    """Returns the bytes of one element, or None for types that numpy does not have."""
    dtype = NUMPY_TYPES.get(tensor.record.type)
    return None if dtype is None else np.dtype(dtype).itemsize


def _present(tensors: Sequence[Tensor | None]) -> Iterator[Tensor]:
    return (tensor for tensor in tensors if tensor is not None)
