"""What each command prints and writes, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from keras_bnn import runtime
from keras_bnn.cli import COMMANDS, guard, main, selftest_network


def failure(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """Runs a command that must fail, and returns its sentence."""
    assert main([str(argument) for argument in argv]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"keras-bnn {argv[0]}: ")
    assert error.count("\n") == 1
    return error


def test_program_is_installed() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="keras-bnn")
    assert script.value == "keras_bnn.cli.guard:main"
    assert script.load() is guard.main


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "exit codes: 0 success, 1 failure" in text
    assert f"keras-bnn {command}" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"keras-bnn {metadata.version('keras-bnn')}\n"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["pack"],
        ["convert", "a.tflite"],
        ["inspect"],
        ["run", "a.tflite"],
        ["run", "a.tflite", "--input", "x.npy", "--threads", "0"],
        ["benchmark", "a.tflite", "--threads", "two"],
        ["benchmark", "a.tflite", "--seconds", "0"],
        ["doctor", "now"],
    ],
)
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2
    assert "usage: keras-bnn" in capsys.readouterr().err


class TestConvert:
    def test_keras_file(self, files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        packed, reference = tmp_path / "packed.tflite", tmp_path / "float.tflite"
        assert main(["convert", str(files.keras), str(packed), "--reference", str(reference)]) == 0
        text = capsys.readouterr().out
        assert text.count("BnnFullyConnected") == 2
        assert text.count("BnnConv2D") == 1
        assert "verified against" in text
        x = np.load(files.inputs)
        y = runtime.Interpreter(packed).predict(x)
        np.testing.assert_array_equal(y, runtime.Interpreter(files.packed).predict(x))
        assert reference.stat().st_size > packed.stat().st_size

    def test_tflite_file(self, files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        packed = tmp_path / "packed.tflite"
        assert main(["convert", str(files.reference), str(packed), "--no-verify"]) == 0
        assert "verified" not in capsys.readouterr().out
        assert packed.read_bytes() == files.packed.read_bytes()

    @pytest.mark.parametrize("content", [None, b"", b"no model", bytes(4) + b"TFL3" + bytes(64)])
    def test_failure_writes_nothing(
        self, content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = tmp_path / "in.tflite"
        if content is not None:
            source.write_bytes(content)
        assert "file" in failure(capsys, "convert", source, tmp_path / "out.tflite")
        assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["in.tflite"])


class TestInspect:
    def test_packed_and_float(self, files, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", str(files.packed)]) == 0
        assert "3 with packed weights" in capsys.readouterr().out
        assert main(["inspect", str(files.reference)]) == 0
        assert "could be packed" in capsys.readouterr().out

    def test_failure(self, files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        failure(capsys, "inspect", files.inputs)
        assert "no.tflite" in failure(capsys, "inspect", tmp_path / "no.tflite")

    def test_reader_that_stops_early(self, files) -> None:
        command = f"{sys.executable} -m keras_bnn.cli inspect {files.packed} | true; exit ${{PIPESTATUS[0]}}"
        result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd="/")
        assert (result.returncode, result.stderr) == (0, "")


class TestRun:
    def test_writes_the_output(self, files, tmp_path: Path) -> None:
        output = tmp_path / "y.npy"
        assert main(["run", str(files.packed), "--input", str(files.inputs), "--output", str(output)]) == 0
        expected = runtime.Interpreter(files.packed, isa="scalar").predict(np.load(files.inputs))
        np.testing.assert_array_equal(np.load(output), expected)
        assert [path.name for path in tmp_path.iterdir()] == ["y.npy"]

    def test_named_inputs_and_printing(self, files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        name = runtime.Interpreter(files.packed).inputs[0].name
        np.savez(tmp_path / "x.npz", **{name: np.load(files.inputs)})
        assert main(["run", str(files.packed), "--input", str(tmp_path / "x.npz"), "--threads", "2"]) == 0
        assert "output_0: float32 (7, 5)" in capsys.readouterr().out

    def test_failure(self, files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        np.save(tmp_path / "wide.npy", np.zeros((2, 6, 7, 2)))
        np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
        output = tmp_path / "y.npy"
        run = ("run", files.packed, "--output", output, "--input")
        assert "needs the shape (samples, 6, 6, 2)" in failure(capsys, *run, tmp_path / "wide.npy")
        assert "numpy.save" in failure(capsys, *run, tmp_path / "objects.npy")
        assert "numpy.save" in failure(capsys, *run, files.packed)
        assert "does not exist" in failure(capsys, *run, tmp_path / "no.npy")
        assert "does not exist" in failure(capsys, "run", tmp_path / "no.tflite", "--input", files.inputs)
        assert not output.exists()


class TestBenchmark:
    def test_json(self, files, capsys: pytest.CaptureFixture[str]) -> None:
        argv = ["benchmark", str(files.packed), "--reference", str(files.reference), "--seconds", "0.05", "--json"]
        assert main([*argv, "--threads", "2", "--batch", "3"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["check"]["equal_to_scalar_kernels"] is True
        assert result["check"]["equal_arg_max"] > 0.95
        assert result["bytes"]["file"] == files.packed.stat().st_size
        assert [row["threads"] for row in result["latency_us"]] == [1, 2]
        for row in result["latency_us"]:
            for name in ("file", "reference"):
                assert 0 < row[name]["p10"] <= row[name]["median"] <= row[name]["p90"]
        one, two = result["memory_bytes"]
        assert (one["threads"], two["threads"]) == (1, 2)
        assert one["activations"] == two["activations"] > 0
        assert one["weights"] == two["weights"] > 40 * 70 // 8
        assert two["scratch"] > one["scratch"] > 0

    def test_profile(self, files, capsys: pytest.CaptureFixture[str]) -> None:
        argv = ["benchmark", str(files.packed), "--seconds", "0.05", "--json", "--threads", "2", "--batch", "3"]
        assert main(argv) == 0
        profiles = json.loads(capsys.readouterr().out)["profile"]
        assert [profile["threads"] for profile in profiles] == [1, 2]
        for profile in profiles:
            ops, whole = profile["ops"], profile["whole_us"]["median"]
            assert [(op["name"], op["precision"], op["input_shape"], op["output_shape"]) for op in ops] == [
                ("BnnConv2D", "1x32", [3, 6, 6, 2], [3, 4, 4, 40]),
                ("BnnFullyConnected", "1x1", [3, 4, 4, 40], [3, 70]),
                ("BnnFullyConnected", "1x1", [3, 70], [3, 5]),
            ]
            assert [op["macs"] for op in ops] == [3 * 4 * 4 * 40 * 3 * 3 * 2, 3 * 4 * 4 * 40 * 70, 3 * 70 * 5]
            assert set(profile["peak_macs_per_second"]) == {"1x1", "1x32"}
            for op in ops:
                assert 0 < op["us"]["p10"] <= op["us"]["median"] <= op["us"]["p90"] < whole
                assert op["share"] == pytest.approx(op["us"]["median"] / whole)
                assert op["macs_per_second"] == pytest.approx(1e6 * op["macs"] / op["us"]["median"])
                peak = profile["peak_macs_per_second"][op["precision"]]
                assert op["peak_share"] == pytest.approx(op["macs_per_second"] / peak)
            assert sum(op["share"] for op in ops) + profile["other"]["share"] == pytest.approx(1, abs=0.2)

    def test_every_key_is_documented(self, files, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["benchmark", str(files.packed), "--seconds", "0.01", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        (profile,) = result["profile"]
        text = (Path(__file__).resolve().parents[2] / "docs" / "benchmark.md").read_text()
        documented = set(re.findall(r"\w+", " ".join(re.findall(r"^\| ([\w, ]+) \|", text, re.MULTILINE))))
        assert documented >= {*result, *profile, *profile["ops"][0]}

    def test_profile_of_a_file_without_packed_ops(self, files, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["benchmark", str(files.reference), "--seconds", "0.05", "--json"]) == 0
        (profile,) = json.loads(capsys.readouterr().out)["profile"]
        assert (profile["ops"], profile["peak_macs_per_second"], profile["other"]["share"]) == ([], {}, 1)
        assert sum(profile["other"]["ops"].values()) > 5

    def test_table(self, files, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["benchmark", str(files.packed), "--seconds", "0.05"]) == 0
        text = capsys.readouterr().out
        assert "outputs equal to those of the scalar kernels on 64 random samples" in text
        assert "1 thread " in text
        assert re.search(r"BnnConv2D +1x6x6x2 +1x4x4x40 +11\.5 k +\d+\.\d +\d+\.\d% +\d.* [MG] +\d+%\n", text)
        assert re.search(r"\nthe runtime +\d+\.\d +\d+\.\d%\n", text)
        assert re.search(r"\nPeak of these kernels, .*: .* 1x1, .* 1x32\.\n", text)

    def test_failure(self, files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "does not exist" in failure(capsys, "benchmark", tmp_path / "no.tflite")
        assert "is no .tflite file" in failure(capsys, "benchmark", files.packed, "--reference", files.inputs)


class TestDoctor:
    def test_all_kernel_sets_pass(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["doctor"]) == 0
        text = capsys.readouterr().out
        for isa in runtime.cpu_info()["supported_kernel_sets"]:
            assert f"self-test, {isa} " in text
        assert text.count("all outputs exact") == len(runtime.cpu_info()["supported_kernel_sets"])

    def test_unknown_kernel_set(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("KERAS_BNN_ISA", "mmx")
        assert main(["doctor"]) == 1
        assert "KERAS_BNN_ISA" in capsys.readouterr().out

    def test_wrong_outputs_are_found(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        right = selftest_network.pack_signs
        monkeypatch.setattr(selftest_network, "pack_signs", lambda negative: right(~negative))
        assert main(["doctor"]) == 1
        captured = capsys.readouterr()
        assert re.search(r"self-test, scalar +outputs wrong: \d+ in plain, \d+ in residual, ", captured.out)
        assert "wrong outputs" in captured.err


def test_a_bug_says_so_with_its_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(args: object) -> int:
        raise KeyError("what\nis this")

    monkeypatch.setattr("keras_bnn.cli.doctor.run", fail)
    assert main(["doctor"]) == 1
    sentence, *lines = capsys.readouterr().err.splitlines()
    assert sentence == (
        "keras-bnn doctor: this is a bug of keras-bnn (KeyError: 'what\\nis this'): report it with the lines below and "
        "what `keras-bnn doctor` prints."
    )
    assert lines[0].startswith("Traceback")  # several lines, which tests/fuzz counts as a finding
    assert lines[-1] == "KeyError: 'what\\nis this'"


def test_interrupt() -> None:
    """Ctrl-C ends a command without a traceback."""
    code = "import keras_bnn.cli.doctor as d\ndef run(args): raise KeyboardInterrupt\nd.run = run\n"
    code += "import sys, keras_bnn.cli\nsys.exit(keras_bnn.cli.main(['doctor']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert (result.returncode, result.stderr) == (130, "")


def test_missing_training_package() -> None:
    code = "import sys\nsys.modules['keras'] = None\nimport keras_bnn.cli\nsys.exit(keras_bnn.cli.main(['demo']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", env={**os.environ})
    assert result.returncode == 1
    assert result.stderr == "keras-bnn demo: keras is not installed: pip install 'keras-bnn[train]'\n"
