"""Writes small .tflite files op by op, apart from the converter's writer, so that a wrong writer cannot hide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
}


class ModelBuilder:
    """One subgraph: add tensors and ops in running order, then `build`. Tensors are named by their index."""

    def __init__(self) -> None:
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.subgraphs = [self._graph]
        self._model.operatorCodes = []
        self._model.buffers = [schema.BufferT()]  # buffer 0 is the empty one, by TFLite's convention

    def tensor(
        self, shape: Sequence[int], dtype: type, scales: Sequence[float] | None = None, zero_point: int = 0
    ) -> int:
        """Add a tensor that an op or the user fills; one scale, or one per channel, makes it quantized."""
        tensor = schema.TensorT()
        tensor.name = f"tensor_{len(self._graph.tensors)}".encode()
        tensor.shape = [int(size) for size in shape]
        tensor.type = _TYPES[np.dtype(dtype)]
        tensor.buffer = 0
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scales)
            tensor.quantization.zeroPoint = [zero_point] * len(scales)
            tensor.quantization.quantizedDimension = len(shape) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, values: np.ndarray) -> int:
        """Add a tensor whose values lie in the file."""
        index = self.tensor(values.shape, values.dtype.type)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        self._graph.tensors[index].buffer = len(self._model.buffers) - 1
        return index

    def custom(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Mapping[str, object] | bytes,
        version: int = 1,
    ) -> None:
        """Add a custom op; `options` becomes a flexbuffer map, bytes are taken as they are."""
        code = schema.OperatorCodeT()
        code.builtinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = name.encode()
        operator = self._operator(code, version, inputs, outputs)
        encoded = options if isinstance(options, bytes) else bytes(flexbuffers.Dumps(options))
        operator.customOptions = np.frombuffer(encoded, np.uint8)

    def stock(self, builtin: int, inputs: Sequence[int], outputs: Sequence[int], options: object = None) -> None:
        """Add a stock op; `options` is the schema's options object, such as `AddOptionsT()`."""
        code = schema.OperatorCodeT()
        code.builtinCode = builtin
        operator = self._operator(code, 1, inputs, outputs)
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file's bytes."""
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _operator(
        self, code: schema.OperatorCodeT, version: int, inputs: Sequence[int], outputs: Sequence[int]
    ) -> schema.OperatorT:
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self._model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        self._graph.operators.append(operator)
        return operator
