"""Files whose structure is whole and whose meaning is not, each of which made something raise, or crash, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.seed_files import SeedFile, seed_files

from keras_bnn.converter import convert, inspect
from keras_bnn.converter.custom_ops import decode_options, encode_options
from keras_bnn.converter.flatbuffer import CorruptFileError, read_model
from keras_bnn.runtime import Interpreter


@pytest.fixture(scope="module")
def seeds() -> dict[str, SeedFile]:
    return {seed.name: seed for seed in seed_files()}


def _changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The file after a change of its fields."""
    record = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(record)
    builder = flatbuffers.Builder(1024)
    builder.Finish(record.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _no_outputs(model: Any) -> None:
    model.subgraphs[0].operators[1].outputs = []


def _computed_intermediate(model: Any) -> None:
    first, second = model.subgraphs[0].operators[:2]
    second.intermediates = list(first.outputs)


def _two_producers(model: Any) -> None:
    first, second = model.subgraphs[0].operators[:2]
    second.outputs = list(first.outputs)


def _no_graph(model: Any) -> None:
    model.subgraphs = None


def _tensor_beyond(model: Any) -> None:
    op = model.subgraphs[0].operators[0]
    op.inputs = [op.inputs[0], 4000, *op.inputs[2:]]


def _buffer_beyond(model: Any) -> None:
    model.subgraphs[0].tensors[1].buffer = 77


def _code_beyond(model: Any) -> None:
    model.subgraphs[0].operators[0].opcodeIndex = 9


def _graph_beyond(model: Any) -> None:
    """LiteRT 2.3 reads what lies behind the last graph."""
    model.signatureDefs[0].subgraphIndex = 69


def _signature_of_a_constant(model: Any) -> None:
    tensor = next(one for one in model.subgraphs[0].tensors if one.buffer and len(one.shape) == 4)
    tensor.shapeSignature = np.append(tensor.shape[::-1], 1).astype(np.int32)


def _unknown_op(model: Any) -> None:
    model.operatorCodes[0].builtinCode = 3000


_DAMAGES = {
    _no_outputs: "computes nothing",
    _computed_intermediate: "which other ops compute or read",
    _two_producers: "number 1 computes what another op computes",
    _no_graph: "holds no graph",
    _tensor_beyond: "it names tensor 4000, and there are",
    _buffer_beyond: "it names buffer 77, and there are",
    _code_beyond: "it names operator code 9, and there are",
    _graph_beyond: "it names subgraph 69, and there are 1",
    _signature_of_a_constant: r"holds \d+ bytes",
    _unknown_op: "it names the op 3000, which the schema does not have",
}


@pytest.mark.parametrize("name", ["plain", "_float_network"])
@pytest.mark.parametrize("damage", _DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_damage_is_told(seeds: dict[str, SeedFile], name: str, damage: Callable[[Any], None]) -> None:
    damaged = _changed(seeds[name].content, damage)
    message = rf"damaged or cut off \(.*{_DAMAGES[damage]}.*\): export or download it again\.$"
    for read in (read_model, convert):
        with pytest.raises(CorruptFileError, match=message):
            read(damaged)


def test_weights_that_are_no_words(seeds: dict[str, SeedFile]) -> None:
    def retype(model: Any) -> None:
        graph = model.subgraphs[0]
        weights = graph.tensors[graph.operators[-1].inputs[1]]
        assert weights.type == schema.TensorType.INT32
        assert weights.buffer
        weights.type = schema.TensorType.FLOAT32

    with pytest.raises(CorruptFileError, match="has weights"):
        read_model(_changed(seeds["_float_network_packed"].content, retype))


def test_ops_that_compute_nothing_are_passed_by(seeds: dict[str, SeedFile]) -> None:
    """As ASSIGN_VARIABLE does, here behind a sign."""

    def assign(model: Any) -> None:
        graph, code = model.subgraphs[0], schema.OperatorCodeT()
        code.builtinCode = schema.BuiltinOperator.ASSIGN_VARIABLE
        code.deprecatedBuiltinCode = 127
        model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = len(model.operatorCodes) - 1, list(graph.operators[2].outputs), []
        graph.operators.append(op)

    assert convert(_changed(seeds["_float_network"].content, assign), verify=False).packed


def test_options_of_another_op(seeds: dict[str, SeedFile]) -> None:
    def join(model: Any) -> None:
        code = next(one for one in model.operatorCodes if one.builtinCode == schema.BuiltinOperator.ADD)
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONCATENATION

    with pytest.raises(CorruptFileError, match="has AddOptionsT"):
        read_model(_changed(seeds["_float_residual"].content, join))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("padding", 3, "an integer from 0 to 2"),
        ("activation", 4, "an integer from 0 to 3"),
        ("pre_activation", -1, "an integer from 0 to 3"),
        ("pad_value", 2, "an integer from -1 to 1"),
        ("channels_in", 2**31, "an integer from 1 to 2147483647"),
        ("stride_h", 0, "an integer from 1 to 2147483647"),
        ("steps", 0x90, "steps of docs/format.md"),
        ("steps", 0x102, "steps of docs/format.md"),
        ("steps", -1, "steps of docs/format.md"),
        ("steps", 1 << 60, "steps of docs/format.md"),
    ],
)
def test_options_out_of_range(key: str, value: int, expected: str) -> None:
    options = {"channels_in": 40, "padding": 0}
    assert decode_options("BnnConv2D", encode_options("BnnConv2D", options))["padding"] == 0
    data = encode_options("BnnConv2D", {**options, key: value})
    with pytest.raises(ValueError, match=rf"option '{key}' of BnnConv2D is {value}, expected {expected}: convert the"):
        decode_options("BnnConv2D", data)


