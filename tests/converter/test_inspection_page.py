"""The page of an inspection: well-formed, on its own, and with the numbers of the file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import RELU, SAME, FloatGraph
from support.html_page import Page
from support.lce_graphs import RandomLceGraph

from keras_bnn.cli import main
from keras_bnn.converter import convert, inspect
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Graph, Model
from keras_bnn.converter.inspection.page import activation_bytes
from keras_bnn.converter.inspection.read import inspect_model

F = np.float32


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Two binary convolutions with a shortcut around the second, a dense layer."""
    graph = FloatGraph()
    x = graph.add_input("net/image", (-1, 8, 8, 40))
    y = graph.pool(graph.conv(graph.sign(x), graph.kernel((40, 3, 3, 40)), graph.bias(40)))
    z = graph.conv(graph.sign(y), graph.kernel((40, 3, 3, 40)), padding=SAME)
    y = graph.op("ADD", [y, z], y.dims, schema.AddOptionsT())
    y = graph.dense(graph.sign(graph.flatten(y)), graph.kernel((5, 9 * 40)), graph.bias(5))
    path = tmp_path / "<packed> & co.tflite"
    convert(graph.finish(graph.op("SOFTMAX", [y], y.dims)), path, verify=False)
    return path


def test_page_has_the_numbers_of_the_file(packed: Path, tmp_path: Path) -> None:
    inspection = inspect(packed)
    text = inspection.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    page = Page(text)
    graph = read_model(packed.read_bytes()).graphs[0]
    assert packed.name in page.texts
    assert len(page.rows) == 1 + 1 + len(graph.ops) + 1  # head, input, ops, output
    sums = {"conv": 6 * 6 * 40 * 9 * 40, "second": 3 * 3 * 40 * 9 * 40, "dense": 9 * 40 * 5}
    macs = [row[-2] if row[-1].endswith("%") else row[-1] for row in page.rows if row[1].split(",")[0] in _PACKED]
    assert macs == ["518 k", "130 k", "1.80 k"]
    assert f"1x1: {sum(sums.values()) / 1e3:.0f} k" in page.texts
    assert "100.0% XNOR and popcount" in page.texts
    kernels = [op for op in graph.ops if op.kind in _PACKED]
    assert page.ids == [f"kernel-{graph.ops.index(op)}" for op in kernels]
    constants = sum(tensor.buffer.nbytes for op in kernels for tensor in op.inputs if tensor and tensor.is_constant)
    assert f"1 bit: {constants / 1e3:.1f} kB" in page.texts
    for op in kernels:
        weights = op.input(1)
        assert weights is not None
        set_bits = int(np.unpackbits(weights.values.view(np.uint8)).sum())
        negative = set_bits / (9 * 40 * len(weights.values))
        assert any(one.endswith(f"; {negative:.1%} in all") for one in page.texts)


_PACKED = ("BnnConv2D", "BnnFullyConnected")


def test_lines_of_bits_and_floats(packed: Path) -> None:
    """The row of each op draws its tensors: bits as bits, numbers as numbers."""
    inspection = inspect(packed)
    rows = re.findall(r"<tr.*?</tr>", inspection.to_html())[1:]
    for op, row in zip(inspection.ops, rows[1:], strict=False):
        drawing = row[: row.index("</svg>")]
        flows = {inspection.tensors[index].data for index in (*op.inputs, *op.outputs)}
        shades = set(re.findall(r'<(?:line|path) class="(\w+)"', drawing))
        assert ("bits" in flows) <= ("bits" in shades)
        assert ("float32" in flows) <= ("real" in shades)
        assert drawing.count("<circle") == 1
        (mark,) = re.findall(r'<circle class="(\w+)"', drawing)
        expected = {"BnnConv2D": "bits", "BnnFullyConnected": "bits", "BnnQuantize": "mixed"}.get(op.kind)
        assert mark == (expected or "real")


