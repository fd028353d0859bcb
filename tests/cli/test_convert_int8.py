"""`keras-bnn convert --representative-data`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.float_graphs import FloatGraph

from keras_bnn import runtime
from keras_bnn.cli import main

SAMPLES = np.random.default_rng(0).normal(size=(20, 6, 6, 3)).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    graph = FloatGraph()
    x = graph.add_input("image", (-1, 6, 6, 3))
    y = graph.conv(x, graph.rng.normal(size=(16, 3, 3, 3)).astype(np.float32))
    path = tmp_path / "float.tflite"
    path.write_bytes(graph.finish(graph.conv(graph.sign(y), graph.kernel((8, 1, 1, 16)), graph.bias(8))))
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "named npz"])
def test_quantizes(kind: str, source: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_quantizer")
    data = tmp_path / f"images.{kind[-3:]}"
    if kind == "npy":
        np.save(data, SAMPLES)
    else:
        np.savez(data, **{"image" if kind == "named npz" else "arr_0": SAMPLES})
    packed = tmp_path / "int8.tflite"
    arguments = ["--representative-data", str(data), "--input-type", "uint8", "--output-type", "int8"]
    assert main(["convert", str(source), str(packed), *arguments]) == 0
    interpreter = runtime.Interpreter(packed)
    assert (interpreter.inputs[0].dtype, interpreter.outputs[0].dtype) == (np.uint8, np.int8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input-type", "int8"], "inference_input_type is 'int8', which needs calibration"),
        (["--representative-data", "images.csv"], "'.csv': pass representative data as a .npy or .npz file"),
        (["--representative-data", "nowhere.npy"], "nowhere.npy"),
    ],
)
def test_wrong_data(
    arguments: list[str], message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(source), str(tmp_path / "int8.tflite"), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_unknown_type_is_wrong_usage(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["convert", str(source), str(tmp_path / "int8.tflite"), "--input-type", "int4"])
    assert exit_.value.code == 2
