"""Names in files that others made cannot make a terminal obey them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.float_graphs import FloatGraph

from keras_bnn.cli import main
from keras_bnn.cli.printable import printable


def test_printable() -> None:
    assert printable("a\tb\x1b[2J\n\u202eä") == "a\\tb\\x1b[2J\n\\u202eä"
    assert printable("a\nb", keep="") == "a\\nb"


def test_names_of_tensors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = FloatGraph()
    x = graph.add_input("x\x1b[31m", (2, 40))
    y = graph.dense(graph.sign(x), graph.kernel((3, 40)))
    y.record.name = "y\x1b]0;title\x07"
    (tmp_path / "float.tflite").write_bytes(graph.finish(y))
    for arguments in (["convert", "float.tflite", "packed.tflite"], ["inspect", "packed.tflite"]):
        assert main([arguments[0], *(str(tmp_path / name) for name in arguments[1:])]) == 0
        out = capsys.readouterr().out
        assert "\\x1b" in out
        assert out.replace("\n", "").isprintable()
