"""Reads a .tflite file into a Model and writes a Model as a .tflite file; what no pass touches stays as it was."""

from __future__ import annotations

import zlib
from collections import defaultdict
from typing import Any, TypeVar

import flatbuffers
import numpy as np

from .attachments import append_attachments, read_attachments
from .checker import check_graph
from .custom_ops import OP_VERSION, OPTIONS, decode_options, encode_options
from .graph import CUSTOM_PREFIX, Array, Graph, Model, Op, Signature, Tensor
from .linked_sequence import LinkedSequence
from .schema import OP_CODES, OP_NAMES, schema

_T = TypeVar("_T")

FILE_IDENTIFIER = b"TFL3"
LARGEST_FILE = 2**31 - 1
"""Bytes; a flatbuffer's offsets are signed 32-bit numbers."""

_BYTES_PER_ENTRY = 512
"""A guess at what the file says of an op or a tensor beside its constant; the builder grows where it is too low."""

_LAST_DEPRECATED_CODE = 127
_NO_TENSOR = -1
_ALIGNMENT = 64
"""Bytes: a cache line, and the largest vector register. Kernels read constants where the file is mapped."""


class CorruptFileError(ValueError):
    """The bytes are no .tflite file."""


def read_model(data: bytes) -> Model:
    """Reads a .tflite file.

    Args:
        data: The file's bytes.

    Raises:
        CorruptFileError: when they are no .tflite file, or a damaged one.
        ValueError: when the file is packed in a version of the format that this package does not know.
    """
    _verify(data)
    record = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    try:
        buffers = [_buffer_bytes(buffer, data) for buffer in record.buffers or []]
        graphs = [
            _read_graph(subgraph, record.operatorCodes or [], buffers, data) for subgraph in record.subgraphs or []
        ]
        signatures = [_read_signature(signature, graphs) for signature in record.signatureDefs or []]
        metadata = [(_text(entry.name), _pick("buffer", buffers, entry.buffer)) for entry in record.metadata or []]
        for graph in graphs:
            check_graph(graph)
    except (AssertionError, IndexError, TypeError, KeyError) as error:
        raise _corrupt(str(error)) from error
    return Model(graphs, signatures, metadata, read_attachments(data), record)


def write_model(model: Model, *, share_buffers: bool = True) -> bytes:
    """Writes a .tflite file; equal models give equal bytes.

    Args:
        model: The model.
        share_buffers: Whether equal constants share one buffer. Not for tools that write into the buffers.

    Raises:
        ValueError: when the file would be larger than the format allows.
    """
    buffers = _BufferTable(share=share_buffers)
    codes = _CodeTable()
    record = schema.ModelT()
    record.version = model.record.version or 3
    record.description = model.record.description
    record.externalBufferGroups = getattr(model.record, "externalBufferGroups", None)
    record.externalBuffers = getattr(model.record, "externalBuffers", None)
    indices = [{tensor: index for index, tensor in enumerate(graph.tensors)} for graph in model.graphs]
    record.subgraphs = [
        _graph_record(graph, index, codes, buffers) for graph, index in zip(model.graphs, indices, strict=True)
    ]
    record.signatureDefs = [_signature_record(signature, model.graphs, indices) for signature in model.signatures]
    record.metadata = [_metadata_record(name, buffers.add(data)) for name, data in model.metadata]
    record.operatorCodes = codes.records
    record.buffers = buffers.records
    file = _serialize(record, buffers.nbytes, sum(len(graph.ops) + len(graph.tensors) for graph in model.graphs))
    return append_attachments(file, model.attachments)


# ---------------------------------------------------------------------------------------------------------- reading

_VERIFIER_MESSAGE = "not a valid Flatbuffer"


def _corrupt(what: str) -> CorruptFileError:
    return CorruptFileError(f"This .tflite file is damaged or cut off ({what}): export or download it again.")


def _verify(data: bytes) -> None:
    """Asks the runtime's verifier: the Python schema would follow any offset. Unknown ops are none of its business."""
    from ai_edge_litert.interpreter import Interpreter

    if data[4:8] != FILE_IDENTIFIER:
        raise CorruptFileError(
            f"This is not a .tflite file: bytes 4 to 7 are {data[4:8]!r}, expected {FILE_IDENTIFIER!r}; pass a .tflite "
            "file, a .keras file, a SavedModel folder or a Keras model."
        )
    try:
        has_graph = schema.Model.GetRootAs(data, 0).SubgraphsLength() > 0
    except Exception as error:  # Python's own of whatever the offsets lead to
        raise _corrupt("it is no whole flatbuffer") from error
    if not has_graph:  # the runtime's verifier lets it pass, and then LiteRT 2.3 crashes
        raise _corrupt("it holds no graph")
    try:
        Interpreter(model_content=data)
    except ValueError as error:
        if _VERIFIER_MESSAGE in str(error):
            raise _corrupt("it is no whole flatbuffer") from error