@pytest.mark.parametrize(("side", "counts"), [("inputs", "0 inputs and 1 outputs"), ("outputs", "1 inputs and 0")])
def test_nothing_to_feed_or_to_return(seeds: dict[str, SeedFile], side: str, counts: str) -> None:
    def leave_out(model: Any) -> None:
        setattr(model.subgraphs[0], side, [])
        setattr(model.signatureDefs[0], side, [])

    with pytest.raises(ValueError, match=rf"it has {counts}.*, expected some"):
        Interpreter(_changed(seeds["_float_network"].content, leave_out))


def test_shapes_that_contradict_each_other(seeds: dict[str, SeedFile]) -> None:
    """Such a batch would be filled up with gigabytes."""

    def claim_a_large_batch(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].shapeSignature = [2**24, 6, 6, 3]

    message = r"has the shapes \(\d, 6, 6, 3\) and \(16777216, 6, 6, 3\), which contradict each other"
    with pytest.raises(ValueError, match=message):
        Interpreter(_changed(seeds["uint8"].content, claim_a_large_batch))


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_signature_of_no_tensor(seeds: dict[str, SeedFile], side: str) -> None:
    def misname(model: Any) -> None:
        getattr(model.signatureDefs[0], side)[0].tensorIndex = 2**31

    with pytest.raises(ValueError, match="its signature names a tensor that does not exist"):
        Interpreter(_changed(seeds["_float_network"].content, misname))


def test_rows_of_fewer_channels_than_pixels(seeds: dict[str, SeedFile], tmp_path: Path) -> None:
    def shorten(model: Any) -> None:
        dense = model.subgraphs[0].operators[-1]
        options = {**decode_options("BnnFullyConnected", dense.customOptions), "channels_in": 1}
        dense.customOptions = np.frombuffer(encode_options("BnnFullyConnected", options), np.uint8)

    path = tmp_path / "damaged.tflite"
    path.write_bytes(_changed(seeds["plain"].content, shorten))
    kernel = inspect(path).ops[-1].kernel
    assert kernel is not None
    assert 0 <= kernel.negative_share <= 1


def test_names_that_are_no_text(seeds: dict[str, SeedFile]) -> None:
    def rename(model: Any) -> None:
        graph = model.subgraphs[0]
        for index in set(range(len(graph.tensors))) - {*graph.inputs, *graph.outputs}:
            graph.tensors[index].name = b"\xff\xfe"

    seed = seeds["plain"]
    interpreter = Interpreter(_changed(seed.content, rename), profile=True)
    interpreter.predict(seed.x)
    assert {op.output for op in interpreter.profile()[:-1]} == {"\ufffd\ufffd"}
