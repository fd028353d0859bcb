"""What the commands do with the paths that they are given. Needs neither Keras nor TensorFlow."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.seed_files import SeedFile, seed_files

from keras_bnn.cli import main
from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Model, Signature
from keras_bnn.whole_file import check_writable

_ODD_NAMES = [b"a name", b"two\nlines", b"\xff\xfe", b"\xc3\xa4", b"-x", b"x" * 240, b"<b>&amp;"]
_SUFFIXES = (".tflite", ".p.tflite", ".html", ".npy", ".y.npy")


@pytest.fixture(scope="module")
def seeds() -> dict[str, SeedFile]:
    return {seed.name: seed for seed in seed_files()}


@pytest.fixture
def folder(tmp_path: Path, seeds: dict[str, SeedFile], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a float file, its packed one, and an input for both."""
    seed = seeds["_float_network"]
    (tmp_path / "float.tflite").write_bytes(seed.content)
    (tmp_path / "packed.tflite").write_bytes(seeds["_float_network_packed"].content)
    np.save(tmp_path / "x.npy", seed.x)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert main(list(arguments)) == 1
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("name", _ODD_NAMES, ids=repr)
def test_odd_names(folder: Path, name: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    text = os.fsdecode(name)
    model, packed, page, x, y = (Path("." if text.startswith("-") else "", text + suffix) for suffix in _SUFFIXES)
    model.write_bytes(Path("float.tflite").read_bytes())
    os.rename("x.npy", x)
    commands = [
        ["convert", "--", str(model), str(packed)],
        ["inspect", f"--html={page}", "--", str(packed)],
        ["run", f"--input={x}", f"--output={y}", "--", str(packed)],
        ["benchmark", "--seconds=0.001", f"--reference={model}", "--", str(packed)],
    ]
    for command in commands:
        assert main(command) == 0, command
    assert np.load(y).shape == (2, 5)
    assert "<svg" in page.read_text()
    packed.write_bytes(packed.read_bytes()[:100])
    capsys.readouterr()
    for command in commands[1:]:
        assert main(command) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_an_output_is_no_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("link.tflite").symlink_to("float.tflite")
    Path("hard.tflite").hardlink_to("packed.tflite")
    for arguments in (
        ("convert", "float.tflite", "float.tflite"),
        ("convert", "float.tflite", "link.tflite"),
        ("convert", "float.tflite", "new.tflite", "--reference", "link.tflite"),
        ("convert", "float.tflite", "new.tflite", "--reference", "./new.tflite"),
        ("inspect", "packed.tflite", "--html", "hard.tflite"),
        ("run", "packed.tflite", "--input", "x.npy", "--output", "x.npy"),
        ("run", "packed.tflite", "--input", "x.npy", "--output", "hard.tflite"),
    ):
        assert "which is read or written too: pass another path." in _fails(capsys, *arguments), arguments


def test_outputs_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder.tflite").mkdir()
    Path("loop.tflite").symlink_to("loop.tflite")
    reasons = {"folder.tflite": "is a folder", "no/y.tflite": "There is no folder", "loop.tflite": "leads to itself"}
    for output, reason in reasons.items():
        assert reason in _fails(capsys, "convert", "float.tflite", output)
        assert reason in _fails(capsys, "convert", "float.tflite", "new.tflite", "--reference", output)
        assert reason in _fails(capsys, "inspect", "packed.tflite", "--html", output)
        assert reason in _fails(capsys, "run", "packed.tflite", "--input", "x.npy", "--output", output)


def test_inputs_that_are_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder.tflite").mkdir()
    Path("folder.npy").mkdir()
    assert "no saved_model.pb" in _fails(capsys, "convert", "folder.tflite", "new.tflite")
    assert "no file folder.tflite" in _fails(capsys, "inspect", "folder.tflite")
    assert "is a folder" in _fails(capsys, "run", "folder.tflite", "--input", "x.npy")
    assert "is a folder" in _fails(capsys, "benchmark", "folder.tflite")
    assert "folder.npy cannot be opened (is a directory)" in _fails(
        capsys, "run", "packed.tflite", "--input", "folder.npy"
    )


def test_a_link_to_the_output_stays(folder: Path) -> None:
    Path("link.tflite").symlink_to("target.tflite")
    assert main(["convert", "float.tflite", "link.tflite"]) == 0
    assert Path("link.tflite").is_symlink()
    assert Path("target.tflite").read_bytes() == Path("packed.tflite").read_bytes()


def test_outputs_go_into_pipes(folder: Path) -> None:
    os.mkfifo("y.npy")
    found: list[np.ndarray] = []
    reader = threading.Thread(target=lambda: found.append(np.frombuffer(Path("y.npy").read_bytes(), np.uint8)))
    reader.start()
    assert main(["run", "packed.tflite", "--input", "x.npy", "--output", "y.npy"]) == 0
    reader.join()
    assert stat.S_ISFIFO(os.stat("y.npy").st_mode)
    assert found[0][:6].tobytes() == b"\x93NUMPY"


@contextlib.contextmanager
def _pipe(source: str, name: str) -> Iterator[str]:
    """A pipe through which a file comes."""
    os.mkfifo(name)
    writer = threading.Thread(target=lambda: Path(name).write_bytes(Path(source).read_bytes()))
    writer.start()
    yield name
    writer.join()


@pytest.mark.parametrize(
    "command",
    [
        ["run", "MODEL", "--input", "x.npy"],
        ["run", "packed.tflite", "--input", "ARRAY"],
        ["inspect", "MODEL", "--html", "new.html"],
        ["convert", "REFERENCE", "new.tflite"],
        ["benchmark", "MODEL", "--seconds", "0.001"],
        ["benchmark", "packed.tflite", "--reference", "REFERENCE", "--seconds", "0.001", "--json"],
    ],
    ids=" ".join,
)
def test_inputs_come_from_pipes(folder: Path, command: list[str]) -> None:
    sources = {"MODEL": "packed.tflite", "REFERENCE": "float.tflite", "ARRAY": "x.npy"}
    (word,) = set(sources) & set(command)
    with _pipe(sources[word], "pipe") as pipe:
        assert main([pipe if each == word else each for each in command]) == 0


def test_names_that_are_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for output, reason in {"": "'' is no path", f"{'x' * 300}.html": "file name too long"}.items():
        for arguments in (
            ["inspect", "packed.tflite", "--html"],
            ["run", "packed.tflite", "--input=x.npy", "--output"],
        ):
            text = _fails(capsys, *arguments, output)
            assert reason in text
            assert "pass" in text
    with pytest.raises(FileNotFoundError, match=r"'a\\x00b' is no path: pass"):
        check_writable("a\0b")
    with pytest.raises(OSError, match="too long"):  # before there is anything to write
        check_writable("x" * 300)


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'shape': (", b"PK\x03\x04"]
)
def test_damaged_arrays(folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.npy").write_bytes(content)
    text = _fails(capsys, "run", "packed.tflite", "--input", "x.npy")
    assert "x.npy is no whole file of numbers: write it with numpy.save or numpy.savez." in text


def test_arrays_larger_than_any_memory(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000, 1000), }"
    Path("x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    text = _fails(capsys, "run", "packed.tflite", "--input", "x.npy")
    assert "Memory ran out" in text or "no whole file of numbers" in text


def _two_outputs(names: tuple[str, str] | None) -> bytes:
    """Returns the file of a network that returns one tensor twice, and perhaps gives it names."""
    model = Model()
    graph = model.graphs[0]
    x = graph.add_input("x", (1, 2))
    y = graph.add_tensor("file", (1, 2))
    graph.add_op("ADD", [x, x], [y])
    graph.outputs += [y, y]
    if names is not None:
        model.signatures.append(Signature("main", graph, [("x", x)], [(name, y) for name in names]))
    return write_model(model)


@pytest.mark.parametrize("names", [("file", "args"), None])
def test_outputs_keep_their_names(folder: Path, names: tuple[str, str] | None) -> None:
    Path("two.tflite").write_bytes(_two_outputs(names))
    np.save("x.npy", np.ones((1, 2), np.float32))
    assert main(["run", "two.tflite", "--input", "x.npy", "--output", "y.npz"]) == 0
    outputs = dict(np.load("y.npz"))
    assert set(outputs) == set(names or ("output_0", "output_1"))
    assert all(array.tolist() == [[2, 2]] for array in outputs.values())