def _buffer_bytes(buffer: Any, data: bytes) -> Array | None:
    if buffer.offset > 1:  # kept behind the flatbuffer, as large models do
        return _outside(data, buffer.offset, buffer.size)
    return None if buffer.data is None or len(buffer.data) == 0 else np.asarray(buffer.data, np.uint8)


def _outside(data: bytes, offset: int, size: int) -> Array:
    if offset + size > len(data):
        raise IndexError(f"{size} bytes at {offset} lie behind the end of the file")
    return np.frombuffer(data, np.uint8, count=size, offset=offset)


def _read_graph(record: Any, codes: list[Any], buffers: list[Array | None], data: bytes) -> Graph:
    graph = Graph(_text(record.name))
    graph.record = record
    tensors = [Tensor(tensor, _pick("buffer", buffers, tensor.buffer)) for tensor in record.tensors or []]
    graph.tensors = LinkedSequence(tensors)
    for operator in record.operators or []:
        op = _read_op(operator, _pick("operator code", codes, operator.opcodeIndex), data)
        graph.ops.append(op)
        inputs = [
            None if index == _NO_TENSOR else _pick("tensor", tensors, index) for index in _integers(operator.inputs)
        ]
        op.intermediates = _pick_all(tensors, operator.intermediates)
        outputs = _pick_all(tensors, operator.outputs)
        if len(set(outputs)) < len(outputs) or any(tensor.producer is not None for tensor in outputs):
            raise IndexError(f"{op.kind} number {len(graph.ops) - 1} computes what another op computes")
        graph.connect(op, inputs, outputs)
    graph.inputs = list(_pick_all(tensors, record.inputs))
    graph.outputs = list(_pick_all(tensors, record.outputs))
    return graph


def _read_op(record: Any, code: Any, data: bytes) -> Op:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number not in OP_NAMES:
        raise IndexError(f"it names the op {number}, which the schema does not have")
    kind = OP_NAMES[number]
    if kind != "CUSTOM":
        return Op(kind, record.builtinOptions or record.builtinOptions2, code.version, record)
    kind = _text(code.customCode)
    options = record.customOptions
    if record.largeCustomOptionsOffset > 1:
        options = _outside(data, record.largeCustomOptionsOffset, record.largeCustomOptionsSize)
    if kind.startswith(CUSTOM_PREFIX):
        options = decode_options(kind, options)
    return Op(kind, options, code.version, record)


def _read_signature(record: Any, graphs: list[Graph]) -> Signature:
    graph = _pick("subgraph", graphs, record.subgraphIndex)
    tensors = list(graph.tensors)
    inputs, outputs = (
        [(_text(entry.name), _pick("tensor", tensors, entry.tensorIndex)) for entry in entries or []]
        for entries in (record.inputs, record.outputs)
    )
    graph.pinned.update(tensor for _, tensor in (*inputs, *outputs))
    return Signature(_text(record.signatureKey), graph, inputs, outputs)


def _integers(vector: Any) -> list[int]:
    return [] if vector is None else [int(value) for value in vector]


def _pick_all(tensors: list[Tensor], indices: Any) -> tuple[Tensor, ...]:
    return tuple(_pick("tensor", tensors, index) for index in _integers(indices))


def _pick(what: str, things: list[_T], index: int) -> _T:
    """Returns one of the things; Python would count negative indices from the end."""
    if not 0 <= index < len(things):
        raise IndexError(f"it names {what} {index}, and there are {len(things)}")
    return things[index]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


# ---------------------------------------------------------------------------------------------------------- writing


