"""Larq Compute Engine against our converter: its own files, and the same models through both converters."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import keras_bnn
from keras_bnn import runtime

pytestmark = pytest.mark.peers
SCRIPT = Path(__file__).parent / "lce_files.py"
SMALL = ("plain", "thresholds", "bireal", "pooled", "grouped", "dense", "int8")
ZOO = ("BinaryAlexNet", "BiRealNet", "QuickNet")


@dataclass(frozen=True)
class Files:
    """What both converters make of one model.

    Attributes:
        name: The model.
        lce: Larq Compute Engine's file.
        stock: The stock converter's file.
        images: Inputs.
        expected: What Larq Compute Engine's interpreter makes of them.
    """

    name: str
    lce: bytes
    stock: bytes
    images: np.ndarray
    expected: np.ndarray


@pytest.fixture(scope="module", params=[*SMALL, *ZOO])
def files(request: pytest.FixtureRequest, lce_python: str, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write(request.param, lce_python, tmp_path_factory.mktemp("lce"))


def write(name: str, python: str, folder: Path) -> Files:
    run = subprocess.run([python, SCRIPT, folder, name], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    lce, stock = ((folder / f"{name}.{kind}.tflite").read_bytes() for kind in ("lce", "stock"))
    with np.load(folder / f"{name}.npz") as arrays:
        return Files(name, lce, stock, arrays["images"], arrays["outputs"])


def assert_agrees(model: bytes, files: Files) -> None:
    """Asserts that a file gives Larq Compute Engine's outputs up to float32 rounding, which no sign depends on."""
    outputs = runtime.Interpreter(model).predict(files.images)
    assert np.abs(outputs - files.expected).max() <= 1e-4 * np.abs(files.expected).max()


def assert_no_larger(model: bytes, files: Files) -> None:
    """Asserts it of a network; in a file of a few kB, names and alignment weigh more than weights."""
    if files.name in ZOO:
        assert len(model) <= len(files.lce)


def unpacked_binary_ops(model: bytes) -> list[str]:
    """Names of the stock ops whose constant weights have one absolute value per output channel, and both signs."""
    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    (graph,), names = parsed.subgraphs, []
    kernel_ops = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)
    for op in graph.operators:
        code = parsed.operatorCodes[op.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) in kernel_ops:
            tensor = graph.tensors[op.inputs[1]]
            dtype = np.int8 if tensor.type == schema.TensorType.INT8 else np.float32
            weights = np.frombuffer(bytes(parsed.buffers[tensor.buffer].data), dtype)
            rows = weights.reshape(tensor.shape[0], -1)
            is_binary = (np.abs(rows) == np.abs(rows[:, :1])).all() and (rows < 0).any() and (rows > 0).any()
            names += [graph.tensors[op.outputs[0]].name.decode()] if is_binary else []
    return names


def custom_ops(model: bytes) -> set[str]:
    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    return {code.customCode.decode() for code in parsed.operatorCodes if code.customCode}


def op_count(model: bytes) -> int:
    return schema.Model.GetRootAsModel(model, 0).Subgraphs(0).OperatorsLength()


def test_its_file_becomes_ours(files: Files) -> None:
    assert any(op.startswith("Lce") for op in custom_ops(files.lce))
    report = keras_bnn.convert(files.lce)
    assert report.verification is not None
    assert report.verification.samples > 0
    assert all(op.startswith("Bnn") for op in custom_ops(report.model))
    assert report.left == ()
    assert_no_larger(report.model, files)
    assert_agrees(report.model, files)


def test_its_file_runs_here(files: Files) -> None:
    assert_agrees(files.lce, files)


def test_both_converters_agree(files: Files) -> None:
    report = keras_bnn.convert(files.stock, verify=False)
    print(  # for the table in docs/converter.md
        f"{files.name}: the stock converter {len(files.stock)} bytes, Larq Compute Engine {len(files.lce)} bytes and "
        f"{op_count(files.lce)} ops, keras-bnn {len(report.model)} bytes and {op_count(report.model)} ops"
    )
    assert_agrees(report.model, files)
    assert unpacked_binary_ops(report.model) == []  # so a subset of what Larq Compute Engine leaves
    assert_no_larger(report.model, files)


def test_it_leaves_dense_layers(lce_python: str, tmp_path: Path) -> None:
    """So that finding none in our files means something."""
    assert len(unpacked_binary_ops(write("dense", lce_python, tmp_path).lce)) == 2
