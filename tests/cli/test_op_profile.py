"""Profiles of files that the packed test model does not stand for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from keras_bnn.cli.op_profile import profile_ops
from keras_bnn.cli.op_profile_text import profile_text
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Model
from keras_bnn.converter.inspection.read import inspect_model
from keras_bnn.runtime import Interpreter, OpProfile


def depthwise_between_stock_ops() -> bytes:
    """A ReLU, a depthwise convolution and another ReLU on one fixed image of 5x5x40."""
    model = Model()
    graph = model.graphs[0]
    x = graph.add_input("model/x", (1, 5, 5, 40))
    positive, sums, y = (graph.add_tensor(f"model/{name}", (1, 5, 5, 40)) for name in ("a", "b", "c"))
    weights = graph.add_constant("w", np.zeros((3, 3, 2), np.int32))
    multiplier, bias = (graph.add_constant(f"{value}", np.full(40, value, np.float32)) for value in (1, 0))
    bits = graph.add_tensor("model/bits", (1, 5, 5, 2), np.int32)
    graph.add_op("RELU", [x], [positive])
    graph.add_op("BnnQuantize", [positive], [bits], {})
    graph.add_op("BnnDepthwiseConv2D", [bits, weights, multiplier, bias], [sums], {"channels_in": 40, "padding": 0})
    graph.add_op("RELU", [sums], [y])
    graph.outputs.append(y)
    return write_model(model)


def test_depthwise_has_no_peak() -> None:
    data = depthwise_between_stock_ops()
    interpreter = Interpreter(data, profile=True)
    interpreter.predict(np.ones((1, 5, 5, 40)))
    profile = profile_ops(interpreter, inspect_model(read_model(data), "", 0), threads=1, batch=7, seconds=0.01)
    depthwise = profile["ops"][1]
    assert (depthwise["name"], depthwise["precision"]) == ("BnnDepthwiseConv2D", "1x1")
    assert depthwise["macs"] == 5 * 5 * 40 * 9  # the file says one sample
    assert depthwise["macs_per_second"] > 0
    assert depthwise["peak_share"] is None
    assert profile["peak_macs_per_second"] == {}
    assert profile["other"]["ops"] == {"RELU": 2}
    text = "\n".join(profile_text(profile))
    assert "Peak" not in text
    assert re.search(r"\nbits +BnnQuantize +1x5x5x40 +1x5x5x40 +\d+\.\d +\d+\.\d%\n", text)
    assert re.search(r"\n2 other ops +\d+\.\d +\d+\.\d%$", text)


def test_op_of_another_subgraph() -> None:
    """A loop's op is op 0 of the loop: its number means another op of the file, or none."""
    data = depthwise_between_stock_ops()
    inspection = inspect_model(read_model(data), "", 0)

    class Looping:
        def invoke(self) -> None:
            pass

        def profile(self) -> list[OpProfile]:
            return [OpProfile(0, node, "BnnConv2D", "loop/y", 5) for node in (0, 9)]

    profile = profile_ops(Looping(), inspection, threads=1, batch=1, seconds=0.01)  # type: ignore[arg-type]
    assert [(op["output"], op["us"]["median"], op["macs"]) for op in profile["ops"]] == [("loop/y", 0.005, None)] * 2
    assert sum(profile["other"]["ops"].values()) == 4
    assert "\ny             BnnConv2D  " in "\n".join(profile_text(profile))


def test_without_a_schema(tmp_path: Path) -> None:
    """As with tflite-runtime: the times stay, and what the file would tell is missing."""
    (tmp_path / "packed.tflite").write_bytes(depthwise_between_stock_ops())
    code = "import sys; sys.modules['ai_edge_litert.schema_py_generated'] = None\n"
    code += "import keras_bnn.cli; sys.exit(keras_bnn.cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "benchmark", "packed.tflite", "--seconds", "0.05"]
    printed, as_json = (
        subprocess.run([*command, *more], capture_output=True, text=True, cwd=tmp_path, check=True).stdout
        for more in ([], ["--json"])
    )
    assert re.search(r"^b +BnnDepthwiseConv2D +\d+\.\d +\d+\.\d%", printed, re.MULTILINE)
    assert "no shapes and MACs of ops: keras_bnn.converter reads .tflite files with the schema" in printed
    result = json.loads(as_json)
    (profile,) = result["profile"]
    assert [(op["name"], op["macs"]) for op in profile["ops"]] == [("BnnQuantize", None), ("BnnDepthwiseConv2D", None)]
    assert "ai-edge-litert" in result["inspection_error"]