def test_names_are_escaped(packed: Path) -> None:
    text = inspect(packed).to_html()
    assert "<packed>" not in text
    assert "<title>&lt;packed&gt; &amp; co.tflite</title>" in text
    graph = FloatGraph()
    y = graph.dense(graph.add_input("<script>x", (-1, 4)), graph.rng.normal(size=(3, 4)).astype(F))
    y.record.name = '"><img src=x>'
    graph.outputs = [y]
    page = Page(inspect_model(Model([graph]), "a.tflite", 1).to_html())
    assert "<script>x" in page.texts
    assert '"><img src=x>' in page.texts


def test_activation_bytes() -> None:
    """40 channels of bits take 2 words; what is fed or has a free size is not written."""
    graph = Graph()
    x = graph.add_input("x", (-1, 3, 5, 40))
    bits = graph.add_tensor("bits", (-1, 3, 5, 2), np.int32)
    graph.add_op("BnnQuantize", [x], [bits], {})
    numbers = graph.add_tensor("numbers", (-1, 3, 5, 40), F)
    graph.add_op("BnnDequantize", [bits], [numbers], {"channels": 40})
    free = graph.add_tensor("free", (-1, -1, 5, 40), F)
    graph.add_op("SomebodysOp", [numbers], [free])
    single = graph.add_tensor("single", (), F)
    graph.add_op("SUM", [numbers], [single])
    found = activation_bytes(inspect_model(Model([graph]), "a.tflite", 1))
    assert found == {"1": 3 * 5 * 8, "32": 3 * 5 * 40 * 4 + 4}


def test_hints_stand_on_the_page(tmp_path: Path) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 8, 8, 3))
    y = graph.conv(x, graph.rng.normal(size=(16, 3, 3, 3)).astype(F), activation=RELU)
    (tmp_path / "a.tflite").write_bytes(graph.finish(graph.conv(graph.sign(y), graph.kernel((4, 2, 2, 16)))))
    page = Page(inspect(tmp_path / "a.tflite").to_html())
    assert any("makes the sign constant" in text for text in page.texts)
    assert "1 op has a binary kernel and could be packed: convert the file." in page.texts
    assert "0.0% XNOR and popcount" in page.texts


def test_larq_compute_engine_and_empty_graphs(tmp_path: Path) -> None:
    graph = RandomLceGraph()
    bits = graph.lce_quantize(graph.add_input("x", (-1, 9, 9, 32)))
    always = np.full(33, np.iinfo(np.int32).max, np.int32)
    pooled = graph.lce_pool(graph.lce_conv(bits, 32, 33, thresholds=always))
    weights = graph.find("LceBconv2d")[0].input(1)
    assert weights is not None
    assert weights.buffer is not None
    weights.buffer = np.full_like(weights.buffer, 255)
    graph.outputs = [graph.lce("LceDequantize", [pooled], (*pooled.dims[:3], 33), F)]
    path = tmp_path / "larq.tflite"
    path.write_bytes(write_model(Model([graph])))
    page = Page(inspect(path).to_html())
    assert "33 of 33 channels are always +1" in page.texts
    assert "32 of 1,056 filters are unique: 3.0%" in page.texts
    empty = Graph()
    empty.outputs = [empty.add_input("x", (-1, 2))]
    assert Page(inspect_model(Model([empty]), "a.tflite", 1).to_html()).ids == []


def test_command(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "out" / "page.html"
    assert main(["inspect", str(packed), "--html", str(page)]) == 1
    assert capsys.readouterr() == (
        "",
        f"keras-bnn inspect: There is no folder {page.parent}: create it, or pass another path.\n",
    )
    page.parent.mkdir()
    assert main(["inspect", str(packed), "--html", str(page)]) == 0
    assert list(page.parent.iterdir()) == [page]
    assert "BnnConv2D" in capsys.readouterr().out
    assert Page(page.read_text(encoding="utf-8")).links
    before = page.read_bytes()
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(packed.read_bytes()[:-400])
    assert main(["inspect", str(damaged), "--html", str(page)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert page.read_bytes() == before


def test_needs_neither_keras_nor_tensorflow(packed: Path) -> None:
    code = f"""
import sys
import keras_bnn
assert keras_bnn.converter.inspect({str(packed)!r}).to_html()
print([name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    assert result.stdout.strip().endswith("[]")