class _BufferTable:
    """Buffers of the file; equal contents may share one. Buffer 0 is empty by the schema's rule."""

    def __init__(self, *, share: bool) -> None:
        self._share = share
        self.records: list[Any] = [_AlignedBuffer()]
        self.nbytes = 0
        self._alike: dict[tuple[int, int], list[int]] = defaultdict(list)

    def add(self, data: Array | None) -> int:
        if data is None:
            return 0
        if data.nbytes > LARGEST_FILE:
            raise _too_large(data.nbytes)
        alike = self._alike[data.nbytes, zlib.crc32(data.data)]
        for index in alike if self._share else ():
            if np.array_equal(self.records[index].data, data):
                return index
        record = _AlignedBuffer()
        record.data = data
        self.nbytes += -(-data.nbytes // _ALIGNMENT) * _ALIGNMENT
        if self.nbytes > LARGEST_FILE:
            raise _too_large(self.nbytes)
        alike.append(len(self.records))
        self.records.append(record)
        return alike[-1]


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors once: the layers of a network have many shapes and options in common."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._vectors: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: Array) -> int:  # noqa: N802
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            self._vectors[key] = self.create_unshared_vector(x)
        return self._vectors[key]

    def create_unshared_vector(self, x: Array) -> int:
        """Writes a vector at its own place, such as one with an alignment of its own."""
        return int(super().CreateNumpyVector(x))


class _AlignedBuffer(schema.BufferT):
    """A buffer whose data is aligned; the schema asks for 16 bytes (force_align), and its own Pack forgets them."""

    def Pack(self, builder: Any) -> int:  # noqa: N802
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
            vector = builder.create_unshared_vector(self.data)
        schema.BufferStart(builder)
        if self.data is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


class _CodeTable:
    """Operator codes of the file, in the order of first use."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self._known: dict[tuple[str, int], int] = {}

    def add(self, kind: str, version: int) -> int:
        key = (kind, version)
        if key not in self._known:
            self._known[key] = len(self.records)
            record = schema.OperatorCodeT()
            record.builtinCode = OP_CODES.get(kind, schema.BuiltinOperator.CUSTOM)
            record.deprecatedBuiltinCode = min(record.builtinCode, _LAST_DEPRECATED_CODE)
            record.customCode = None if kind in OP_CODES else kind
            record.version = version
            self.records.append(record)
        return self._known[key]


def _graph_record(graph: Graph, index: dict[Tensor, int], codes: _CodeTable, buffers: _BufferTable) -> Any:
    record = graph.record
    record.name = graph.name
    record.inputs = [index[tensor] for tensor in graph.inputs]
    record.outputs = [index[tensor] for tensor in graph.outputs]
    record.tensors = [tensor.record for tensor in graph.tensors]
    for tensor in graph.tensors:
        tensor.record.buffer = buffers.add(tensor.buffer)
        tensor.record.shape = _as_vector(tensor.record.shape)
        tensor.record.shapeSignature = _as_vector(tensor.record.shapeSignature)
    record.operators = [_op_record(op, index, codes) for op in graph.ops]
    return record


def _as_vector(sizes: Any) -> Array | None:
    """As an array, of which the builder writes equal ones once."""
    return None if sizes is None else np.asarray(sizes, np.int32)


def _op_record(op: Op, index: dict[Tensor, int], codes: _CodeTable) -> Any:
    record = op.record
    record.inputs = [_NO_TENSOR if tensor is None else index[tensor] for tensor in op.inputs]
    record.outputs = [index[tensor] for tensor in op.outputs]
    record.intermediates = [index[tensor] for tensor in op.intermediates] or None
    if op.kind in OPTIONS:
        record.opcodeIndex = codes.add(op.kind, OP_VERSION)
        record.customOptions = np.frombuffer(encode_options(op.kind, op.options), np.uint8)
        return record
    record.opcodeIndex = codes.add(op.kind, op.version)
    if op.kind in OP_CODES:
        _set_builtin_options(record, op.options)
    else:
        record.customOptions, record.largeCustomOptionsOffset, record.largeCustomOptionsSize = op.options, 0, 0
    return record


def _set_builtin_options(record: Any, options: Any) -> None:
    record.builtinOptions = record.builtinOptions2 = None
    record.builtinOptionsType = record.builtinOptions2Type = 0
    if options is None:
        return
    name = type(options).__name__.removesuffix("T")
    if hasattr(schema.BuiltinOptions, name):
        record.builtinOptions, record.builtinOptionsType = options, getattr(schema.BuiltinOptions, name)
    else:
        record.builtinOptions2, record.builtinOptions2Type = options, getattr(schema.BuiltinOptions2, name)


def _signature_record(signature: Signature, graphs: list[Graph], indices: list[dict[Tensor, int]]) -> Any:
    record = schema.SignatureDefT()
    record.signatureKey = signature.key
    record.subgraphIndex = graphs.index(signature.graph)
    index = indices[record.subgraphIndex]
    record.inputs = [_tensor_map(name, index[tensor]) for name, tensor in signature.inputs]
    record.outputs = [_tensor_map(name, index[tensor]) for name, tensor in signature.outputs]
    return record


def _tensor_map(name: str, index: int) -> Any:
    record = schema.TensorMapT()
    record.name, record.tensorIndex = name, index
    return record


def _metadata_record(name: str, buffer: int) -> Any:
    record = schema.MetadataT()
    record.name, record.buffer = name, buffer
    return record


def _serialize(record: Any, constant_bytes: int, entries: int) -> bytes:
    builder = _SharingBuilder(min(constant_bytes + _BYTES_PER_ENTRY * (entries + 16), LARGEST_FILE))
    try:
        builder.Finish(record.Pack(builder), FILE_IDENTIFIER)
    except flatbuffers.builder.BuilderSizeError as error:
        raise _too_large(constant_bytes) from error
    if len(builder.Bytes) - builder.Head() > LARGEST_FILE:
        raise _too_large(constant_bytes)
    return bytes(memoryview(builder.Bytes)[builder.Head() :])


def _too_large(constant_bytes: int) -> ValueError:
    return ValueError(
        f"The model has {constant_bytes} bytes of constants or more, and a .tflite file holds {LARGEST_FILE} bytes at "
        "most: split the model."
    )
